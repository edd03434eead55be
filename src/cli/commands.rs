//! The tree of commands.

use clap::{Args, Parser, Subcommand};

use super::bake::BakeArgs;
use super::build::BuildArgs;
use super::buildx;
use super::buildx::imagetools::ImagetoolsCommand;
use super::completion::CompletionArgs;
use super::container::{
    AttachArgs, BundleArgs, CommitArgs, CpArgs, DiffArgs, EventsArgs, ExecArgs, ExportArgs, KillArgs,
    LogsArgs, NamesArgs, PortArgs, PsArgs, RenameArgs, RestartArgs, RmArgs, StartArgs, StartContainersArgs,
    StatsArgs, StopArgs, TopArgs, UpdateArgs,
};
use super::context::ContextCommand;
use super::copy::CopyArgs;
use super::df::DfArgs;
use super::global::GlobalArgs;
use super::history::HistoryArgs;
use super::images::ImagesArgs;
use super::import::ImportArgs;
use super::info::{InfoArgs, VersionArgs};
use super::inspect::InspectArgs;
use super::later::Later;
use super::load::LoadArgs;
use super::login::{LoginArgs, LogoutArgs};
use super::manifest::ManifestCommand;
use super::network::NetworkCommand;
use super::prune::{BuilderPruneArgs, ContainerPruneArgs, ImagePruneArgs, SystemPruneArgs};
use super::pull::PullArgs;
use super::push::PushArgs;
use super::registry::RegistryCommand;
use super::rmi::RmiArgs;
use super::run::{CreateArgs, RunArgs};
use super::save::SaveArgs;
use super::search::SearchArgs;
use super::service::ServiceArgs;
use super::tag::TagArgs;
use super::tags::TagsArgs;
use super::volume::VolumeCommand;

/// Builds container images from Dockerfiles, stores them, moves them and runs them
#[derive(Debug, Parser)]
#[command(name = "skiff", disable_help_subcommand = true, disable_version_flag = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    /// Print version information and quit
    #[arg(short = 'v', long)]
    pub version: bool,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image from a Dockerfile
    #[command(visible_alias = "b")]
    Build(Later<BuildArgs>),
    /// Build from a file
    Bake(Later<BakeArgs>),
    #[command(flatten)]
    Life(LifeCommand),
    /// Remove one or more containers
    Rm(Later<RmArgs>),
    /// List containers
    Ps(Later<PsArgs>),
    /// List images
    Images(Later<ImagesArgs>),
    /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
    Tag(Later<TagArgs>),
    /// List the tags of a repository in its registry
    Tags(Later<TagsArgs>),
    /// Remove one or more images
    Rmi(Later<RmiArgs>),
    /// Return low-level information on containers, images and volumes
    Inspect(Later<InspectArgs>),
    /// Show the history of an image
    History(Later<HistoryArgs>),
    /// Save one or more images to a tar archive (streamed to STDOUT by default)
    Save(Later<SaveArgs>),
    /// Load an image from a tar archive or STDIN
    Load(Later<LoadArgs>),
    /// Import the contents from a tarball to create a filesystem image
    Import(Later<ImportArgs>),
    /// Download an image from a registry
    Pull(Later<PullArgs>),
    /// Upload an image to a registry
    Push(Later<PushArgs>),
    /// Copy an image between registries, OCI layouts, archives and the store without unpacking it
    Copy(Later<CopyArgs>),
    /// Authenticate to a registry
    Login(Later<LoginArgs>),
    /// Log out from a registry
    Logout(Later<LogoutArgs>),
    /// Search a registry for images
    Search(Later<SearchArgs>),
    /// Manage image manifests and manifest lists
    Manifest(Group<ManifestCommand>),
    /// Manage images
    Image(Group<ImageCommand>),
    /// Manage builds
    Builder(BuilderGroup),
    /// Manage builds (docker's extended build commands)
    Buildx(BuilderGroup),
    /// Manage containers
    Container(Group<ContainerCommand>),
    /// Manage networks
    Network(Group<NetworkCommand>),
    /// Manage contexts: engines under names
    Context(Group<ContextCommand>),
    /// Get real time events from the store
    Events(Later<EventsArgs>),
    /// Manage volumes
    Volume(Group<VolumeCommand>),
    /// Serve images to other machines
    Registry(Group<RegistryCommand>),
    /// Manage Skiff
    System(Group<SystemCommand>),
    /// Serve the Engine API, for programs that speak it
    #[command(hide = true)]
    Daemon(Later<ServiceArgs>),
    /// Show the version information
    Version(Later<VersionArgs>),
    /// Display system-wide information
    Info(Later<InfoArgs>),
    /// Generate the completion script for a shell
    Completion(Later<CompletionArgs>),
}

/// A command that only holds others.
#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub struct Group<T: Subcommand> {
    #[command(subcommand)]
    pub command: T,
}

/// `builder ...` and `buildx ...`
#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub struct BuilderGroup {
    /// Name of the builder; there is one
    #[arg(long, value_name = "NAME")]
    pub builder: Option<String>,
    #[command(subcommand)]
    pub command: BuilderCommand,
}

/// `image ...`
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Build an image from a Dockerfile
    Build(Later<BuildArgs>),
    /// List images
    #[command(alias = "list")]
    Ls(Later<ImagesArgs>),
    /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
    Tag(Later<TagArgs>),
    /// Remove one or more images
    #[command(alias = "remove")]
    Rm(Later<RmiArgs>),
    /// Display detailed information on one or more images
    Inspect(Later<InspectArgs>),
    /// Show the history of an image
    History(Later<HistoryArgs>),
    /// Save one or more images to a tar archive (streamed to STDOUT by default)
    Save(Later<SaveArgs>),
    /// Load an image from a tar archive or STDIN
    Load(Later<LoadArgs>),
    /// Import the contents from a tarball to create a filesystem image
    Import(Later<ImportArgs>),
    /// Download an image from a registry
    Pull(Later<PullArgs>),
    /// Upload an image to a registry
    Push(Later<PushArgs>),
    /// Remove unused images
    Prune(Later<ImagePruneArgs>),
}

/// `builder ...` and `buildx ...`
#[derive(Debug, Subcommand)]
pub enum BuilderCommand {
    /// Build an image from a Dockerfile
    #[command(visible_alias = "b")]
    Build(Later<BuildArgs>),
    /// Build from a file
    #[command(visible_alias = "f")]
    Bake(Later<BakeArgs>),
    /// Remove build cache
    Prune(Later<BuilderPruneArgs>),
    /// Disk usage
    Du(Later<buildx::DuArgs>),
    /// List builder instances
    Ls(Later<buildx::LsArgs>),
    /// Inspect current builder instance
    Inspect(Later<buildx::InspectArgs>),
    /// Create a new builder instance
    Create(Later<buildx::CreateArgs>),
    /// Set the current builder instance
    Use(Later<buildx::UseArgs>),
    /// Remove one or more builder instances
    Rm(Later<buildx::RmArgs>),
    /// Stop builder instance
    Stop(Later<buildx::StopArgs>),
    /// Show buildx version information
    Version(Later<buildx::VersionArgs>),
    /// Commands to work on images in registry
    Imagetools(Group<ImagetoolsCommand>),
}

/// What goes by the same name with and without `container`.
#[derive(Debug, Subcommand)]
pub enum LifeCommand {
    /// Create and run a new container from an image
    #[command(disable_help_flag = true)]
    Run(Later<RunArgs>),
    /// Create a new container
    #[command(disable_help_flag = true)]
    Create(Later<CreateArgs>),
    /// Execute a command in a running container
    Exec(Later<ExecArgs>),
    /// Start one or more stopped containers
    Start(Later<StartArgs>),
    /// Stop one or more running containers
    Stop(Later<StopArgs>),
    /// Restart one or more containers
    Restart(Later<RestartArgs>),
    /// Kill one or more running containers
    Kill(Later<KillArgs>),
    /// Pause all processes within one or more containers
    Pause(Later<NamesArgs>),
    /// Unpause all processes within one or more containers
    Unpause(Later<NamesArgs>),
    /// Block until one or more containers stop, then print their exit codes
    Wait(Later<NamesArgs>),
    /// Attach local standard input, output, and error streams to a running container
    Attach(Later<AttachArgs>),
    /// Create a new image from a container's changes
    Commit(Later<CommitArgs>),
    /// Copy files/folders between a container and the local filesystem
    Cp(Later<CpArgs>),
    /// Inspect changes to files or directories on a container's filesystem
    Diff(Later<DiffArgs>),
    /// Export a container's filesystem as a tar archive
    Export(Later<ExportArgs>),
    /// Display a live stream of container(s) resource usage statistics
    Stats(Later<StatsArgs>),
    /// Display the running processes of a container
    Top(Later<TopArgs>),
    /// Update configuration of one or more containers
    Update(Later<UpdateArgs>),
    /// Rename a container
    Rename(Later<RenameArgs>),
    /// List port mappings or a specific mapping for the container
    Port(Later<PortArgs>),
    /// Fetch the logs of a container
    Logs(Later<LogsArgs>),
}

/// `container ...`
#[derive(Debug, Subcommand)]
pub enum ContainerCommand {
    #[command(flatten)]
    Life(LifeCommand),
    /// Remove one or more containers
    #[command(alias = "remove")]
    Rm(Later<RmArgs>),
    /// Write a container as a bundle that other OCI runtimes run
    Bundle(Later<BundleArgs>),
    /// Display detailed information on one or more containers
    Inspect(Later<InspectArgs>),
    /// Remove all stopped containers
    Prune(Later<ContainerPruneArgs>),
    /// List containers
    #[command(aliases = ["list", "ps"])]
    Ls(Later<PsArgs>),
}

/// `system ...`
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Start the containers whose restart policy wants them to run after a boot
    StartContainers(Later<StartContainersArgs>),
    /// Show disk usage
    Df(Later<DfArgs>),
    /// Get real time events from the store
    Events(Later<EventsArgs>),
    /// Display system-wide information
    Info(Later<InfoArgs>),
    /// Remove unused data
    Prune(Later<SystemPruneArgs>),
    /// Serve the Engine API, for programs that speak it
    Service(Later<ServiceArgs>),
    /// Serve the Engine API to whoever is at the other end of standard input and output, as ssh:// endpoints do
    #[command(hide = true)]
    DialStdio,
}
