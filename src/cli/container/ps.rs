//! `ps`, `container ls`

use clap::Args;

use super::super::error::CliError;
use super::super::filter::{Filters, has_label, truth};
use super::super::format::{Column, List};
use super::super::global::Global;
use super::super::output;
use super::ports::published;
use super::row::{Images, Style, fields, mount_names};
use super::{all, client_setting};
use crate::containers::{Container, State, Status, in_parallel};
use crate::store::Store;

/// List containers
#[derive(Debug, Args)]
pub struct PsArgs {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    pub all: bool,
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Format output: table, table TEMPLATE, json, or a template
    #[arg(long, value_name = "STRING")]
    pub format: Option<String>,
    /// Show n last created containers (includes all states)
    #[arg(short = 'n', long, value_name = "N", allow_hyphen_values = true)]
    pub last: Option<i64>,
    /// Show the latest created container (includes all states)
    #[arg(short, long)]
    pub latest: bool,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
    /// Only display container IDs
    #[arg(short, long)]
    pub quiet: bool,
    /// Display total file sizes
    #[arg(short, long)]
    pub size: bool,
}

/// The fields of a row.
pub(in crate::cli) const COLUMNS: &[Column] = &[
    Column { field: "ID", title: "CONTAINER ID" },
    Column { field: "Image", title: "IMAGE" },
    Column { field: "Command", title: "COMMAND" },
    Column { field: "RunningFor", title: "CREATED" },
    Column { field: "CreatedAt", title: "CREATED AT" },
    Column { field: "Status", title: "STATUS" },
    Column { field: "State", title: "STATE" },
    Column { field: "HealthStatus", title: "HEALTH STATUS" },
    Column { field: "Ports", title: "PORTS" },
    Column { field: "Names", title: "NAMES" },
    Column { field: "Size", title: "SIZE" },
    Column { field: "Labels", title: "LABELS" },
    Column { field: "Mounts", title: "MOUNTS" },
    Column { field: "LocalVolumes", title: "LOCAL VOLUMES" },
    Column { field: "Networks", title: "NETWORKS" },
    Column { field: "Platform", title: "PLATFORM" },
];

/// What docker's old format `raw` shows.
pub(in crate::cli) const RAW: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\n\
    state: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\n\
    labels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n";

/// Which containers are listed.
#[derive(Debug, Default)]
pub struct Listing {
    /// Whether those that do not run are.
    pub all: bool,
    /// So many of the newest ones, in whatever state.
    pub last: Option<usize>,
    /// What they have to be like.
    pub filters: Filters,
}

/// The filters of the list.
pub(in crate::cli) const FILTERS: &[&str] = &[
    "id",
    "name",
    "label",
    "exited",
    "status",
    "ancestor",
    "before",
    "since",
    "volume",
    "network",
    "publish",
    "expose",
    "health",
    "is-task",
    "isolation",
];

/// Runs the command.
///
/// # Errors
/// The containers can't be read, or a filter or a template is none.
pub fn ps(args: &PsArgs, global: &Global) -> Result<(), CliError> {
    let filters = Filters::parse(&args.filter, Listing::FILTERS)?;
    let store = global.store()?;
    let last = if args.latest {
        Some(1)
    } else {
        args.last.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0)
    };
    let found = Listing { all: args.all, last, filters }.found(global)?;
    if args.quiet {
        if args.format.is_some() {
            output::talk("WARNING: Ignoring custom format, because both --format and --quiet are set.");
        }
        let id = |c: &Container| if args.no_trunc { c.config.id.clone() } else { c.short_id().to_owned() };
        let lines: Vec<String> = found.iter().map(|(container, _)| id(container) + "\n").collect();
        return output::data(&lines.concat());
    }
    let format = args.format.clone().or_else(|| client_setting(global, "psFormat"));
    let sized = args.size || format.as_deref().is_some_and(|format| format.contains(".Size"));
    let images = Images::of(store)?;
    let style = Style { whole: args.no_trunc, sizes: sized.then_some(store), images: &images };
    let rows = in_parallel(found.iter().collect(), |(container, state)| fields(container, state, &style));
    let mut default = vec!["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];
    if args.size {
        default.push("Size");
    }
    let labels: Vec<_> = found.iter().map(|(container, _)| &container.config.labels).collect();
    let raw = || if args.size { format!("{RAW}size: {{{{.Size}}}}\n") } else { RAW.to_owned() };
    let format = format.map(|format| if format.trim() == "raw" { raw() } else { format });
    let list = List { columns: COLUMNS, default: &default, rows };
    output::data(&list.render_labelled(format.as_deref(), &labels)?)?;
    // The process ends now: nothing need be taken apart.
    std::mem::forget(found);
    Ok(())
}

type Found = Vec<(Container, State)>;

impl Listing {
    /// The filters that there are.
    pub const FILTERS: &'static [&'static str] = FILTERS;

    /// Returns the containers that fit, newest first, and how they are doing.
    ///
    /// # Errors
    /// The containers can't be read, or a filter's value is none.
    pub fn found(&self, global: &Global) -> Result<Found, CliError> {
        let containers = all(global)?;
        let everything = self.all || self.last.is_some() || !self.filters.values("status").is_empty();
        // One that goes just now is gone.
        let state = |container: Container| container.state().ok().map(|state| (container, state));
        let mut found: Vec<_> = in_parallel(containers.list()?, state).into_iter().flatten().collect();
        found.retain(|(_, state)| everything || state.status.has_monitor());
        keep(&mut found, &self.filters, global.store()?, &containers)?;
        found.truncate(self.last.unwrap_or(usize::MAX));
        Ok(found)
    }
}

fn keep(
    found: &mut Found,
    filters: &Filters,
    store: &Store,
    containers: &crate::containers::Containers,
) -> Result<(), CliError> {
    let any = |key: &str, fits: &dyn Fn(&str) -> bool| {
        let values = filters.values(key);
        values.is_empty() || values.iter().any(|value| fits(value))
    };
    check_words(filters)?;
    let mut ancestors = Vec::new();
    for value in filters.values("ancestor") {
        // An image that is not there has no containers.
        ancestors.extend(store.find_image(value, None).ok());
    }
    let mut bounds = Vec::new();
    for (key, after) in [("before", false), ("since", true)] {
        for value in filters.values(key) {
            let other = containers.find(value).map_err(|e| CliError::engine(&e))?;
            bounds.push((other.config.created, after));
        }
    }
    let mut patterns = Vec::new();
    for (key, of) in [("id", true), ("name", false)] {
        for value in filters.values(key) {
            let bad =
                |_| CliError::new(format!("Error response from daemon: invalid filter '{key}={value}'"));
            patterns.push((of, regex::Regex::new(value).map_err(bad)?));
        }
    }
    let fits = |of_id: bool, text: &[&str]| {
        let mut mine = patterns.iter().filter(|(of, _)| *of == of_id).peekable();
        mine.peek().is_none() || mine.any(|(_, pattern)| text.iter().any(|text| pattern.is_match(text)))
    };
    found.retain(|(container, state)| {
        let config = &container.config;
        let slashed = format!("/{}", config.name);
        fits(true, &[&config.id])
            && fits(false, &[&config.name, &slashed])
            && filters.values("label").iter().all(|label| has_label(&config.labels, label))
            && any("exited", &|code| state.status == Status::Exited && code.parse() == Ok(state.exit_code))
            && any("status", &|word| word == state.status.word())
            && any("health", &|word| {
                word == state.health.as_ref().map_or("none", |health| health.status.as_str())
            })
            && any("volume", &|value| {
                mount_names(container).iter().any(|name| name == value)
                    || config.mounts.iter().any(|mount| mount.target.to_str() == Some(value))
            })
            && any("network", &|value| in_network(container, state, value))
            && any("expose", &|value| exposes(container, value))
            && any("publish", &|value| publishes(state, value))
            && any("is-task", &|value| !["true", "1", "t"].contains(&value))
            && bounds.iter().all(|(created, after)| match after {
                true => config.created > *created,
                false => config.created < *created,
            })
            && (filters.values("ancestor").is_empty()
                || ancestors.iter().any(|image| config.layers.starts_with(&image.layers)))
    });
    Ok(())
}

fn check_words(filters: &Filters) -> Result<(), CliError> {
    let states = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
    let health = ["none", "starting", "healthy", "unhealthy"];
    for (key, words) in [("status", &states[..]), ("health", &health)] {
        if let Some(value) = filters.values(key).iter().find(|value| !words.contains(&value.as_str())) {
            let kind = if key == "status" { "state" } else { key };
            return Err(CliError::new(format!(
                "Error response from daemon: invalid filter '{key}={value}': invalid value for {kind} ({value}): \
                 must be one of {}",
                words.join(", ")
            )));
        }
    }
    if let Some(value) = filters.values("is-task").iter().find(|value| truth(value).is_none()) {
        return Err(CliError::new(format!("Error response from daemon: invalid filter 'is-task=[{value}]'")));
    }
    match filters.values("exited").iter().find(|value| value.parse::<i32>().is_err()) {
        Some(value) => {
            let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
            let number = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
            let why = if number { "value out of range" } else { "invalid syntax" };
            Err(CliError::new(format!(
                "Error response from daemon: invalid filter 'exited={value}': strconv.Atoi: parsing \"{value}\": {why}"
            )))
        }
        None => Ok(()),
    }
}

/// Whether a container is in a network of a name or id.
fn in_network(container: &Container, state: &State, value: &str) -> bool {
    let config = &container.config.network;
    config.mode == value
        || config.attachments.iter().any(|attachment| attachment.network == value)
        || state.endpoints.iter().any(|endpoint| endpoint.network_id.starts_with(value))
}

/// Whether a container has a port of the machine in `PORT[-PORT][/PROTOCOL]`.
fn publishes(state: &State, value: &str) -> bool {
    let Ok(ports) = crate::net::parse_exposed(value) else { return false };
    let published = published(state);
    ports.into_iter().any(|wanted| published.iter().any(|port| (port.host, port.protocol) == wanted))
}

/// Whether a container exposes a port of `PORT[-PORT][/PROTOCOL]`.
fn exposes(container: &Container, value: &str) -> bool {
    let (ports, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else { return false };
    container.config.network.exposed.iter().any(|port| {
        port.split_once('/').is_some_and(|(number, of)| {
            of == protocol && number.parse().is_ok_and(|number| (first..=last).contains(&number))
        })
    })
}
