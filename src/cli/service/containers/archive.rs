//! `HEAD`, `GET` and `PUT /containers/ID/archive`: files of a container as tars.

use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::json;

use super::super::super::container::cp::{Source, owners, relative};
use super::super::super::error::CliError;
use super::super::super::global::Global;
use super::super::Service;
use super::find;
use crate::containers::Container;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};
use crate::fs::{FileKind, Follow, Root, Stat};
use crate::layers::{LayerError, UnpackOptions, decompress, unpack};

/// The header that describes what a path leads to.
const HEADER: &str = "x-docker-container-path-stat";
/// How much of what is sent is taken though it is not wanted, in bytes.
const REST: u64 = 256 << 20;

/// Does something with a container's files, on a thread of its own: it may leave its mount namespace.
fn with_files<T: Send>(
    container: &Container,
    global: &Global,
    act: impl FnOnce(&Root) -> Result<T, ApiError> + Send,
) -> Result<T, ApiError> {
    let store = global.store()?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| act(container.files(store)?.root()));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn path(request: &Request) -> Result<String, ApiError> {
    let path = request.query.text("path").map(str::to_owned);
    path.ok_or_else(|| ApiError::bad("bad parameter: 'path' cannot be empty"))
}

fn missing(path: &str, id: &str) -> ApiError {
    ApiError::not_found(format!("Could not find the file {path} in container {id}"))
}

fn source(root: &Root, path: &str, id: &str) -> Result<Source, ApiError> {
    match Source::find(root, path, Follow::No) {
        Ok(found) => found.ok_or_else(|| missing(path, id)),
        // Something on the way is no directory, or leads nowhere.
        Err(error) if error.text.contains("ot a directory") => Err(missing(path, id)),
        Err(error) => Err(error.into()),
    }
}

/// `HEAD`
///
/// # Errors
/// There is no such container or path.
pub fn stat(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let (container, path) = (find(service, id)?, path(request)?);
    let header =
        with_files(&container, &service.global, |root| Ok(described(root, &source(root, &path, id)?)))?;
    Ok(Answer::Bytes("application/json", vec![(HEADER, header)], Vec::new()))
}

/// `GET`
///
/// # Errors
/// There is no such container or path.
pub fn get(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let (container, path) = (find(service, id)?, path(request)?);
    let header =
        with_files(&container, &service.global, |root| Ok(described(root, &source(root, &path, id)?)))?;
    let (global, id) = (service.global.again(), id.to_owned());
    Ok(Answer::stream_with("application/x-tar", vec![(HEADER, header)], move |output| {
        let written = with_files(&container, &global, |root| {
            let source = source(root, &path, &id)?;
            let name = source.name().to_vec();
            Ok(source.write(&mut *output, &name)?)
        });
        written.map(drop).map_err(|error| std::io::Error::other(error.message))
    }))
}

/// `PUT`
///
/// # Errors
/// There is no such directory, it can't be written, or the tar is none.
pub fn put(service: &Service, id: &str, mut request: Request) -> Result<Answer, ApiError> {
    let (container, path) = (find(service, id)?, path(&request)?);
    let archive = request.query.flag("copyUIDGID");
    let keep_kinds = request.query.flag("noOverwriteDirNonDir");
    let body = &mut request.body;
    let put = with_files(&container, &service.global, |root| {
        let stat = root.stat(relative(&path), Follow::Yes).ok().flatten();
        let stat = stat.ok_or_else(|| missing(&path, id))?;
        if !stat.is_dir() {
            return Err(ApiError::bad("extraction point is not a directory"));
        }
        let place = Path::new("/").join(root.resolve(relative(&path))?);
        if container.config.read_only
            && !container
                .config
                .mounts
                .iter()
                .any(|mount| place.starts_with(&mount.target) && !mount.read_only)
        {
            return Err(read_only());
        }
        let into = root.dir(relative(&path))?;
        let chown = owners(&container, root, archive, &service.global)?;
        extract(&mut *body, &into, &UnpackOptions { keep_kinds, ..UnpackOptions::plain(chown) })
    });
    if let Err(error) = put {
        // A client that still sends would not see why it was refused.
        let _ = std::io::copy(&mut body.take(REST), &mut std::io::sink());
        return Err(error);
    }
    container.event("extract-to-dir", &[("path", &path)]);
    Ok(Answer::Empty(StatusCode::OK))
}

fn read_only() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "container rootfs is marked read-only")
}

fn extract(from: &mut (dyn Read + Send), into: &Root, options: &UnpackOptions) -> Result<(), ApiError> {
    let unpacked = decompress(from).and_then(|(_, mut tar)| {
        let stats = unpack(&mut tar, into, options)?;
        // What stands behind the end is taken as well, so that the client can finish.
        std::io::copy(&mut tar, &mut std::io::sink()).map_err(LayerError::io("read a tar"))?;
        Ok(stats)
    });
    unpacked.map(drop).map_err(|error| {
        let read_only =
            matches!(&error, LayerError::Fs(e) if e.kind() == std::io::ErrorKind::ReadOnlyFilesystem);
        let text = CliError::new(crate::causes::chain(&error)).text;
        match &error {
            _ if read_only => self::read_only(),
            LayerError::Entry { .. } | LayerError::Tar { .. } | LayerError::Truncated { .. } => {
                ApiError::bad(text)
            }
            _ => ApiError::internal(text),
        }
    })
}

/// Returns the header: name, size, mode, time and target, as JSON in base64.
fn described(root: &Root, source: &Source) -> String {
    let stat = source.stat();
    let name = source.path().file_name().map_or("/".to_owned(), |name| name.to_string_lossy().into_owned());
    let target = match stat.kind {
        FileKind::Symlink => {
            root.resolve(source.path()).map_or(String::new(), |path| format!("/{}", path.display()))
        }
        _ => String::new(),
    };
    let time = Timestamp::from_nanosecond(i128::from(stat.mtime.as_nanos())).unwrap_or(Timestamp::UNIX_EPOCH);
    let shown = json!({ "name": name, "size": stat.size, "mode": go_mode(stat), "mtime": time.to_string(),
                        "linkTarget": target });
    base64::engine::general_purpose::STANDARD.encode(shown.to_string())
}

/// Returns the mode as Go has it (`io/fs.FileMode`).
fn go_mode(stat: &Stat) -> u32 {
    let kind = match stat.kind {
        FileKind::Directory => 1 << 31,
        FileKind::Symlink => 1 << 27,
        FileKind::BlockDevice => 1 << 26,
        FileKind::CharDevice => 1 << 26 | 1 << 21,
        FileKind::Fifo => 1 << 25,
        FileKind::Socket => 1 << 24,
        _ => 0,
    };
    let special = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    let special: u32 = special.iter().filter(|(bit, _)| stat.mode & bit != 0).map(|(_, go)| go).sum();
    kind | special | stat.mode & 0o777
}
