//! `commit`

use clap::Args;
use jiff::Timestamp;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::life::ask;
use super::{all, find};
use crate::archive::CommitOptions;
use crate::containers::{Request, Status};
use crate::image::{ContainerConfig, Reference};
use crate::store::ImageRecord;

/// Create a new image from a container's changes
#[derive(Debug, Args)]
pub struct CommitArgs {
    /// Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Commit message
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Do not pause the container during commit
    #[arg(long)]
    no_pause: bool,
    /// Pause the container during commit
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pause: Option<bool>,
    /// Container
    #[arg(required = true, value_name = "CONTAINER")]
    container: String,
    /// Name of the image
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
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

/// Runs `commit`.
///
/// # Errors
/// There is no such container, its image is gone, or a change is none.
pub fn commit(args: &CommitArgs, global: &Global) -> Result<(), CliError> {
    let name = args.name.as_deref().filter(|name| !name.is_empty());
    let name = name.map(Reference::parse).transpose()?.map(Reference::or_latest);
    let containers = all(global)?;
    let container = find(&containers, &args.container, global)?;
    let store = global.store()?;
    let gone =
        || CliError::new(format!("Error response from daemon: No such image: {}", container.config.image));
    let id = container.config.image.parse().map_err(|_| gone())?;
    let base: ImageRecord = store.image(id)?.ok_or_else(gone)?;
    // What it runs with, in the form that images have it.
    let mut shown = container.config.shown_config.value();
    if let Some(map) = shown.as_object_mut() {
        map.retain(|key, _| OF_IMAGES.contains(&key.as_str()));
    }
    let mut config: ContainerConfig = serde_json::from_value(shown)
        .map_err(|e| CliError::new(format!("the container's configuration means nothing: {e}")))?;
    // Its host name is its own.
    config.env.retain(|pair| !pair.starts_with("HOSTNAME="));
    for change in &args.change {
        let word = change.split_whitespace().next().unwrap_or_default().to_uppercase();
        if ["RUN", "COPY", "ADD", "FROM", "ARG", "SHELL", "MAINTAINER"].contains(&word.as_str()) {
            return Err(CliError::new(format!(
                "Error response from daemon: {word} is not a valid change command"
            )));
        }
    }
    super::super::changes::apply(&mut config, &args.change)?;
    let options = CommitOptions {
        config,
        author: args.author.clone().unwrap_or_default(),
        comment: args.message.clone().unwrap_or_default(),
        created_by: container.config.args.join(" "),
        created: Timestamp::now().to_string(),
    };
    let wanted = !args.no_pause && args.pause != Some(false);
    let paused = wanted
        && container.state()?.status == Status::Running
        && matches!(ask(&container, &Request::Pause)?, Some(Ok(())));
    let made = crate::archive::commit(store, &base, &container.dir().dir("upper")?, &options);
    if paused {
        ask(&container, &Request::Unpause)?;
    }
    let record = made?;
    if let Some(name) = name {
        store.tag(&name, record.manifest)?;
    }
    container.event("commit", &[("imageID", &record.id.to_string())]);
    output::line(&record.id.to_string())
}
