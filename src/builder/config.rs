//! Instructions that change nothing but config and history.

use super::error::{BuildError, invalid};
use super::expand::Expander;
use super::options::BuildOptions;
use super::quote::{duration, plain_list, quoted, quoted_list};
use super::stages::{Stages, argument};
use super::state::StageState;
use crate::image::HealthConfig;
use crate::image::config::Empty;
use crate::parser::instruction::{Arg, Command, Healthcheck, InstructionKind, KeyValues};

/// Applies an instruction to a stage's state; false if it is one that makes a step.
///
/// # Errors
/// A word does not expand, or a value is none that docker accepts.
pub fn apply(
    kind: &InstructionKind,
    state: &mut StageState,
    stages: &Stages<'_>,
    options: &BuildOptions,
) -> Result<bool, BuildError> {
    let escape = stages.escape;
    let expand = |state: &StageState, word: &str| Expander { escape, env: &state.env }.word(word);
    match kind {
        InstructionKind::Env(pairs) => environment(pairs, state, escape)?,
        InstructionKind::Label(pairs) => label(pairs, state, escape)?,
        InstructionKind::Arg(items) => arguments(items, state, stages, options)?,
        InstructionKind::Cmd(command) => cmd(command, state),
        InstructionKind::Entrypoint(command) => entrypoint(command, state),
        InstructionKind::Shell(words) => {
            state.image.config.shell = Some(words.clone());
            state.note(format!("SHELL {}", plain_list(words)));
        }
        InstructionKind::Maintainer(name) => {
            state.image.author.clone_from(name);
            state.note(format!("MAINTAINER {name}"));
        }
        InstructionKind::Expose(words) => expose(words, state, escape)?,
        InstructionKind::Volume(words) => volume(words, state, escape)?,
        InstructionKind::User(word) => {
            let user = expand(state, word)?;
            state.note(format!("USER {user}"));
            state.image.config.user = user;
        }
        InstructionKind::StopSignal(word) => {
            let signal = expand(state, word)?;
            if !is_signal(&signal) {
                return Err(invalid(format!("invalid signal: {signal}")));
            }
            state.note(format!("STOPSIGNAL {signal}"));
            state.image.config.stop_signal = signal;
        }
        InstructionKind::Healthcheck(check) => healthcheck(check, state),
        InstructionKind::Onbuild(text) => state.image.config.on_build.push(text.clone()),
        InstructionKind::From(_)
        | InstructionKind::Run(_)
        | InstructionKind::Copy(_)
        | InstructionKind::Add(_)
        | InstructionKind::Workdir(_) => return Ok(false),
    }
    Ok(true)
}

/// Expands pairs against the environment before the instruction.
fn expanded(
    pairs: &KeyValues,
    state: &StageState,
    escape: char,
) -> Result<Vec<(String, String)>, BuildError> {
    let expander = Expander { escape, env: &state.env };
    pairs.pairs.iter().map(|(key, value)| Ok((expander.word(key)?, expander.word(value)?))).collect()
}

fn listed(keyword: &str, pairs: &[(String, String)]) -> String {
    pairs.iter().fold(keyword.to_owned(), |text, (key, value)| format!("{text} {key}={value}"))
}

fn environment(pairs: &KeyValues, state: &mut StageState, escape: char) -> Result<(), BuildError> {
    let pairs = expanded(pairs, state, escape)?;
    for (name, value) in &pairs {
        state.env.set(name, value);
        state.config_env.set(name, value);
    }
    state.note(listed("ENV", &pairs));
    Ok(())
}

fn label(pairs: &KeyValues, state: &mut StageState, escape: char) -> Result<(), BuildError> {
    let pairs = expanded(pairs, state, escape)?;
    state.image.config.labels.extend(pairs.iter().cloned());
    state.note(listed("LABEL", &pairs));
    Ok(())
}

/// `ARG`: the command line's value, else the default, else the global one; each item sees those before it.
fn arguments(
    items: &[Arg],
    state: &mut StageState,
    stages: &Stages<'_>,
    options: &BuildOptions,
) -> Result<(), BuildError> {
    let mut text = "ARG".to_owned();
    for item in items {
        let expander = Expander { escape: stages.escape, env: &state.env };
        let value = match argument(item, options, &expander)? {
            Some(value) => Some(value),
            None => stages.globals.get(&item.name).map(str::to_owned),
        };
        state.declare(&item.name, value.as_deref());
        text += &match value {
            Some(value) => format!(" {}={value}", item.name),
            None => format!(" {}", item.name),
        };
    }
    state.note(text);
    Ok(())
}

fn words(command: &Command, state: &StageState) -> Vec<String> {
    match command {
        Command::Shell(text) => state.with_shell(text),
        Command::Exec(words) => words.clone(),
    }
}

fn cmd(command: &Command, state: &mut StageState) {
    let words = words(command, state);
    state.note(format!("CMD {}", quoted_list(&words)));
    state.image.config.cmd = Some(words);
    state.image.config.args_escaped = true;
    state.has_cmd = true;
}

/// `ENTRYPOINT`: a Cmd that this stage did not set itself belonged to another entrypoint, so it goes.
fn entrypoint(command: &Command, state: &mut StageState) {
    let words = words(command, state);
    state.note(format!("ENTRYPOINT {}", quoted_list(&words)));
    state.image.config.entrypoint = Some(words);
    if !state.has_cmd {
        state.image.config.cmd = None;
    }
}

fn healthcheck(check: &Healthcheck, state: &mut StageState) {
    let config = match check {
        Healthcheck::None => HealthConfig { test: vec!["NONE".to_owned()], ..HealthConfig::default() },
        Healthcheck::Probe { command, interval, timeout, start_period, start_interval, retries } => {
            let test = match command {
                Command::Shell(text) => vec!["CMD-SHELL".to_owned(), text.clone()],
                Command::Exec(words) => {
                    std::iter::once("CMD".to_owned()).chain(words.iter().cloned()).collect()
                }
            };
            HealthConfig {
                test,
                interval: *interval,
                timeout: *timeout,
                start_period: *start_period,
                start_interval: *start_interval,
                retries: *retries,
            }
        }
    };
    state.note(format!(
        "HEALTHCHECK {{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
        plain_list(&config.test),
        duration(config.interval),
        duration(config.timeout),
        duration(config.start_period),
        duration(config.start_interval),
        config.retries,
    ));
    state.image.config.healthcheck = Some(config);
}

fn volume(paths: &[String], state: &mut StageState, escape: char) -> Result<(), BuildError> {
    let expander = Expander { escape, env: &state.env };
    let paths: Vec<String> = paths.iter().map(|path| expander.word(path)).collect::<Result<_, _>>()?;
    if paths.iter().any(String::is_empty) {
        return Err(invalid("VOLUME specified can not be an empty string"));
    }
    state.note(format!("VOLUME {}", plain_list(&paths)));
    state.image.config.volumes.extend(paths.into_iter().map(|path| (path, Empty {})));
    Ok(())
}

/// `EXPOSE`: sorted as written, then expanded and split.
fn expose(words: &[String], state: &mut StageState, escape: char) -> Result<(), BuildError> {
    let expander = Expander { escape, env: &state.env };
    let mut words = words.to_vec();
    words.sort();
    let mut ports = Vec::new();
    for word in &words {
        for spec in expander.list(word)? {
            ports.extend(port_spec(&spec)?);
        }
    }
    state.note(format!("EXPOSE {}", plain_list(&ports)));
    state.image.config.exposed_ports.extend(ports.into_iter().map(|port| (port, Empty {})));
    Ok(())
}

/// Reads `[[ip:]host:]port[-port][/protocol]` as `port/protocol` texts, one for each port.
fn port_spec(spec: &str) -> Result<Vec<String>, BuildError> {
    let (rest, protocol) = match spec.split_once('/') {
        Some((rest, protocol)) if !protocol.is_empty() => (rest, protocol.to_lowercase()),
        Some((rest, _)) => (rest, "tcp".to_owned()),
        None => (spec, "tcp".to_owned()),
    };
    let container = rest.rsplit(':').next().unwrap_or_default();
    if container.is_empty() {
        return Err(invalid(format!("invalid port: {}: no port specified", quoted(spec))));
    }
    let bad = || invalid(format!("invalid containerPort: {container}"));
    let (first, last) = container.split_once('-').unwrap_or((container, container));
    let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u16>().map_err(|_| bad()),
        false => Err(bad()),
    };
    let (first, last) = (number(first)?, number(last)?);
    if last < first {
        return Err(bad());
    }
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        let typed = spec.rsplit('/').next().unwrap_or_default();
        return Err(invalid(format!("invalid port: {}: invalid proto: {typed}", quoted(spec))));
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

const SIGNALS: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// Whether docker knows a signal: a number other than 0, or a name with or without `SIG`.
fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str, range: std::ops::RangeInclusive<u8>| {
        name.strip_prefix(prefix).is_some_and(|n| n.parse::<u8>().is_ok_and(|n| range.contains(&n)))
    };
    SIGNALS.contains(&name)
        || real_time("RTMIN+", 1..=15)
        || real_time("RTMAX-", 1..=14)
        || name == "RTMIN"
        || name == "RTMAX"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_normalised() {
        for (spec, expected) in [
            ("80", vec!["80/tcp"]),
            ("80/UDP", vec!["80/udp"]),
            ("80/", vec!["80/tcp"]),
            ("7-9/sctp", vec!["7/sctp", "8/sctp", "9/sctp"]),
            ("127.0.0.1:8080:80", vec!["80/tcp"]),
            ("8080:80/udp", vec!["80/udp"]),
            ("0", vec!["0/tcp"]),
        ] {
            assert_eq!(port_spec(spec).unwrap(), expected, "{spec}");
        }
        for (spec, error) in [
            ("x", "invalid containerPort: x"),
            ("70000", "invalid containerPort: 70000"),
            ("9-7", "invalid containerPort: 9-7"),
            ("+1", "invalid containerPort: +1"),
            ("80/icmp", "invalid port: \"80/icmp\": invalid proto: icmp"),
            ("/tcp", "invalid port: \"/tcp\": no port specified"),
        ] {
            assert_eq!(port_spec(spec).unwrap_err().to_string(), error, "{spec}");
        }
    }

    #[test]
    fn signals_are_known_by_name_and_number() {
        for good in ["9", "SIGTERM", "term", "SigInt", "RTMIN+3", "SIGRTMAX-14", "RTMIN"] {
            assert!(is_signal(good), "{good}");
        }
        for bad in ["0", "", "SIG", "NOSUCH", "RTMIN+16", "RTMIN+"] {
            assert!(!is_signal(bad), "{bad}");
        }
    }
}
