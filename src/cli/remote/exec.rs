//! `exec`

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::session::{Session, follow_window};
use super::{Make, life, text};
use crate::cli::container::ExecArgs;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::run::attach::check_terminal;
use crate::cli::run::environment::{changes, own};
use crate::cli::run::session::DetachKeys;
use crate::cli::run::signals::window_changes;
use crate::engine::client::Request;

/// Runs the command.
pub fn exec(args: &ExecArgs, make: Make<'_, '_>) -> Result<ExitCode, CliError> {
    if !args.detach {
        check_terminal(args.tty, args.interactive)?;
    }
    let env: Vec<String> = changes(&args.env_file, &args.env, &own)?
        .into_iter()
        .map(|(name, value)| value.map_or(name.clone(), |value| format!("{name}={value}")))
        .collect();
    let window = if args.tty && !args.detach { Some(window_changes()?) } else { None };
    let engine = make()?;
    let keys = DetachKeys::new(args.detach_keys.as_deref(), engine.global)?;
    let attached = !args.detach;
    let mut body = json!({
        "AttachStdin": attached && args.interactive, "AttachStdout": attached, "AttachStderr": attached,
        "Tty": args.tty, "Cmd": args.command, "Env": env, "Privileged": args.privileged,
        "User": args.user.clone().unwrap_or_default(), "WorkingDir": args.workdir.clone().unwrap_or_default(),
    });
    if let Some(keys) = &args.detach_keys {
        body["DetachKeys"] = json!(keys);
    }
    let size = if args.tty && attached { console::Term::stdout().size_checked() } else { None };
    if let Some((rows, columns)) = size {
        body["ConsoleSize"] = json!([rows, columns]);
    }
    let made = engine.document(Request::post(life::path(&args.container, "/exec")?).json(&body))?;
    let id = text(&made["Id"]).to_owned();
    let mut begin = json!({ "Detach": args.detach, "Tty": args.tty });
    if let Some((rows, columns)) = size {
        begin["ConsoleSize"] = json!([rows, columns]);
    }
    let request = Request::post(format!("/exec/{id}/start")).json(&begin);
    if args.detach {
        engine.send(request)?.whole()?;
        return Ok(ExitCode::SUCCESS);
    }
    let connection = engine.client.hijack(request)?;
    if let Some(changes) = window {
        follow_window(Arc::clone(&engine.client), format!("/exec/{id}/resize"), changes)?;
    }
    if (Session { connection, tty: args.tty, stdin: args.interactive, keys }).run().map_err(output::unread)? {
        return Ok(ExitCode::SUCCESS);
    }
    let ended = engine.get(&format!("/exec/{id}/json"))?;
    let code = ended["ExitCode"].as_i64().unwrap_or(0) & 0xff;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(255)))
}
