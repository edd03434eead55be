//! `run`: one container in the foreground, from start to end.

mod args;
mod attach;
mod mounts;
mod process;
mod volumes;

use std::path::PathBuf;
use std::process::ExitCode;

pub use args::RunArgs;

use super::error::{CliError, chain};
use super::global::Global;
use super::{files, output};
use crate::fs::Root;
use crate::image::{ImageConfig, Platform};
use crate::run::{Executor as _, NamespaceExecutor, RunError, UpperDir};
use crate::store::{ImageRecord, Store, StoreError};

/// Exit code of what failed before the command ran.
const BEFORE: u8 = 125;

/// Runs the command.
pub fn run(args: RunArgs, global: &Global) -> Result<ExitCode, CliError> {
    run_inner(&args, global).map_err(|error| {
        if error.text.is_empty() {
            return error;
        }
        let program = &global.program;
        let hint = format!("\n\nRun '{program} run --help' for more information");
        let code = if error.code == 1 { BEFORE } else { error.code };
        CliError { text: format!("docker: {}{hint}", error.text), code }
    })
}

fn run_inner(args: &RunArgs, global: &Global) -> Result<ExitCode, CliError> {
    process::refuse_what_is_not_there(args)?;
    let store = global.store()?;
    let lease = store.lease()?;
    let image = image(args, store)?;
    lease.keep_image(&image)?;
    let (config, _) = store.config(image.id)?;
    let id = random_id()?;
    if let Some(path) = &args.cidfile {
        if path.exists() {
            return Err(CliError::new(format!(
                "container ID file found, make sure the other container isn't running or delete {}",
                path.display()
            )));
        }
        files::write(path, id.as_bytes())?;
    }
    let view = store.mount(&image.layers)?;
    let signals = attach::hold_signals()?;
    let result = start(args, store, &view, &image, &config, &id);
    if result.is_err()
        && let Some(path) = &args.cidfile
    {
        files::remove(path)?;
    }
    let (running, _held) = result?;
    let exit = attach::attach(args, running, signals)?;
    Ok(ExitCode::from(exit))
}

/// What must live as long as the container.
struct Held<'a> {
    _volumes: volumes::Volumes<'a>,
    _writable: Writable,
}

type Started<'a> = (Box<dyn crate::run::Running>, Held<'a>);

fn start<'a>(
    args: &RunArgs,
    store: &'a Store,
    view: &'a Root,
    image: &ImageRecord,
    config: &ImageConfig,
    id: &str,
) -> Result<Started<'a>, CliError> {
    let mut spec = process::spec(args, config, view, id)?;
    let mut volumes = volumes::Volumes::new(store, view);
    spec.mounts.extend(mounts::mounts(args, config, &mut volumes)?);
    let writable = Writable::create(store, id)?;
    let rootfs = crate::run::Rootfs {
        lowers: store.trees(&image.layers)?,
        upper: Some(writable.directories()?),
        read_only: args.read_only,
        userxattr: store.userxattr()?,
    };
    let io = attach::io(args)?;
    let started = NamespaceExecutor::new().start(&spec, rootfs, io);
    let running = started.map_err(|error| failed_start(&error))?;
    Ok((running, Held { _volumes: volumes, _writable: writable }))
}

fn failed_start(error: &RunError) -> CliError {
    let code = error.exit_code();
    let text = chain(error);
    CliError::new(format!("Error response from daemon: failed to create task for container: {text}"))
        .code(code)
}

fn image(args: &RunArgs, store: &Store) -> Result<ImageRecord, CliError> {
    let platform = args.platform.as_deref().map(Platform::parse).transpose();
    let platform = platform.map_err(|e| CliError::new(e.to_string()))?;
    match store.find_image(&args.image, platform.as_ref()) {
        Err(StoreError::NoImage(name)) => {
            if args.pull.as_deref() != Some("never") {
                output::talk(&format!("Unable to find image '{name}' locally"));
            }
            Err(CliError::new(format!(
                "Error response from daemon: No such image: {name}: registries are not available in this version, \
                 load or import it first"
            )))
        }
        other => Ok(other?),
    }
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

/// The container's writable layer: `containers/<id>/{upper,work}`, gone when dropped.
struct Writable {
    containers: Root,
    id: String,
}

impl Writable {
    fn create(store: &Store, id: &str) -> Result<Self, CliError> {
        let root = Root::open(store.path())?;
        root.create_dir_all("containers", 0o711)?;
        let containers = root.dir("containers")?;
        containers.create_dir(id, 0o700)?;
        let writable = Self { containers, id: id.to_owned() };
        let own = writable.containers.dir(id)?;
        own.create_dir("upper", 0o755)?;
        own.create_dir("work", 0o700)?;
        Ok(writable)
    }

    fn directories(&self) -> Result<UpperDir, CliError> {
        let own = self.containers.dir(&self.id)?;
        Ok(UpperDir { upper: own.dir("upper")?, work: own.dir("work")? })
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        if let Err(error) = self.containers.remove_tree(PathBuf::from(&self.id)) {
            output::talk(&format!("WARNING: the container's files could not be removed: {}", chain(&error)));
        }
    }
}
