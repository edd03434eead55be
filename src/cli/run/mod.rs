//! `run`: one container in the foreground, from start to end.
//!
//! `args` and `refused` are the flags; `process`, `environment`, `limits`,
//! `managed` and `mount_flags` turn them into plain data; `mounts`, `volumes`
//! and `container` open what is on disk; `attach` and `signals` are with the
//! container until it ends.

mod args;
mod attach;
mod container;
mod environment;
mod limits;
mod managed;
mod mount_flags;
#[cfg(test)]
mod mount_flags_tests;
mod mounts;
pub mod process;
mod refused;
mod signals;
mod volumes;

use std::process::ExitCode;

pub use args::RunArgs;
pub use attach::attach_terminal;

use super::containers::Uses;
use super::error::{CliError, chain};
use super::global::Global;
use super::pull::pull_one;
use super::render::Out;
use super::{files, output, registries};
use crate::image::{Platform, Reference};
use crate::layers::ChownPolicy;
use crate::registry::pull::PullOptions;
use crate::run::rootless::Mapping;
use crate::run::{Executor as _, NamespaceExecutor, ProcessSpec, Rootfs, RunError, Running};
use crate::store::{ImageRecord, StoreError};
use container::Container;
pub use container::sweep;
use mount_flags::Wanted;
use signals::Proxy;

/// Exit code of what failed before the command ran.
const BEFORE: u8 = 125;

/// Runs the command.
///
/// # Errors
/// The container could not be started, with docker's exit code for it.
pub fn run(args: RunArgs, global: &Global) -> Result<ExitCode, CliError> {
    attach::check(&args)?;
    run_container(&args, global).map(ExitCode::from).map_err(|error| {
        let text = match error.text.as_str() {
            "" => String::new(),
            text => format!("docker: {text}\n\nRun '{} run --help' for more information", global.program),
        };
        let code = if error.code == 1 { BEFORE } else { error.code };
        CliError { text, code }
    })
}

fn run_container(args: &RunArgs, global: &Global) -> Result<u8, CliError> {
    check(args)?;
    let proxied = args.process.tty || args.process.sig_proxy != Some(false);
    let proxy = if proxied { Some(Proxy::start()?) } else { None };
    let store = global.store()?;
    let lease = store.lease()?;
    let image = image(args, global)?;
    lease.keep_image(&image)?;
    let (config, _) = store.config(image.id)?;
    let id = random_id()?;
    let note = IdFile::write(args, &id)?;
    let view = store.mount(&image.layers)?;
    let mut spec = process::spec(args, &config.config, &view, &id)?;
    let wanted = mounts::wanted(&args.files, &config.config)?;
    // What the user mounts on one of our files stands in its place.
    spec.mounts.retain(|ours| wanted.iter().all(|theirs| theirs.target != ours.target));
    let container = Container::create(store, &id, &view)?;
    uses(args, &image, &spec, &wanted).write(container.root())?;
    let mut volumes = volumes::Volumes::new(store, &view, &container, chown(global));
    spec.mounts.extend(mounts::open(wanted, &mut volumes)?);
    let rootfs = Rootfs {
        lowers: store.trees(&image.layers)?,
        upper: Some(container.writable()?),
        read_only: args.files.read_only,
        userxattr: store.userxattr()?,
    };
    let running = start(args, &spec, rootfs, proxy.as_ref())?;
    drop(spec);
    note.keep();
    attach::attach(args, running, proxy)
}

fn uses(args: &RunArgs, image: &ImageRecord, spec: &ProcessSpec, wanted: &[Wanted]) -> Uses {
    Uses {
        image: image.id.to_string(),
        image_name: args.image.clone(),
        command: spec.args.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect(),
        created: jiff::Timestamp::now().as_second(),
        name: args.process.name.clone().unwrap_or_default(),
        volumes: mounts::volume_names(wanted),
    }
}

/// Where only one id is mapped, no file can be given to anybody else.
fn chown(global: &Global) -> ChownPolicy {
    match global.mapping {
        Some(Mapping::Single { .. }) => ChownPolicy::Ignore,
        _ => ChownPolicy::Exact,
    }
}

fn start(
    args: &RunArgs,
    spec: &ProcessSpec,
    rootfs: Rootfs,
    proxy: Option<&Proxy>,
) -> Result<Box<dyn Running>, CliError> {
    let io = attach::io(args)?;
    if let Some(proxy) = proxy {
        proxy.hold();
    }
    NamespaceExecutor::new().start(spec, rootfs, io).map_err(|error| {
        if let Some(proxy) = proxy {
            proxy.release();
        }
        failed_start(&error)
    })
}

fn failed_start(error: &RunError) -> CliError {
    let text = chain(error);
    CliError::new(format!("Error response from daemon: failed to create task for container: {text}"))
        .code(error.exit_code())
}

/// Refuses by name what this version does not do.
fn check(args: &RunArgs) -> Result<(), CliError> {
    let refuse = |what: String| Err(CliError::new(format!("{what} is not available in this version")));
    args.refused.check()?;
    let network = args.network.network.as_deref();
    if let Some(other) = network.filter(|name| !["host", "none"].contains(name)) {
        return refuse(format!("--network {other} (host and none are there)"));
    }
    if !args.network.publish.is_empty() {
        match network {
            Some("host") => {
                output::talk("WARNING: Published ports are discarded when using host network mode");
            }
            _ => return refuse("--publish".to_owned()),
        }
    }
    match args.process.pull.as_deref() {
        None | Some("always" | "missing" | "never") => {}
        Some(other) => {
            return Err(CliError::new(format!(
                "invalid pull option: '{other}': must be one of \"always\", \"missing\" or \"never\""
            )));
        }
    }
    let security = &args.security;
    for (flag, value, allowed) in [
        ("pid", &security.pid, &["host"][..]),
        ("uts", &security.uts, &["host"]),
        ("ipc", &security.ipc, &["host", "private"]),
        ("cgroupns", &security.cgroupns, &["host", "private"]),
    ] {
        if let Some(value) = value.as_deref().filter(|v| !v.is_empty() && !allowed.contains(v)) {
            return refuse(format!("--{flag} {value}"));
        }
    }
    match &args.process.name {
        Some(name) => check_name(name),
        None => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), CliError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let bare = name.strip_prefix('/').unwrap_or(name);
    if bare.len() > 1 && bare.starts_with(|c: char| c.is_ascii_alphanumeric()) && bare.chars().all(legal) {
        return Ok(());
    }
    Err(CliError::new(format!(
        "Error response from daemon: Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

fn image(args: &RunArgs, global: &Global) -> Result<ImageRecord, CliError> {
    let store = global.store()?;
    let text = args.process.platform.as_deref().filter(|text| !text.is_empty());
    let platform = text.map(Platform::parse).transpose().map_err(|e| CliError::new(e.to_string()))?;
    let policy = args.process.pull.as_deref().unwrap_or("missing");
    if policy != "always" {
        match store.find_image(&args.image, platform.as_ref()) {
            Err(StoreError::NoImage(_) | StoreError::WrongPlatform { .. }) if policy == "missing" => {}
            other => return Ok(other?),
        }
    }
    let reference = Reference::parse(&args.image)?.or_latest();
    if policy == "missing" && !args.process.quiet {
        output::talk(&format!("Unable to find image '{}' locally", reference.familiar()));
    }
    let options = PullOptions { platform };
    let runtime = registries::runtime()?;
    let pulled = pull_one(global, &runtime, &reference, &options, args.process.quiet, Out::Stderr)?;
    Ok(pulled.image)
}

/// 64 random hexadecimal digits, of which the first twelve are not all decimal.
fn random_id() -> Result<String, CliError> {
    loop {
        let mut bytes = [0u8; 32];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| CliError::new(format!("cannot make an id: {e}")))?;
        let id = crate::image::id::to_hex(&bytes);
        if !id[..12].bytes().all(|c| c.is_ascii_digit()) {
            return Ok(id);
        }
    }
}

/// The file of `--cidfile`, removed again if the container does not start.
struct IdFile<'a>(Option<&'a std::path::Path>);

impl<'a> IdFile<'a> {
    fn write(args: &'a RunArgs, id: &str) -> Result<Self, CliError> {
        let Some(path) = args.process.cidfile.as_deref() else { return Ok(Self(None)) };
        if path.exists() {
            return Err(CliError::new(format!(
                "container ID file found, make sure the other container isn't running or delete {}",
                path.display()
            )));
        }
        files::write(path, id.as_bytes())?;
        Ok(Self(Some(path)))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for IdFile<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            let _ = files::remove(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dockers() {
        for (name, legal) in [
            ("ab", true),
            ("/ab", true),
            ("a_b.c-1", true),
            ("a", false),
            ("-ab", false),
            ("a b", false),
            ("", false),
        ] {
            assert_eq!(check_name(name).is_ok(), legal, "{name:?}");
        }
    }

    #[test]
    fn ids_are_64_digits() {
        let id = random_id().expect("the kernel has random bytes");
        assert!(id.len() == 64 && id.bytes().all(|c| c.is_ascii_hexdigit()), "{id}");
    }
}
