//! `stats`

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use super::super::error::CliError;
use super::super::format::{Column, List};
use super::super::global::Global;
use super::super::{human, output};
use super::{all, client_setting, find};
use crate::containers::{Container, Containers, Machine, Usage};

/// Time between two looks, which processor use is reckoned over.
const INTERVAL: Duration = Duration::from_secs(1);
/// The same for a single answer.
const ONCE: Duration = Duration::from_millis(500);

/// Display a live stream of container(s) resource usage statistics
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Containers
    #[arg(value_name = "CONTAINER")]
    pub names: Vec<String>,
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    pub all: bool,
    /// Format output: table, table TEMPLATE, json, or a template
    #[arg(long, value_name = "STRING")]
    pub format: Option<String>,
    /// Disable streaming stats and only pull the first result
    #[arg(long)]
    pub no_stream: bool,
    /// Do not truncate output
    #[arg(long)]
    pub no_trunc: bool,
}

/// The fields of a row.
pub const COLUMNS: &[Column] = &[
    Column { field: "Container", title: "CONTAINER" },
    Column { field: "ID", title: "CONTAINER ID" },
    Column { field: "Name", title: "NAME" },
    Column { field: "CPUPerc", title: "CPU %" },
    Column { field: "MemUsage", title: "MEM USAGE / LIMIT" },
    Column { field: "MemPerc", title: "MEM %" },
    Column { field: "NetIO", title: "NET I/O" },
    Column { field: "BlockIO", title: "BLOCK I/O" },
    Column { field: "PIDs", title: "PIDS" },
];
/// The fields of the default table.
pub const DEFAULT: &[&str] = &["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"];

/// Runs the command.
///
/// # Errors
/// A container is not there, or the format is none.
pub fn stats(args: &StatsArgs, global: &Global) -> Result<(), CliError> {
    let containers = all(global)?;
    let missing: Vec<String> =
        args.names.iter().filter_map(|name| find(&containers, name, global).err()).map(|e| e.text).collect();
    if !missing.is_empty() {
        return Err(CliError::new(missing.join("\n")));
    }
    let format = args.format.clone().or_else(|| client_setting(global, "statsFormat"));
    // A template that means nothing is refused before anything is waited for.
    List { columns: COLUMNS, default: DEFAULT, rows: Vec::new() }.render(format.as_deref())?;
    let draws = !args.no_stream && std::io::stdout().is_terminal();
    let mut before = Look::now(&containers, args)?;
    loop {
        std::thread::sleep(if args.no_stream { ONCE } else { INTERVAL });
        let now = Look::now(&containers, args)?;
        let rows = now.rows.iter().map(|seen| row(seen, &before, &now.machine, args.no_trunc)).collect();
        let text = List { columns: COLUMNS, default: DEFAULT, rows }.render(format.as_deref())?;
        output::data(&if draws { drawn(&text) } else { text })?;
        // Once all that were named are removed, nothing can come any more.
        if args.no_stream || !args.names.is_empty() && now.rows.is_empty() {
            return Ok(());
        }
        before = now;
    }
}

/// Puts a text in the place of the last one on a terminal.
pub fn drawn(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("{line}\x1b[K\n")).collect();
    format!("\x1b[H{lines}\x1b[J")
}

/// A container, and what it used at a moment.
struct Seen {
    /// As it was named, else its short id.
    named: String,
    container: Container,
    usage: Usage,
}

/// What all used at a moment.
struct Look {
    machine: Machine,
    rows: Vec<Seen>,
}

impl Look {
    fn now(containers: &Containers, args: &StatsArgs) -> Result<Self, CliError> {
        let machine = Machine::look()?;
        let mut rows = Vec::new();
        let found: Vec<(String, Container)> = match args.names.is_empty() {
            true => containers.list()?.into_iter().map(|one| (one.short_id().to_owned(), one)).collect(),
            // One that is removed meanwhile is shown no more.
            false => {
                let named = |name: &String| Some((name.clone(), containers.find(name).ok()?));
                args.names.iter().filter_map(named).collect()
            }
        };
        for (named, container) in found {
            let Ok(state) = container.state() else { continue };
            if args.names.is_empty() && !args.all && !state.status.is_running() {
                continue;
            }
            let usage = container.usage(&state, &machine)?;
            rows.push(Seen { named, container, usage });
        }
        Ok(Self { machine, rows })
    }
}

fn row(seen: &Seen, before: &Look, machine: &Machine, whole: bool) -> Map<String, Value> {
    let (config, usage) = (&seen.container.config, &seen.usage);
    let id = if whole { &config.id } else { seen.container.short_id() };
    let last = before.rows.iter().find(|other| other.container.config.id == config.id);
    let share = last.map_or(Some(0.0), |last| share(&last.usage, usage, &before.machine, machine));
    let percent = |value: Option<f64>| value.map_or("--".to_owned(), |value| format!("{value:.2}%"));
    let pair = |pair: Option<(u64, u64)>| {
        pair.map_or("-- / --".to_owned(), |(a, b)| format!("{} / {}", human::size(a), human::size(b)))
    };
    let memory = usage.memory.map_or("-- / --".to_owned(), |used| {
        format!("{} / {}", human::memory(used), human::memory(usage.memory_limit))
    });
    let of_limit = usage.memory.map(|used| match usage.memory_limit {
        0 => 0.0,
        limit => used as f64 / limit as f64 * 100.0,
    });
    BTreeMap::from([
        ("Container", seen.named.clone()),
        ("ID", id.to_owned()),
        ("Name", config.name.clone()),
        ("CPUPerc", percent(share)),
        ("MemUsage", memory),
        ("MemPerc", percent(of_limit)),
        ("NetIO", pair(usage.network)),
        ("BlockIO", pair(usage.block)),
        ("PIDs", usage.tasks.map_or("--".to_owned(), |tasks| tasks.to_string())),
    ])
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.into()))
    .collect()
}

/// Returns the use of processors between two looks, in percent of one of them.
fn share(before: &Usage, now: &Usage, machine: &Machine, later: &Machine) -> Option<f64> {
    let (before, now) = (before.cpu?, now.cpu?);
    let all = later.cpu.saturating_sub(machine.cpu);
    // A container that was started again counts from zero.
    let used = now.saturating_sub(before);
    Some(if all == 0 { 0.0 } else { used as f64 / all as f64 * later.cpus as f64 * 100.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_one_processor() {
        let machine = |cpu| Machine { cpu, cpus: 4, memory: 0 };
        let usage = |cpu| Usage { cpu, ..Usage::default() };
        for (before, now, expected) in [
            (Some(100), Some(350), Some(100.0)),
            (Some(100), Some(100), Some(0.0)),
            (Some(900), Some(100), Some(0.0)),
            (None, Some(1), None),
        ] {
            assert_eq!(share(&usage(before), &usage(now), &machine(1000), &machine(2000)), expected);
        }
        assert_eq!(share(&usage(Some(1)), &usage(Some(2)), &machine(5), &machine(5)), Some(0.0));
    }
}
