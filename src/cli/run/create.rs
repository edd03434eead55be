//! Making a container: its files, its volumes, its place among the others.

use std::collections::BTreeMap;

use super::super::container;
use super::super::error::CliError;
use super::super::global::Global;
use super::args::ContainerArgs;
use super::mount_flags::{Source, Wanted};
use super::process::{Origin, define};
use super::{IdFile, check, image, managed, mounts, network, random_id};
use crate::containers::{Config, Container, ContainerError, Containers, Draft, random_name, volumes};
use crate::fs::Root;
use crate::layers::ChownPolicy;
use crate::run::rootless::Mapping;
use std::io::Write as _;

/// A container that was made.
pub struct Created<'a> {
    /// The container.
    pub container: Container,
    /// The file of `--cidfile`.
    pub note: IdFile<'a>,
}

/// How often a random name is tried.
const NAMES: u32 = 6;

/// Makes a container; `detached` tells that nobody attaches to it at once.
///
/// # Errors
/// Flags contradict each other, something is missing, or another container has the name.
pub fn create<'a>(args: &'a ContainerArgs, global: &Global, detached: bool) -> Result<Created<'a>, CliError> {
    check(args)?;
    let store = global.store()?;
    let lease = store.lease()?;
    let image = image(args, global)?;
    lease.keep_image(&image)?;
    let (config, _) = store.config(image.id)?;
    let id = random_id()?;
    let note = IdFile::write(args, &id)?;
    let view = store.mount(&image.layers)?;
    let containers = container::all(global)?;
    let name = match &args.process.name {
        Some(name) => name.strip_prefix('/').unwrap_or(name).to_owned(),
        None => free_name(&containers)?,
    };
    let origin = Origin { id: id.clone(), name: name.clone(), image: &image, config: &config.config };
    let mut defined = define(args, &origin)?;
    if detached {
        defined.stdin_once = false;
        defined.shown_config.change(|shown| {
            for key in ["AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"] {
                shown[key] = false.into();
            }
        });
    }
    network::resolve(&mut defined, &args.network, &containers)?;
    let mut wanted = mounts::wanted(&args.files, &config.config)?;
    mounts::resolve(&mut wanted)?;
    inherit(&containers, &args.files.volumes_from, &mut wanted)?;
    let draft = containers.create(&id, &name, &view).map_err(|e| CliError::engine(&e))?;
    for (file, text) in managed::files(&args.network, args.own_network(), defined.hostname.as_deref())? {
        draft.dir().create_file(file, 0o644)?.write_all(text.as_bytes())?;
    }
    make_volumes(&draft, &mut defined, wanted, &view, chown(global))?;
    let container = draft.commit(defined).map_err(|e| CliError::engine(&e))?;
    container.event("create", &[]);
    Ok(Created { container, note })
}

/// Where only one id is mapped, no file can be given to anybody else.
pub fn chown(global: &Global) -> ChownPolicy {
    match global.mapping {
        Some(Mapping::Single { .. }) => ChownPolicy::Ignore,
        _ => ChownPolicy::Exact,
    }
}

fn free_name(containers: &Containers) -> Result<String, CliError> {
    let mut name = String::new();
    for attempt in 0..NAMES {
        let mut bytes = [0u8; 4];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| CliError::new(format!("cannot make a name: {e}")))?;
        name = random_name(bytes, attempt);
        if !containers.has_name(&name) {
            break;
        }
    }
    Ok(name)
}

/// Adds the mounts of other containers where no flag has the place; an image's volumes yield to them.
fn inherit(containers: &Containers, from: &[String], wanted: &mut Vec<Wanted>) -> Result<(), CliError> {
    for text in from {
        let (name, mode) = text.split_once(':').unwrap_or((text, ""));
        let read_only = match mode {
            "" | "rw" => false,
            "ro" => true,
            other => return Err(CliError::new(format!("Error response from daemon: invalid mode: {other}"))),
        };
        let other = containers.find(name).map_err(|e| CliError::engine(&e))?;
        for mount in &other.config.mounts {
            if matches!(mount.source, Source::Tmpfs { .. }) {
                continue;
            }
            let of_image = |one: &Wanted| matches!(one.source, Source::Volume { name: None, .. });
            wanted.retain(|one| one.target != mount.target || !of_image(one));
            if wanted.iter().all(|one| one.target != mount.target) {
                let read_only = mount.read_only || read_only;
                wanted.push(Wanted { read_only, ..mount.clone() });
            }
        }
    }
    Ok(())
}

/// Makes and fills the volumes among the mounts, and gives names to those without.
fn make_volumes(
    draft: &Draft,
    config: &mut Config,
    mut wanted: Vec<Wanted>,
    view: &Root,
    chown: ChownPolicy,
) -> Result<(), CliError> {
    let failed = |e: ContainerError| CliError::engine(&e);
    for mount in &mut wanted {
        if let Source::Volume { name: name @ None, .. } = &mut mount.source {
            let fresh = random_id()?;
            config.anonymous_volumes.push(fresh.clone());
            *name = Some(fresh);
        }
    }
    if !config.anonymous_volumes.is_empty() {
        draft.note_volumes(&config.anonymous_volumes).map_err(failed)?;
    }
    for mount in &wanted {
        if let Source::Volume { name: Some(name), copy_up, .. } = &mount.source {
            let own = config.anonymous_volumes.contains(name);
            let labels: BTreeMap<_, _> =
                own.then(|| (volumes::ANONYMOUS.to_owned(), String::new())).into_iter().collect();
            let filling = volumes::Filling { view, target: &mount.target, chown };
            volumes::ensure(draft.all(), name, &labels, copy_up.then_some(filling)).map_err(failed)?;
        }
    }
    config.mounts = wanted;
    Ok(())
}
