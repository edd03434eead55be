//! `--pid`, `--ipc`, `--uts`, `--userns`, `--cgroupns`: whose namespaces a container has.

use super::super::error::CliError;
use super::args::SecurityArgs;
use crate::containers::{Config, Containers, Shares};

/// What a mode begins with that means another container's namespace.
const CONTAINER: &str = "container:";

/// Returns the container that a mode names.
pub fn named(mode: Option<&str>) -> Option<&str> {
    mode?.strip_prefix(CONTAINER)
}

fn is_one(mode: Option<&String>, words: &[&str]) -> bool {
    mode.is_none_or(|mode| mode.is_empty() || words.contains(&mode.as_str()))
}

/// Refuses the words that docker's client refuses.
///
/// # Errors
/// A word means nothing.
pub fn check_client(args: &SecurityArgs) -> Result<(), CliError> {
    let other = named(args.pid.as_deref()).is_some_and(|name| !name.is_empty());
    for (flag, kind, known) in [
        ("pid", "PID", other || is_one(args.pid.as_ref(), &["host"])),
        ("uts", "UTS", is_one(args.uts.as_ref(), &["host"])),
        ("userns", "USER", is_one(args.userns.as_ref(), &["host"])),
        ("cgroupns", "CGROUP", is_one(args.cgroupns.as_ref(), &["host", "private"])),
    ] {
        if !known {
            return Err(CliError::new(format!("--{flag}: invalid {kind} mode")));
        }
    }
    Ok(())
}

/// Refuses what means nothing; `remote` tells that an engine's client asks.
///
/// # Errors
/// A word means nothing.
pub fn check(args: &SecurityArgs, remote: bool) -> Result<(), CliError> {
    let refuse = |why: String| Err(CliError::new(format!("Error response from daemon: {why}")));
    match check_client(args) {
        Err(error) if !remote => return Err(error),
        Err(error) => {
            let (flag, kind) = error.text.split_once(": invalid ").unwrap_or_default();
            let value = match flag {
                "--pid" => &args.pid,
                "--uts" => &args.uts,
                "--userns" => &args.userns,
                _ => &args.cgroupns,
            };
            let kind = if kind == "CGROUP mode" { "cgroup namespace mode" } else { kind };
            return refuse(format!("invalid {kind}: {}", value.as_deref().unwrap_or_default()));
        }
        Ok(()) => {}
    }
    let ipc = args.ipc.as_ref();
    match named(ipc.map(String::as_str)) {
        Some("") => {
            return refuse("failed to join IPC namespace: invalid name or ID supplied: \"\"".to_owned());
        }
        Some(_) => return Ok(()),
        None => {}
    }
    match is_one(ipc, &["none", "private", "shareable", "host"]) {
        true => Ok(()),
        false => refuse(format!("invalid IPC mode: {}", ipc.map_or("", String::as_str))),
    }
}

/// Returns what of the modes needs no other container.
pub fn shares(args: &SecurityArgs) -> Shares {
    let ipc = args.ipc.as_deref();
    Shares { shareable: ipc == Some("shareable"), no_shm: ipc == Some("none"), ..Shares::default() }
}

/// Whether a mode gives a namespace of the container's own.
pub fn is_own(mode: Option<&str>) -> bool {
    mode != Some("host") && named(mode).is_none()
}

/// Returns the ids of the containers whose process ids and whose IPC the modes name.
///
/// # Errors
/// One is not there.
pub fn find(args: &SecurityArgs, containers: &Containers) -> Result<[Option<String>; 2], CliError> {
    let find = |mode: &Option<String>| match named(mode.as_deref()) {
        None => Ok(None),
        Some(name) => {
            containers.find(name).map(|other| Some(other.config.id)).map_err(|e| CliError::engine(&e))
        }
    };
    Ok([find(&args.pid)?, find(&args.ipc)?])
}

/// Notes the containers that the modes name: whatever they are called later, they are meant.
///
/// # Errors
/// One is not there.
pub fn resolve(config: &mut Config, args: &SecurityArgs, containers: &Containers) -> Result<(), CliError> {
    let [pids, ipc] = find(args, containers)?;
    config.shares.pids.clone_from(&pids);
    config.shares.ipc.clone_from(&ipc);
    config.shown_host.change(|shown| {
        for (key, id) in [("PidMode", pids), ("IpcMode", ipc)] {
            if let Some(id) = id {
                shown[key] = format!("{CONTAINER}{id}").into();
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_mean_nothing_are_refused() {
        let said = |flag: &str, value: &str, remote| {
            let mut args = SecurityArgs::default();
            let place = match flag {
                "pid" => &mut args.pid,
                "ipc" => &mut args.ipc,
                "uts" => &mut args.uts,
                "userns" => &mut args.userns,
                _ => &mut args.cgroupns,
            };
            *place = Some(value.to_owned());
            check(&args, remote).map_err(|error| error.text.replace("Error response from daemon: ", "")).err()
        };
        for (flag, value, expected, by_engine) in [
            ("pid", "", "", ""),
            ("pid", "host", "", ""),
            ("pid", "container:x", "", ""),
            ("pid", "container:", "--pid: invalid PID mode", "invalid PID mode: container:"),
            ("pid", "private", "--pid: invalid PID mode", "invalid PID mode: private"),
            ("uts", "container:x", "--uts: invalid UTS mode", "invalid UTS mode: container:x"),
            ("userns", "host", "", ""),
            ("userns", "private", "--userns: invalid USER mode", "invalid USER mode: private"),
            ("cgroupns", "private", "", ""),
            ("cgroupns", "x", "--cgroupns: invalid CGROUP mode", "invalid cgroup namespace mode: x"),
            ("ipc", "none", "", ""),
            ("ipc", "shareable", "", ""),
            ("ipc", "container:x", "", ""),
            ("ipc", "hosts", "invalid IPC mode: hosts", "invalid IPC mode: hosts"),
            (
                "ipc",
                "container:",
                "failed to join IPC namespace: invalid name or ID supplied: \"\"",
                "failed to join IPC namespace: invalid name or ID supplied: \"\"",
            ),
        ] {
            assert_eq!(said(flag, value, false).unwrap_or_default(), expected, "--{flag} {value}");
            assert_eq!(said(flag, value, true).unwrap_or_default(), by_engine, "{flag} {value}");
        }
    }
}
