//! `top`

use std::process::{Command, Stdio};

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::{output, table};
use super::{all, find};
use crate::containers::Container;
use crate::fs::{Follow, Root};

/// Display the running processes of a container
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Container
    #[arg(required = true, value_name = "CONTAINER")]
    pub container: String,
    /// What ps(1) takes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ps OPTIONS")]
    pub options: Vec<String>,
}

const TITLES: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];

/// Runs `top`.
///
/// # Errors
/// The container does not run, or ps(1) fails.
pub fn top(args: &TopArgs, global: &Global) -> Result<(), CliError> {
    let containers = all(global)?;
    let container = find(&containers, &args.container, global)?;
    output::data(&layout(&rows(&container, &args.options)?))
}

/// Returns what ps(1) says of a container's processes, its header first; without options as `ps -ef` does.
///
/// # Errors
/// The container does not run, or ps(1) fails.
pub fn rows(container: &Container, options: &[String]) -> Result<Vec<Vec<String>>, CliError> {
    let pids = processes(container)?;
    let rows = match options {
        [] => own(&pids)?,
        [only] if only == "-ef" => own(&pids)?,
        options => by_ps(options, &pids)?,
    };
    container.event("top", &[]);
    Ok(rows)
}

/// Returns the numbers of a container's processes on the host.
///
/// # Errors
/// It does not run.
pub fn processes(container: &Container) -> Result<Vec<i32>, CliError> {
    let state = container.state()?;
    if !state.status.is_running() {
        let id = &container.config.id;
        return Err(CliError::new(format!("Error response from daemon: container {id} is not running")));
    }
    let mut found = crate::run::cgroup_processes(&state.cgroups);
    if found.is_empty() {
        // An ordinary user's may have no cgroup; but nobody else sees its mounts.
        found = crate::run::processes_beside(state.pid).map_err(|e| CliError::engine(&e))?;
    }
    found.sort_unstable();
    Ok(found)
}

/// Returns what `ps -ef` says, header first.
fn own(pids: &[i32]) -> Result<Vec<Vec<String>>, CliError> {
    let mut rows = vec![TITLES.iter().map(ToString::to_string).collect()];
    let etc = Root::open("/etc".as_ref())?;
    let passwd = String::from_utf8_lossy(&etc.read("passwd", 16 << 20).unwrap_or_default()).into_owned();
    let proc = Root::open("/proc".as_ref())?;
    let text = |path: String| {
        proc.read(path, 1 << 20).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).ok()
    };
    let boot: i64 = text("stat".to_owned())
        .and_then(|all| all.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()))
        .unwrap_or(0);
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    for pid in pids {
        // One that ends just now is none.
        let Some(stat) = text(format!("{pid}/stat")) else { continue };
        let uid = proc.stat(pid.to_string(), Follow::No).ok().flatten().map_or(0, |stat| stat.uid);
        let command = text(format!("{pid}/cmdline")).unwrap_or_default();
        rows.extend(row(*pid, &stat, &user_name(&passwd, uid), &command, (boot, ticks)));
    }
    Ok(rows)
}

fn user_name(passwd: &str, uid: u32) -> String {
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}

/// Reads proc_pid_stat(5).
fn row(pid: i32, stat: &str, user: &str, command: &str, (boot, ticks): (i64, u64)) -> Option<Vec<String>> {
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<i64>().ok());
    let per_second = i64::try_from(ticks).ok()?;
    let used = (number(11)? + number(12)?) / per_second;
    let began = boot + number(19)? / per_second;
    let now = Timestamp::now();
    let age = (now.as_second() - began).max(1);
    let begun = Timestamp::from_second(began).ok()?.to_zoned(TimeZone::system());
    let today = begun.date() == now.to_zoned(TimeZone::system()).date();
    let begun = if today { begun.strftime("%H:%M") } else { begun.strftime("%b%d") }.to_string();
    let terminal = match number(4)? {
        0 => "?".to_owned(),
        // Major 136 and on are pseudo-terminals, 256 each (tty_nr of proc_pid_stat(5)).
        number if (136..144).contains(&(number >> 8 & 0xfff)) => {
            format!("pts/{}", (number & 0xff | number >> 12 & 0xfff00) + 256 * ((number >> 8 & 0xfff) - 136))
        }
        number => format!("tty{}", number & 0xff),
    };
    let command = command.trim_end_matches('\0').replace('\0', " ");
    let command = if command.is_empty() { format!("[{name}]") } else { command };
    let time = format!("{:02}:{:02}:{:02}", used / 3600, used / 60 % 60, used % 60);
    let columns =
        [pid.to_string(), number(1)?.to_string(), (used * 100 / age).to_string(), begun, terminal, time];
    Some([user.to_owned()].into_iter().chain(columns).chain([command]).collect())
}

/// Has the host's ps(1) say it, of which only the container's rows are shown.
fn by_ps(options: &[String], pids: &[i32]) -> Result<Vec<Vec<String>>, CliError> {
    let failed = |why: String| CliError::new(format!("Error response from daemon: error running ps: {why}"));
    let out = Command::new("ps").args(options).stdin(Stdio::null()).output();
    let out = out.map_err(|e| failed(e.to_string()))?;
    if !out.status.success() {
        // Its first line says why, the others how it is used.
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let why = said.lines().find(|line| !line.is_empty()).unwrap_or("it failed");
        return Err(CliError::new(format!("Error response from daemon: ps: {why}")));
    }
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut lines = text.lines();
    let titles: Vec<String> =
        lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let at = titles.iter().position(|title| title == "PID");
    let at =
        at.ok_or_else(|| CliError::new("Error response from daemon: Couldn't find PID field in ps output"))?;
    let mut rows = vec![titles];
    let count = rows[0].len();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.get(at).and_then(|word| word.parse().ok()).is_some_and(|pid| pids.contains(&pid)) {
            let (first, last) = words.split_at(words.len().min(count - 1));
            let mut row: Vec<String> = first.iter().map(ToString::to_string).collect();
            row.push(last.join(" "));
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Columns of at least 20, three blanks between them, as docker's client lays them out.
pub fn layout(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|at| {
            rows.iter()
                .filter_map(|row| row.get(at))
                .map(|cell| table::width(cell) + 3)
                .max()
                .unwrap_or(0)
                .max(20)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if at + 1 < row.len() {
                text.extend(std::iter::repeat_n(' ', widths[at].saturating_sub(table::width(cell))));
            }
        }
        text.push('\n');
    }
    text
}
