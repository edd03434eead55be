//! `GET /images/get`, `GET /images/NAME/get`, `POST /images/load`

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use super::super::super::global::Global;
use super::super::super::{load as load_command, save as save_command};
use super::said;
use crate::archive;
use crate::causes::chain;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Output, Request};
use crate::progress::NullReporter;

/// Bytes that go on at once.
const PIECE: usize = 128 << 10;

/// Answers with an archive of images.
///
/// # Errors
/// One is not there.
pub fn save(global: &Global, request: &Request, mut names: Vec<String>) -> Result<Answer, ApiError> {
    names.extend(request.query.all("names").flat_map(|names| names.split(',')).map(str::to_owned));
    let platform = super::platform(request)?;
    let store = global.store()?.clone();
    let items = save_command::items(&store, &names, platform.as_ref())?;
    Ok(Answer::stream("application/x-tar", move |output| {
        let (reading, writing) = std::io::pipe()?;
        // A client that is gone closes the pipe, which ends who writes to it.
        let writer = std::thread::Builder::new().name("save".to_owned()).spawn(move || {
            let out = File::from(OwnedFd::from(writing));
            archive::save(&store, &items, &out, &NullReporter).map_err(|error| chain(&error))
        })?;
        let copied = copy(File::from(OwnedFd::from(reading)), output);
        let written = writer.join().map_err(|_| std::io::Error::other("saving failed"))?;
        copied.and_then(|()| written.map_err(std::io::Error::other))
    }))
}

fn copy(mut from: File, output: &mut Output) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => output.write_all(&buffer[..count])?,
        }
    }
}

/// Loads the archive that is the request's body.
///
/// # Errors
/// It is none.
pub fn load(global: &Global, request: Request) -> Result<Answer, ApiError> {
    let platform = super::platform(&request)?;
    let store = global.store()?.clone();
    let body = request.body;
    said::answer(move |said| {
        for loaded in archive::load(&store, body, platform.as_ref(), &NullReporter)? {
            for line in load_command::lines(&loaded) {
                said.stream(line + "\n");
            }
        }
        Ok(())
    })
}
