//! A container as a row of `ps`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::error::CliError;
use super::super::{containers, human, table};
use super::ports;
use crate::containers::{Container, MountSource, State, Status};
use crate::image::Reference;
use crate::store::Store;

/// What rows need of the images, looked up once.
pub struct Images {
    names: BTreeMap<String, String>,
}

impl Images {
    /// Looks up which image each name means now.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn of(store: &Store) -> Result<Self, CliError> {
        let images: BTreeMap<_, _> =
            store.images()?.into_iter().map(|image| (image.manifest, image.id.to_string())).collect();
        let mut names = BTreeMap::new();
        for name in store.refs()? {
            if let Some(id) = images.get(&name.target) {
                names.insert(name.reference.familiar(), id.clone());
            }
        }
        Ok(Self { names })
    }

    /// Returns what stands in the column IMAGE: the name used, or the id if that name now means another image.
    pub fn shown(&self, container: &Container) -> String {
        let config = &container.config;
        let short = || config.image.trim_start_matches("sha256:").get(..12).unwrap_or_default().to_owned();
        if config.image.starts_with(&config.image_name)
            || config.image.trim_start_matches("sha256:").starts_with(&config.image_name)
        {
            return config.image_name.clone();
        }
        let Ok(reference) = Reference::parse(&config.image_name).map(Reference::or_latest) else {
            return config.image_name.clone();
        };
        match self.names.get(&reference.familiar()) {
            // An index means one of several images; its name is right.
            None if reference.digest().is_none() && self.names.values().any(|id| *id == config.image) => {
                short()
            }
            Some(id) if *id != config.image => short(),
            None if self.names.is_empty() => short(),
            _ => config.image_name.split('@').next().unwrap_or_default().to_owned(),
        }
    }
}

/// Returns docker's STATUS.
pub fn status(state: &State) -> String {
    let since = |moment: Option<Timestamp>| {
        let moment = moment.unwrap_or(Timestamp::UNIX_EPOCH);
        human::duration(Timestamp::now().duration_since(moment))
    };
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => match state.health.as_ref().map(|health| health.status.as_str()) {
            None => format!("Up {}", since(state.started)),
            Some("starting") => format!("Up {} (health: starting)", since(state.started)),
            Some(health) => format!("Up {} ({health})", since(state.started)),
        },
        Status::Paused => format!("Up {} (Paused)", since(state.started)),
        Status::Restarting => format!("Restarting ({}) {} ago", state.exit_code, since(state.finished)),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, since(state.finished)),
        Status::Dead => "Dead".to_owned(),
    }
}

/// Returns the command as one text, in docker's quotes.
pub fn command_line(container: &Container) -> String {
    // Docker's quotes: around an argument with a space, whatever else it holds.
    let quoted = |arg: &String| if arg.contains(' ') { format!("'{arg}'") } else { arg.clone() };
    match container.config.args.split_first() {
        None => String::new(),
        Some((path, args)) => args.iter().fold(path.clone(), |text, arg| text + " " + &quoted(arg)),
    }
}

/// Returns the column COMMAND.
fn command(container: &Container, whole: bool) -> String {
    let text = command_line(container);
    if whole { format!("\"{text}\"") } else { format!("\"{}\"", table::ellipsis(&text, 20)) }
}

/// Returns the names of what is mounted: volumes by name, binds by path.
pub fn mount_names(container: &Container) -> Vec<String> {
    let name = |source: &MountSource| match source {
        MountSource::Volume { name, .. } => name.clone(),
        MountSource::Bind { path, .. } => Some(path.clone()),
        MountSource::Image { name, .. } => Some(name.clone()),
        MountSource::Tmpfs { .. } => None,
    };
    container.config.mounts.iter().filter_map(|mount| name(&mount.source)).collect()
}

/// Returns the names of the networks it is in.
fn networks(container: &Container) -> String {
    let config = &container.config.network;
    match config.attachments.as_slice() {
        [] if config.mode.starts_with("container:") => String::new(),
        [] => config.mode.clone(),
        all => all.iter().map(|attachment| attachment.network.as_str()).collect::<Vec<_>>().join(","),
    }
}

/// How rows are made.
pub struct Style<'a> {
    /// Whether ids and commands are whole.
    pub whole: bool,
    /// Whether sizes are found out; without, they are empty.
    pub sizes: Option<&'a Store>,
    /// The images by name.
    pub images: &'a Images,
}

/// Returns a row.
pub fn fields(container: &Container, state: &State, style: &Style<'_>) -> Map<String, Value> {
    let config = &container.config;
    let running = state.status.is_running();
    let mounts: Vec<String> = mount_names(container)
        .into_iter()
        .map(|name| if style.whole { name } else { table::ellipsis(&name, 15) })
        .collect();
    let local = config.mounts.iter().filter(|m| matches!(m.source, MountSource::Volume { .. })).count();
    let labels: Vec<String> = config.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let size = style.sizes.map_or(String::new(), |store| shown_size(container, store));
    let fields = json!({
        "Command": command(container, style.whole),
        "CreatedAt": human::created_at(Some(config.created)),
        "HealthStatus": state.health.as_ref().map_or("", |health| health.status.as_str()),
        "ID": if style.whole { config.id.as_str() } else { container.short_id() },
        "Image": style.images.shown(container),
        "Labels": labels.join(","),
        "LocalVolumes": local.to_string(),
        "Mounts": mounts.join(","),
        "Names": config.name,
        "Networks": networks(container),
        "Platform": config.platform,
        "Ports": if running { ports::column(container, state) } else { String::new() },
        "RunningFor": human::ago(Some(config.created)),
        "Size": size,
        "State": state.status.word(),
        "Status": status(state),
    });
    match fields {
        Value::Object(map) => map,
        _ => unreachable!("an object was written"),
    }
}

fn shown_size(container: &Container, store: &Store) -> String {
    let own = container.dir().dir("upper").map_or(0, |upper| containers::size_below(&upper, 0));
    let image = container.config.image.parse().ok().and_then(|id| store.image(id).ok().flatten());
    let image = image.map_or(0, |image| image.size);
    format!("{} (virtual {})", human::size(own), human::size(own + image))
}
