//! `POST /containers/ID/attach`, and the size of the terminal.

use super::super::super::container::{Log, ask};
use super::super::super::run::session::DetachKeys;
use super::super::Service;
use super::find;
use super::streams::{Client, content_type, keys};
use crate::containers::log::{Stream, is_readable};
use crate::containers::{
    Attach, Container, ContainerError, Kind, Remote, Reply, Request as Ask, Status, Waiting,
};
use crate::engine::ApiError;
use crate::engine::frame::FrameStream;
use crate::engine::server::{Answer, Gone, Request};

/// What a client wants.
struct Wish {
    attach: Attach,
    /// Whether what was written before is shown first.
    logs: bool,
    /// Whether what is written from now on is shown.
    stream: bool,
    keys: DetachKeys,
}

/// Answers a request. One that does not run is waited for, and nothing of it is missed.
///
/// # Errors
/// There is no such container, or it is paused.
pub fn attach(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let query = &request.query;
    let container = find(service, id)?;
    let keys = keys(query.text("detachKeys"))?;
    let status = container.state()?.status;
    let refused = |how: &str| Err(ApiError::conflict(format!("container {} is {how}", container.config.id)));
    match status {
        Status::Paused => return refused("paused, unpause the container before attach"),
        Status::Restarting => return refused("restarting, wait until the container is running"),
        _ => {}
    }
    let (rows, columns) = if status.is_running() { (0, 0) } else { console_size(&container) };
    let wish = Wish {
        attach: Attach {
            stdin: query.flag("stdin") && container.config.open_stdin,
            stdout: query.flag("stdout"),
            stderr: query.flag("stderr"),
            // Who is there before the process is has it in its foreground.
            lossless: !status.is_running(),
            rows,
            columns,
        },
        logs: query.flag("logs"),
        stream: query.flag("stream"),
        keys,
    };
    // From now on nothing of the next run is missed.
    let place = if status.is_running() || !wish.stream { None } else { Some(container.line_up()?) };
    let content = content_type(container.config.tty, request);
    container.event("attach", &[]);
    Ok(Answer::hijack(content, move |stream, gone| {
        let client = Client::new(stream, container.config.tty);
        stay(&container, wish, place, client, &gone);
    }))
}

/// Returns the size that a terminal is to have at its start.
fn console_size(container: &Container) -> (u16, u16) {
    let host = container.config.shown_host.value();
    let number =
        |at: usize| host["ConsoleSize"][at].as_u64().and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
    if container.config.tty { (number(0), number(1)) } else { (0, 0) }
}

/// Is with a container until its run ends, or the client is gone.
fn stay(container: &Container, wish: Wish, place: Option<Waiting>, mut client: Client, gone: &Gone) {
    if wish.logs && is_readable(&container.config) {
        // What was written meanwhile is shown by the other way.
        let shown = Log::default().each(container, &mut |lines| {
            for (stream, text) in lines {
                match stream {
                    Stream::Stdout if wish.attach.stdout => {
                        client.show(FrameStream::Stdout, text.as_bytes())?
                    }
                    Stream::Stderr if wish.attach.stderr => {
                        client.show(FrameStream::Stderr, text.as_bytes())?
                    }
                    _ => {}
                }
            }
            Ok(())
        });
        if shown.is_err() {
            return;
        }
    }
    if !wish.stream {
        return;
    }
    let request = Ask::Attach(wish.attach);
    let remote = match place {
        Some(place) => {
            let gone = gone.clone();
            place.ask(&request, move || gone.is_gone())
        }
        None => connect(container, &request),
    };
    match remote {
        Ok(Some(remote)) => carry(container, wish, remote, client, gone),
        Ok(None) => {}
        Err(error) => client.say(&error.to_string()),
    }
    // Dropping the last handle ends the connection.
}

fn connect(container: &Container, request: &Ask) -> Result<Option<Remote>, ContainerError> {
    loop {
        if let Some(mut remote) = Remote::connect(container)? {
            match remote.ask(request) {
                Ok(()) => return Ok(Some(remote)),
                Err(ContainerError::MonitorGone) => {}
                Err(error) => return Err(error),
            }
        }
        // It begins or ends just now.
        if !container.state().is_ok_and(|state| state.has_monitor()) {
            return Ok(None);
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Carries bytes until the run ends.
fn carry(container: &Container, wish: Wish, mut remote: Remote, mut client: Client, gone: &Gone) {
    let Ok(other) = remote.try_clone() else { return };
    gone.act(move || other.hang_up());
    if let (Ok(mut input), Ok(mut sender)) = (client.again(), remote.try_clone()) {
        let (container, tty, stdin) = (container.clone(), container.config.tty, wish.attach.stdin);
        let reading = move || {
            let keys = tty.then_some(wish.keys);
            let left = input.give(keys, |bytes| !stdin || sender.send(Kind::Stdin, bytes).is_ok());
            if left {
                container.event("detach", &[]);
                sender.hang_up();
                input.hang_up();
            } else if stdin {
                // It may have ended by itself before.
                let _ = sender.send(Kind::StdinEnd, b"");
            }
        };
        if std::thread::Builder::new().name("input".to_owned()).spawn(reading).is_err() {
            return client.say("no thread is left");
        }
    }
    while let Ok(Some(reply)) = remote.reply() {
        let shown = match reply {
            Reply::Stdout(bytes) => client.show(FrameStream::Stdout, &bytes),
            Reply::Stderr(bytes) => client.show(FrameStream::Stderr, &bytes),
            Reply::Done | Reply::Warning(_) => Ok(()),
            Reply::Exit(_) | Reply::Failed(_) => break,
        };
        if shown.is_err() {
            break;
        }
    }
    remote.hang_up();
    client.hang_up();
}

/// `POST /containers/ID/resize`
///
/// # Errors
/// It does not run, or the size is none.
pub fn resize(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let (rows, columns) = size(request)?;
    let container = find(service, id)?;
    match ask(&container, &Ask::Resize { rows, columns, exec: None })? {
        Some(Ok(())) => {
            let (height, width) = (rows.to_string(), columns.to_string());
            container.event("resize", &[("height", &height), ("width", &width)]);
            Ok(Answer::Empty(hyper::StatusCode::OK))
        }
        Some(Err(why)) => Err(ApiError::conflict(why)),
        None => Err(ApiError::conflict(format!("container {} is not running", container.config.id))),
    }
}

/// Reads `h` and `w`.
///
/// # Errors
/// One is none.
pub fn size(request: &Request) -> Result<(u16, u16), ApiError> {
    let number = |key: &str| {
        let number = request.query.number::<u16>(key)?;
        number.ok_or_else(|| {
            ApiError::bad(format!("invalid resize {key}: strconv.ParseUint: parsing \"\": invalid syntax"))
        })
    };
    Ok((number("h")?, number("w")?))
}
