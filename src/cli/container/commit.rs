//! `commit`

use clap::Args;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::life::ask;
use super::{all, find};
use crate::archive::CommitOptions;
use crate::containers::{Container, Request, Status};
use crate::image::{ContainerConfig, Reference};
use crate::store::{ImageRecord, Store};

/// Create a new image from a container's changes
#[derive(Debug, Args)]
pub struct CommitArgs {
    /// Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
    #[arg(short, long, value_name = "NAME")]
    pub author: Option<String>,
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<String>,
    /// Commit message
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Do not pause the container during commit
    #[arg(long)]
    pub no_pause: bool,
    /// Pause the container during commit
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub pause: Option<bool>,
    /// Container
    #[arg(required = true, value_name = "CONTAINER")]
    pub container: String,
    /// Name of the image
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub name: Option<String>,
}

/// What an image says of its containers.
const OF_IMAGES: [&str; 12] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "Shell",
    "OnBuild",
];

/// What an image is made with.
#[derive(Debug, Default)]
pub struct Commit {
    /// The name that it gets.
    pub name: Option<Reference>,
    /// Who made it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// Instructions of a Dockerfile.
    pub changes: Vec<String>,
    /// Parts of its configuration that stand in the place of the container's.
    pub config: Map<String, Value>,
    /// Whether the container stands still meanwhile.
    pub pause: bool,
}

/// Runs `commit`.
///
/// # Errors
/// There is no such container, its image is gone, or a change is none.
pub fn commit(args: &CommitArgs, global: &Global) -> Result<(), CliError> {
    let name = args.name.as_deref().filter(|name| !name.is_empty());
    let wanted = Commit {
        name: name.map(Reference::parse).transpose()?.map(Reference::or_latest),
        author: args.author.clone().unwrap_or_default(),
        comment: args.message.clone().unwrap_or_default(),
        changes: args.change.clone(),
        config: Map::new(),
        pause: !args.no_pause && args.pause != Some(false),
    };
    let container = find(&all(global)?, &args.container, global)?;
    output::line(&wanted.make(&container, global.store()?)?.id.to_string())
}

impl Commit {
    /// Makes an image of a container's files.
    ///
    /// # Errors
    /// Its image is gone, or a change is none.
    pub fn make(&self, container: &Container, store: &Store) -> Result<ImageRecord, CliError> {
        let gone = || {
            CliError::new(format!("Error response from daemon: No such image: {}", container.config.image))
        };
        let id = container.config.image.parse().map_err(|_| gone())?;
        let base: ImageRecord = store.image(id)?.ok_or_else(gone)?;
        let options = CommitOptions {
            config: self.config_of(container)?,
            author: self.author.clone(),
            comment: self.comment.clone(),
            created_by: container.config.args.join(" "),
            created: Timestamp::now().to_string(),
        };
        let paused = self.pause
            && container.state()?.status == Status::Running
            && matches!(ask(container, &Request::Pause)?, Some(Ok(())));
        let made = crate::archive::commit(store, &base, &container.dir().dir("upper")?, &options);
        if paused {
            ask(container, &Request::Unpause)?;
        }
        let record = made?;
        if let Some(name) = &self.name {
            store.tag(name, record.manifest)?;
        }
        container.event("commit", &[("imageID", &record.id.to_string())]);
        Ok(record)
    }

    /// Returns what the container runs with, in the form that images have it, with the changes.
    fn config_of(&self, container: &Container) -> Result<ContainerConfig, CliError> {
        let mut shown = container.config.shown_config.value();
        if let Some(map) = shown.as_object_mut() {
            map.extend(self.config.clone());
            map.retain(|key, _| OF_IMAGES.contains(&key.as_str()));
        }
        let mut config: ContainerConfig = serde_json::from_value(shown)
            .map_err(|e| CliError::new(format!("the container's configuration means nothing: {e}")))?;
        // Its host name is its own.
        config.env.retain(|pair| !pair.starts_with("HOSTNAME="));
        for change in &self.changes {
            let word = change.split_whitespace().next().unwrap_or_default().to_uppercase();
            if ["RUN", "COPY", "ADD", "FROM", "ARG", "SHELL", "MAINTAINER"].contains(&word.as_str()) {
                return Err(CliError::new(format!(
                    "Error response from daemon: {word} is not a valid change command"
                )));
            }
        }
        super::super::changes::apply(&mut config, &self.changes)?;
        Ok(config)
    }
}
