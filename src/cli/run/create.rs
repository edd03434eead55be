//! Making a container: its files, its volumes, its place among the others.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use super::super::container;
use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::args::ContainerArgs;
use super::mount_flags::{Source, VolumeWish, Wanted};
use super::process::{Origin, define};
use super::{
    IdFile, api_socket, check, gpus, image, managed, modes, mount_flags, mounts, network, random_id,
};
use crate::containers::{Config, Container, ContainerError, Containers, Draft, random_name, volumes};
use crate::fs::Root;
use crate::layers::ChownPolicy;
use crate::run::rootless::Mapping;
use crate::store::{ImageRecord, Lease, Store};

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
    let image = image(args, &args.image, global)?;
    lease.keep_image(&image)?;
    for text in &args.files.mount {
        if let Source::Image { name, .. } = mount_flags::mount(text)?.source {
            lease.keep_image(&self::image(args, &name, global)?)?;
        }
    }
    let id = random_id()?;
    let note = IdFile::write(args, &id)?;
    let mut plan = Plan::new(args, &image, id, global)?;
    plan.warnings.iter().for_each(|warning| output::talk(&format!("WARNING: {warning}")));
    if detached {
        plan.config.stdin_once = false;
        plan.config.shown_config.change(|shown| {
            for key in ["AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"] {
                shown[key] = false.into();
            }
        });
    }
    let container = plan.carry_out(args, global)?;
    Ok(Created { container, note })
}

/// A container that may be made: all that is asked for means something.
pub struct Plan {
    /// What it will be, but for its mounts.
    pub config: Config,
    /// What will be otherwise than asked for.
    pub warnings: Vec<String>,
    wanted: Vec<Wanted>,
    view: Root,
    containers: Containers,
    /// Credentials that go into the container.
    secrets: Option<serde_json::Map<String, serde_json::Value>>,
    /// Keeps the images that are mounted until the container names them.
    _lease: Option<Lease>,
}

impl Plan {
    /// Reads what is asked for; the image must be kept from collection by the caller.
    ///
    /// # Errors
    /// Flags contradict each other or name what is not there.
    pub fn new(
        args: &ContainerArgs,
        image: &ImageRecord,
        id: String,
        global: &Global,
    ) -> Result<Self, CliError> {
        let store = global.store()?;
        let (of_image, _) = store.config(image.id)?;
        let view = store.mount(&image.layers)?;
        let containers = container::all(global)?;
        let name = match &args.process.name {
            Some(name) => name.strip_prefix('/').unwrap_or(name).to_owned(),
            None => free_name(&containers)?,
        };
        let origin = Origin { id, name, image, config: &of_image.config };
        let (mut config, mut warnings) = define(args, &origin)?;
        if network::discards_ports(args) {
            warnings.push("Published ports are discarded when using host network mode".to_owned());
        }
        if !config.device_requests.is_empty() {
            config.device_directories = gpus::directories(global.rootless);
        }
        network::resolve(&mut config, &args.network, args.given.remote, &containers)?;
        modes::resolve(&mut config, &args.security, &containers)?;
        let mut wanted = mounts::wanted(&args.files, &args.given.mounts, &of_image.config)?;
        mounts::resolve(&mut wanted)?;
        let env: Vec<String> = config.env.iter().map(|(name, _)| name.clone()).collect();
        let secrets = api_socket::secrets(args, &env, global)?;
        if args.kept.uses_api_socket() {
            api_socket::add(&mut config, &mut wanted, secrets.is_some(), global)?;
        }
        let lease = look_up_images(&mut wanted, store)?;
        inherit(&containers, &args.files.volumes_from, &mut config, &mut wanted)?;
        Ok(Self { config, warnings, wanted, view, containers, secrets, _lease: lease })
    }

    /// Makes the container.
    ///
    /// # Errors
    /// Another container has the name, or a file can't be written.
    pub fn carry_out(self, args: &ContainerArgs, global: &Global) -> Result<Container, CliError> {
        let Self { mut config, wanted, view, containers, secrets, _lease, .. } = self;
        let (id, name) = (&config.id, &config.name);
        let draft = containers.create(id, name, &view).map_err(|e| CliError::engine(&e))?;
        for (file, text) in managed::files(&args.network, args.own_network(), config.hostname.as_deref())? {
            let mut made = draft.dir().create_file(file, 0o644)?;
            // Everybody in the container reads them, whatever the umask is out here.
            let permissions = made.set_permissions(Permissions::from_mode(0o644));
            permissions.and_then(|()| made.write_all(text.as_bytes())).map_err(|error| {
                CliError::new(format!(
                    "Error response from daemon: cannot write the container's {file}: {error}"
                ))
            })?;
        }
        make_volumes(&draft, &mut config, wanted, &view, chown(global))?;
        if let Some(secrets) = secrets {
            api_socket::inject(draft.dir(), secrets)?;
        }
        let container = draft.commit(config).map_err(|e| CliError::engine(&e))?;
        container.event("create", &[]);
        Ok(container)
    }
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

/// Finds the images that are mounted, and keeps them.
fn look_up_images(wanted: &mut [Wanted], store: &Store) -> Result<Option<Lease>, CliError> {
    let mut kept = None;
    for mount in wanted {
        if let Source::Image { name, id, layers, .. } = &mut mount.source {
            if kept.is_none() {
                kept = Some(store.lease()?);
            }
            let image = store.find_image(name, None)?;
            kept.iter().try_for_each(|lease| lease.keep_image(&image))?;
            *id = image.id.to_string();
            layers.clone_from(&image.layers);
        }
    }
    Ok(kept)
}

/// Adds the mounts of other containers where no flag has the place; an image's volumes yield to them. Volumes that
/// nobody named go with the last container that has them.
fn inherit(
    containers: &Containers,
    from: &[String],
    config: &mut Config,
    wanted: &mut Vec<Wanted>,
) -> Result<(), CliError> {
    for text in from {
        let (name, mode) = text.split_once(':').unwrap_or((text, ""));
        let read_only = match mode {
            "" | "rw" => false,
            "ro" => true,
            other => return Err(CliError::new(format!("Error response from daemon: invalid mode: {other}"))),
        };
        if name.is_empty() {
            let why = "volumes-from specification cannot be an empty string";
            return Err(CliError::new(format!("Error response from daemon: {why}")));
        }
        let other = containers.find(name).map_err(|e| CliError::engine(&e))?;
        for mount in &other.config.mounts {
            if matches!(mount.source, Source::Tmpfs { .. }) {
                continue;
            }
            let of_image = |one: &Wanted| matches!(one.source, Source::Volume { name: None, .. });
            wanted.retain(|one| one.target != mount.target || !of_image(one));
            if wanted.iter().all(|one| one.target != mount.target) {
                let read_only = mount.read_only || read_only;
                if let Source::Volume { name: Some(name), .. } = &mount.source
                    && other.config.anonymous_volumes.contains(name)
                {
                    config.anonymous_volumes.push(name.clone());
                }
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
    let mut fresh = Vec::new();
    for mount in &mut wanted {
        if let Source::Volume { name: name @ None, .. } = &mut mount.source {
            fresh.push(random_id()?);
            *name = fresh.last().cloned();
        }
    }
    if !fresh.is_empty() {
        draft.note_volumes(&fresh).map_err(failed)?;
    }
    for mount in &mut wanted {
        if let Source::Volume { name: Some(name), copy_up, below, made_with } = &mut mount.source {
            // What is said of a volume has been said when it is made.
            let VolumeWish { mut labels, options } = std::mem::take(made_with);
            if fresh.contains(name) {
                labels.insert(volumes::ANONYMOUS.to_owned(), String::new());
            }
            let fills = *copy_up && below.is_none();
            let filling = volumes::Filling { view, target: &mount.target, chown };
            let made = volumes::ensure(draft.all(), name, &labels, &options, fills.then_some(filling));
            made.map_err(failed)?;
        }
    }
    config.anonymous_volumes.append(&mut fresh);
    config.mounts = wanted;
    Ok(())
}
