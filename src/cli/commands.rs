//! The tree of commands.

use clap::{Args, Parser, Subcommand};

use super::bake::BakeArgs;
use super::build::BuildArgs;
use super::completion::CompletionArgs;
use super::container::{
    KillArgs, LogsArgs, NamesArgs, PsArgs, RenameArgs, RestartArgs, RmArgs, StartArgs, StopArgs,
};
use super::copy::CopyArgs;
use super::df::DfArgs;
use super::global::GlobalArgs;
use super::history::HistoryArgs;
use super::images::ImagesArgs;
use super::import::ImportArgs;
use super::info::{InfoArgs, VersionArgs};
use super::inspect::InspectArgs;
use super::load::LoadArgs;
use super::login::{LoginArgs, LogoutArgs};
use super::manifest::ManifestCommand;
use super::prune::{BuilderPruneArgs, ContainerPruneArgs, ImagePruneArgs, SystemPruneArgs};
use super::pull::PullArgs;
use super::push::PushArgs;
use super::registry::RegistryCommand;
use super::rmi::RmiArgs;
use super::run::{CreateArgs, RunArgs};
use super::save::SaveArgs;
use super::search::SearchArgs;
use super::tag::TagArgs;
use super::tags::TagsArgs;

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
    Build(Box<BuildArgs>),
    /// Build from a file
    Bake(Box<BakeArgs>),
    #[command(flatten)]
    Life(LifeCommand),
    /// Remove one or more containers
    Rm(RmArgs),
    /// List containers
    Ps(PsArgs),
    /// List images
    Images(ImagesArgs),
    /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
    Tag(TagArgs),
    /// List the tags of a repository in its registry
    Tags(TagsArgs),
    /// Remove one or more images
    Rmi(RmiArgs),
    /// Return low-level information on images
    Inspect(InspectArgs),
    /// Show the history of an image
    History(HistoryArgs),
    /// Save one or more images to a tar archive (streamed to STDOUT by default)
    Save(SaveArgs),
    /// Load an image from a tar archive or STDIN
    Load(LoadArgs),
    /// Import the contents from a tarball to create a filesystem image
    Import(ImportArgs),
    /// Download an image from a registry
    Pull(PullArgs),
    /// Upload an image to a registry
    Push(PushArgs),
    /// Copy an image between registries, OCI layouts, archives and the store without unpacking it
    Copy(CopyArgs),
    /// Authenticate to a registry
    Login(LoginArgs),
    /// Log out from a registry
    Logout(LogoutArgs),
    /// Search a registry for images
    Search(SearchArgs),
    /// Manage image manifests and manifest lists
    Manifest(Group<ManifestCommand>),
    /// Manage images
    Image(Group<ImageCommand>),
    /// Manage builds
    Builder(Group<BuilderCommand>),
    /// Manage builds (docker's extended build commands)
    Buildx(Group<BuilderCommand>),
    /// Manage containers
    Container(Group<ContainerCommand>),
    /// Serve images to other machines
    Registry(Group<RegistryCommand>),
    /// Manage Skiff
    System(Group<SystemCommand>),
    /// Show the version information
    Version(VersionArgs),
    /// Display system-wide information
    Info(InfoArgs),
    /// Generate the completion script for a shell
    Completion(CompletionArgs),
}

/// A command that only holds others.
#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub struct Group<T: Subcommand> {
    #[command(subcommand)]
    pub command: T,
}

/// `image ...`
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Build an image from a Dockerfile
    Build(Box<BuildArgs>),
    /// List images
    #[command(alias = "list")]
    Ls(ImagesArgs),
    /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
    Tag(TagArgs),
    /// Remove one or more images
    #[command(alias = "remove")]
    Rm(RmiArgs),
    /// Display detailed information on one or more images
    Inspect(InspectArgs),
    /// Show the history of an image
    History(HistoryArgs),
    /// Save one or more images to a tar archive (streamed to STDOUT by default)
    Save(SaveArgs),
    /// Load an image from a tar archive or STDIN
    Load(LoadArgs),
    /// Import the contents from a tarball to create a filesystem image
    Import(ImportArgs),
    /// Download an image from a registry
    Pull(PullArgs),
    /// Upload an image to a registry
    Push(PushArgs),
    /// Remove unused images
    Prune(ImagePruneArgs),
}

/// `builder ...` and `buildx ...`
#[derive(Debug, Subcommand)]
pub enum BuilderCommand {
    /// Build an image from a Dockerfile
    #[command(visible_alias = "b")]
    Build(Box<BuildArgs>),
    /// Build from a file
    #[command(visible_alias = "f")]
    Bake(Box<BakeArgs>),
    /// Remove build cache
    Prune(BuilderPruneArgs),
}

/// What goes by the same name with and without `container`.
#[derive(Debug, Subcommand)]
pub enum LifeCommand {
    /// Create and run a new container from an image
    #[command(disable_help_flag = true)]
    Run(Box<RunArgs>),
    /// Create a new container
    #[command(disable_help_flag = true)]
    Create(Box<CreateArgs>),
    /// Start one or more stopped containers
    Start(StartArgs),
    /// Stop one or more running containers
    Stop(StopArgs),
    /// Restart one or more containers
    Restart(RestartArgs),
    /// Kill one or more running containers
    Kill(KillArgs),
    /// Pause all processes within one or more containers
    Pause(NamesArgs),
    /// Unpause all processes within one or more containers
    Unpause(NamesArgs),
    /// Block until one or more containers stop, then print their exit codes
    Wait(NamesArgs),
    /// Rename a container
    Rename(RenameArgs),
    /// Fetch the logs of a container
    Logs(LogsArgs),
}

/// `container ...`
#[derive(Debug, Subcommand)]
pub enum ContainerCommand {
    #[command(flatten)]
    Life(LifeCommand),
    /// Remove one or more containers
    #[command(alias = "remove")]
    Rm(RmArgs),
    /// Remove all stopped containers
    Prune(ContainerPruneArgs),
    /// List containers
    #[command(aliases = ["list", "ps"])]
    Ls(PsArgs),
}

/// `system ...`
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Show disk usage
    Df(DfArgs),
    /// Display system-wide information
    Info(InfoArgs),
    /// Remove unused data
    Prune(SystemPruneArgs),
}
