//! Further processes: made by one request, started by the next, and looked at after their end.

use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use hyper::StatusCode;
use serde_json::{Value, json};

use super::super::super::container::ask;
use super::super::super::container::exec::{Carried, begin, connect, end};
use super::super::super::error::CliError;
use super::super::super::run::environment::changes;
use super::super::super::run::random_id;
use super::super::super::run::session::DetachKeys;
use super::super::Service;
use super::attach::size;
use super::fields::Fields;
use super::find;
use super::streams::{Client, content_type, keys};
use crate::containers::{Container, Exec, ExecRecord, Remote, Request as Ask, Status};
use crate::engine::ApiError;
use crate::engine::frame::FrameStream;
use crate::engine::server::{Answer, Gone, Request};

/// `POST /containers/ID/exec`
///
/// # Errors
/// The container does not run, or there is no command.
pub fn create(service: &Service, id: &str, mut request: Request) -> Result<Answer, ApiError> {
    let body: Value = request.json()?;
    let fields = Fields::of(&body, "ExecConfig")?;
    let container = find(service, id)?;
    check(&container)?;
    let words = fields.words("Cmd")?;
    if words.is_empty() {
        return Err(ApiError::bad("No exec command specified"));
    }
    let detach_keys = fields.text("DetachKeys")?;
    keys(Some(&detach_keys))?;
    let cwd = fields.some_text("WorkingDir")?;
    if let Some(cwd) = cwd.as_deref().filter(|cwd| !cwd.starts_with('/')) {
        return Err(ApiError::bad(format!("Cwd must be an absolute path: {cwd}")));
    }
    let (rows, columns) = console_size(&fields);
    let record_id = random_id()?;
    let record = ExecRecord {
        exec: Exec {
            id: Some(record_id.clone()),
            args: words,
            env: changes(&[], &fields.words("Env")?, &|_| None)?,
            user: fields.some_text("User")?,
            cwd,
            tty: fields.flag("Tty")?,
            stdin: fields.flag("AttachStdin")?,
            privileged: fields.flag("Privileged")?,
            detach: false,
            rows,
            columns,
        },
        id: record_id.clone(),
        stdout: fields.flag("AttachStdout")?,
        stderr: fields.flag("AttachStderr")?,
        detach_keys,
        ..ExecRecord::default()
    };
    container.add_exec(&record)?;
    Ok(Answer::Json(StatusCode::CREATED, json!({ "Id": record_id })))
}

/// Reads `[height, width]`.
fn console_size(fields: &Fields<'_>) -> (u16, u16) {
    let size = fields.get("ConsoleSize").and_then(Value::as_array);
    let number = |at: usize| size.and_then(|size| u16::try_from(size.get(at)?.as_u64()?).ok()).unwrap_or(0);
    (number(0), number(1))
}

fn check(container: &Container) -> Result<(), ApiError> {
    let id = &container.config.id;
    Err(ApiError::conflict(match container.state()?.status {
        Status::Running => return Ok(()),
        Status::Paused => format!("Container {id} is paused, unpause the container before exec"),
        Status::Restarting => format!("Container {id} is restarting, wait until the container is running"),
        _ => format!("container {id} is not running"),
    }))
}

/// Finds a process that was asked for.
fn record(service: &Service, id: &str) -> Result<(Container, ExecRecord), ApiError> {
    let containers = super::super::super::container::all(&service.global)?;
    let found = containers.find_exec(id)?;
    found.ok_or_else(|| ApiError::not_found(format!("No such exec instance: {id}")))
}

/// `POST /exec/ID/start`
///
/// # Errors
/// There is no such process, it was started already, or its container does not run.
pub fn start(service: &Service, id: &str, mut request: Request) -> Result<Answer, ApiError> {
    let body: Value = request.json_or_none()?.unwrap_or(Value::Null);
    let fields = Fields::of(&body, "ExecStartConfig")?;
    let (container, mut record) = record(service, id)?;
    if record.begun {
        let how = if record.exit_code.is_some() { "has already run" } else { "is already running" };
        return Err(ApiError::conflict(format!("Error: Exec command {id} {how}")));
    }
    check(&container)?;
    let size = console_size(&fields);
    if size != (0, 0) {
        (record.exec.rows, record.exec.columns) = size;
    }
    let mut remote = connect(&container)?;
    if fields.flag("Detach")? {
        record.exec.detach = true;
        record.exec.stdin = false;
        let begun = begin(&mut remote, &record.exec, &[], (&container, &container.config.id));
        return match begun.map_err(ApiError::from) {
            Ok(_) => Ok(Answer::Empty(StatusCode::OK)),
            // A command that is none is the request's fault, and nothing that is missing here.
            Err(error) if error.message.starts_with("OCI runtime") => Err(ApiError::bad(error.message)),
            Err(error) => Err(error),
        };
    }
    let tty = record.exec.tty;
    let keys = keys(Some(&record.detach_keys))?;
    Ok(Answer::hijack(content_type(tty, &request), move |stream, gone| {
        let mut client = Client::new(stream, tty);
        let run = match tty {
            true => on_terminal(&container, &record, remote, &client, keys, &gone),
            false => on_pipes(&container, &record, remote, &client, &gone),
        };
        if let Err(error) = run {
            client.say(&error.text);
        }
        client.hang_up();
    }))
}

fn on_pipes(
    container: &Container,
    record: &ExecRecord,
    mut remote: Remote,
    client: &Client,
    gone: &Gone,
) -> Result<(), CliError> {
    let (out, stdout) = std::io::pipe()?;
    let (err, stderr) = std::io::pipe()?;
    let input = if record.exec.stdin { Some(std::io::pipe()?) } else { None };
    let mut fds: Vec<BorrowedFd<'_>> = input.iter().map(|(read, _)| read.as_fd()).collect();
    fds.extend([stdout.as_fd(), stderr.as_fd(), out.as_fd(), err.as_fd()]);
    begin(&mut remote, &record.exec, &fds, (container, &container.config.id))?;
    drop((stdout, stderr));
    let other = remote.try_clone()?;
    gone.act(move || other.hang_up());
    if let Some((read, mut write)) = input {
        drop(read);
        let mut from = client.again()?;
        thread("input", move || {
            // The process may end before its input does.
            from.give(None, |bytes| write.write_all(bytes).is_ok());
        })?;
    }
    let outputs = [out.try_clone()?.into(), err.try_clone()?.into()];
    let carried = Arc::new(Carried::default());
    let (done, ended) = mpsc::channel::<()>();
    let shared = Arc::new(Mutex::new(client.again()?));
    for (stream, pipe, wanted) in
        [(FrameStream::Stdout, out, record.stdout), (FrameStream::Stderr, err, record.stderr)]
    {
        let (shared, remote, done) = (Arc::clone(&shared), remote.try_clone()?, done.clone());
        let of = Arc::clone(&carried);
        thread("output", move || {
            let show = |bytes: &[u8]| {
                !wanted || shared.lock().unwrap_or_else(PoisonError::into_inner).show(stream, bytes).is_ok()
            };
            if !copy(pipe, &of, show) {
                // The monitor reads in the place of a client that is gone.
                remote.hang_up();
            }
            drop(done);
        })?;
    }
    drop(done);
    end(&mut remote)?;
    carried.finish(&ended, &outputs);
    Ok(())
}

/// Shows what comes until its end; false if nobody takes it any more.
fn copy(mut from: impl std::io::Read, carried: &Carried, mut show: impl FnMut(&[u8]) -> bool) -> bool {
    let mut buffer = vec![0; 32 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(count @ 1..) if carried.give(count, || show(&buffer[..count])) => {}
            Ok(1..) => return false,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // A terminal whose other side is closed fails: that is its end.
            Ok(0) | Err(_) => return true,
        }
    }
}

fn thread(name: &str, act: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(act).map(drop)
}

fn on_terminal(
    container: &Container,
    record: &ExecRecord,
    mut remote: Remote,
    client: &Client,
    keys: DetachKeys,
    gone: &Gone,
) -> Result<(), CliError> {
    let terminal: OwnedFd = begin(&mut remote, &record.exec, &[], (container, &container.config.id))?
        .ok_or_else(|| CliError::new("the container's monitor gave no terminal"))?;
    let other = remote.try_clone()?;
    gone.act(move || other.hang_up());
    let (outputs, carried) = ([terminal.try_clone()?], Arc::new(Carried::default()));
    let (from, mut to) = (std::fs::File::from(terminal.try_clone()?), std::fs::File::from(terminal));
    let (mut input, leaving, stdin) = (client.again()?, remote.try_clone()?, record.exec.stdin);
    let (of, command, id) = (container.clone(), record.exec.args.join(" "), record.id.clone());
    thread("input", move || {
        if input.give(Some(keys), |bytes| !stdin || to.write_all(bytes).is_ok()) {
            of.event(&format!("exec_detach: {command}"), &[("execID", &id)]);
            leaving.hang_up();
            input.hang_up();
        }
    })?;
    let (done, ended) = mpsc::channel::<()>();
    let (mut shown, other, of) = (client.again()?, remote.try_clone()?, Arc::clone(&carried));
    thread("output", move || {
        if !copy(from, &of, |bytes| shown.show(FrameStream::Stdout, bytes).is_ok()) {
            other.hang_up();
        }
        drop(done);
    })?;
    end(&mut remote)?;
    carried.finish(&ended, &outputs);
    Ok(())
}

/// `POST /exec/ID/resize`
///
/// # Errors
/// There is no such process, or it does not run.
pub fn resize(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let (rows, columns) = size(request)?;
    let (container, record) = record(service, id)?;
    match ask(&container, &Ask::Resize { rows, columns, exec: Some(record.id) })? {
        Some(Ok(())) => Ok(Answer::Empty(StatusCode::OK)),
        Some(Err(why)) => Err(ApiError::conflict(why)),
        None => Err(ApiError::conflict(format!("container {} is not running", container.config.id))),
    }
}

/// `GET /exec/ID/json`
///
/// # Errors
/// There is no such process.
pub fn inspect(service: &Service, id: &str) -> Result<Answer, ApiError> {
    let (container, record) = record(service, id)?;
    let lives = record.begun && record.exit_code.is_none();
    let running = lives && container.state()?.status.is_running() && container.execs().contains(&record.id);
    // It may have ended between the two looks.
    let code = || self::record(service, id).ok().and_then(|(_, record)| record.exit_code);
    let exit_code = match lives && !running {
        // The monitor died, and took it along.
        true => Some(code().unwrap_or(137)),
        false => record.exit_code,
    };
    let (entrypoint, arguments) =
        record.exec.args.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    Ok(Answer::json(json!({
        "ID": record.id,
        "Running": running,
        "ExitCode": exit_code,
        "ProcessConfig": {
            "tty": record.exec.tty, "entrypoint": entrypoint, "arguments": arguments,
            "privileged": record.exec.privileged, "user": record.exec.user.clone().unwrap_or_default(),
        },
        "OpenStdin": record.exec.stdin,
        "OpenStderr": record.stderr,
        "OpenStdout": record.stdout,
        "CanRemove": exit_code.is_some(),
        "ContainerID": container.config.id,
        "DetachKeys": record.detach_keys,
        "Pid": record.pid,
    })))
}
