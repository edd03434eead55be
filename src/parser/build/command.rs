//! Instructions with a command: `RUN`, `CMD`, `ENTRYPOINT`, `SHELL`, `HEALTHCHECK`.

use super::super::duration::parse_duration;
use super::super::error::Problem;
use super::super::flags::{Flags, Hinted, Kind};
use super::super::instruction::{Command, Healthcheck, MountFlag, Network, Run, Security};
use super::super::statement::{Form, Statement};
use super::as_command;

const RUN_FLAGS: [(&str, Kind); 4] =
    [("mount", Kind::List), ("network", Kind::Value), ("security", Kind::Value), ("device", Kind::List)];

const HEALTH_FLAGS: [(&str, Kind); 5] = [
    ("interval", Kind::Value),
    ("timeout", Kind::Value),
    ("start-period", Kind::Value),
    ("start-interval", Kind::Value),
    ("retries", Kind::Value),
];

/// Nanoseconds below which a time makes no sense.
const MINIMUM: i64 = 1_000_000;

pub(super) fn run(statement: &Statement) -> Result<Run, Hinted> {
    let flags = statement.flags(&RUN_FLAGS)?;
    let mounts: Result<Vec<_>, _> = flags.list("mount").into_iter().map(MountFlag::new).collect();
    let mounts = mounts.map_err(plain)?;
    let network = flags.value("network").map(network).transpose()?;
    let security = flags.value("security").map(security).transpose()?;
    let command = as_command(&statement.form);
    if command == Command::Exec(Vec::new()) {
        return Err(statement.at_least_one());
    }
    let heredocs = statement.heredocs.iter().map(|heredoc| heredoc.finish()).collect();
    Ok(Run { command, mounts, network, security, devices: flags.list("device"), heredocs })
}

fn plain(problem: Problem) -> Hinted {
    (problem, None)
}

fn network(value: String) -> Result<Network, Hinted> {
    match value.as_str() {
        "default" => Ok(Network::Default),
        "none" => Ok(Network::None),
        "host" => Ok(Network::Host),
        _ => Err(plain(Problem::Network { value })),
    }
}

fn security(value: String) -> Result<Security, Hinted> {
    match value.as_str() {
        "sandbox" => Ok(Security::Sandbox),
        "insecure" => Ok(Security::Insecure),
        _ => Err(plain(Problem::Security { value })),
    }
}

pub(super) fn plain_command(statement: &Statement) -> Result<Command, Hinted> {
    statement.no_flags()?;
    Ok(as_command(&statement.form))
}

pub(super) fn shell(statement: &Statement) -> Result<Vec<String>, Hinted> {
    statement.no_flags()?;
    match &statement.form {
        Form::Json(words) if !words.is_empty() => Ok(words.clone()),
        Form::Text(_) => Err(plain(Problem::ShellNotJson)),
        _ => Err(statement.at_least_one()),
    }
}

pub(super) fn healthcheck(statement: &Statement) -> Result<Healthcheck, Hinted> {
    let Form::Health(kind, command) = &statement.form else { return Err(statement.at_least_one()) };
    let kind = kind.to_uppercase();
    let command = as_command(command);
    let nothing = matches!(&command, Command::Shell(text) if text.is_empty())
        || matches!(&command, Command::Exec(words) if words.is_empty());
    if kind == "NONE" {
        // An array counts by its words, so an empty one is nothing.
        return if nothing { Ok(Healthcheck::None) } else { Err(plain(Problem::HealthNoneArguments)) };
    }
    let flags = statement.flags(&HEALTH_FLAGS)?;
    if kind != "CMD" {
        return Err(plain(Problem::HealthType { kind }));
    }
    if nothing {
        return Err(plain(Problem::HealthNoCommand));
    }
    Ok(Healthcheck::Probe {
        command,
        interval: time(&flags, "interval")?,
        timeout: time(&flags, "timeout")?,
        start_period: time(&flags, "start-period")?,
        start_interval: time(&flags, "start-interval")?,
        retries: retries(&flags)?,
    })
}

fn time(flags: &Flags, flag: &'static str) -> Result<i64, Hinted> {
    let Some(text) = flags.value(flag).filter(|text| !text.is_empty()) else { return Ok(0) };
    match parse_duration(&text).map_err(|error| plain(error.into()))? {
        0 => Ok(0),
        time if time < MINIMUM => Err(plain(Problem::IntervalTooShort { flag })),
        time => Ok(time),
    }
}

fn retries(flags: &Flags) -> Result<i64, Hinted> {
    let Some(value) = flags.value("retries").filter(|text| !text.is_empty()) else { return Ok(0) };
    let digits = value.strip_prefix(['-', '+']).unwrap_or(&value);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(plain(Problem::Retries { value, reason: "invalid syntax" }));
    }
    match value.parse::<i32>() {
        Ok(value) if value < 0 => Err(plain(Problem::NegativeRetries { value: value.into() })),
        Ok(value) => Ok(value.into()),
        Err(_) => Err(plain(Problem::Retries { value, reason: "value out of range" })),
    }
}
