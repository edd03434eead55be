//! Binds, mounts, volumes and tmpfs of a request.

use super::super::super::super::run::args::FileArgs;
use super::super::super::super::run::given::Given;
use super::super::super::super::run::mount_flags::{
    Source, VolumeWish, Wanted, image, invalid_mount, target_path, volume_source,
};
use super::super::fields::Fields;
use crate::cdi::DeviceRequest;
use crate::engine::ApiError;
use crate::run::Propagation;

/// Reads them all.
///
/// # Errors
/// One is none.
pub fn read(config: &Fields<'_>, host: &Fields<'_>, given: &mut Given) -> Result<FileArgs, ApiError> {
    let mut volume = host.words("Binds")?;
    for bind in &volume {
        check_source(bind)?;
    }
    for (path, _) in config.object("Volumes")?.each() {
        let taken = |bind: &String| bind.split(':').nth(1).is_some_and(|target| target == path);
        if !volume.iter().any(taken) {
            volume.push(path.clone());
        }
    }
    for object in host.objects("Mounts")? {
        given.mounts.push(mount(&object)?);
    }
    // What a mount or a tmpfs shows is no volume's place.
    let tmpfs = host.texts("Tmpfs")?;
    let mounts = &given.mounts;
    volume.retain(|text| {
        text.contains(':')
            || !mounts.iter().any(|mount| mount.target.to_str() == Some(text))
                && !tmpfs.iter().any(|(path, _)| path == text)
    });
    let tmpfs = tmpfs.into_iter().map(|(path, options)| match options.is_empty() {
        true => path,
        false => format!("{path}:{options}"),
    });
    let devices = host.objects("Devices")?.into_iter().map(|device| {
        let (source, target) = (device.text("PathOnHost")?, device.text("PathInContainer")?);
        let target = if target.is_empty() { source.clone() } else { target };
        let access = device.text("CgroupPermissions")?;
        let access = if access.is_empty() { "rwm".to_owned() } else { access };
        Ok(format!("{source}:{target}:{access}"))
    });
    Ok(FileArgs {
        volume,
        mount: Vec::new(),
        tmpfs: tmpfs.collect(),
        volumes_from: host.words("VolumesFrom")?,
        read_only: host.flag("ReadonlyRootfs")?,
        shm_size: host.some_number("ShmSize")?.map(|bytes| bytes.to_string()),
        device: devices.collect::<Result<_, ApiError>>()?,
        gpus: requests(host)?,
    })
}

/// Reads devices by request.
fn requests(host: &Fields<'_>) -> Result<Vec<DeviceRequest>, ApiError> {
    let Some(value) = host.get("DeviceRequests") else { return Ok(Vec::new()) };
    serde_json::from_value(value.clone())
        .map_err(|e| ApiError::bad(format!("invalid JSON: HostConfig.DeviceRequests: {e}")))
}

/// Paths of a client mean nothing here unless they are absolute.
fn check_source(bind: &str) -> Result<(), ApiError> {
    let Some((source, _)) = bind.split_once(':') else {
        return Err(ApiError::bad(format!("invalid volume specification: '{bind}'")));
    };
    if source.starts_with(['.', '~']) || !source.starts_with('/') && source.contains('/') {
        return Err(ApiError::bad(format!(
            "create {source}: {source:?} includes invalid characters for a local volume name, only \
             \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
        )));
    }
    Ok(())
}

/// Reads a mount that is an object.
fn mount(object: &Fields<'_>) -> Result<Wanted, ApiError> {
    let kind = object.text("Type")?;
    let bad = |why: String| ApiError::bad(format!("invalid mount config for type {kind:?}: {why}"));
    let target = object.text("Target")?;
    if target.is_empty() {
        return Err(bad("field Target must not be empty".to_owned()));
    }
    let (name, mut propagation) = (object.text("Source")?, Propagation::default());
    let source = match kind.as_str() {
        "bind" => {
            let options = object.object("BindOptions")?;
            if name.is_empty() {
                return Err(bad("field Source must not be empty".to_owned()));
            }
            if !name.starts_with('/') {
                return Err(bad(format!("invalid mount path: '{name}' mount path must be absolute")));
            }
            propagation = match options.text("Propagation")?.as_str() {
                "" | "private" | "rprivate" => Propagation::Private,
                "slave" | "rslave" => Propagation::Slave,
                "shared" | "rshared" => Propagation::Shared,
                other => return Err(bad(format!("invalid propagation mode: {other}"))),
            };
            let (create, recursive) = (options.flag("CreateMountpoint")?, !options.flag("NonRecursive")?);
            let writable_below = options.flag("ReadOnlyNonRecursive")?;
            if writable_below && options.flag("ReadOnlyForceRecursive")? {
                let why = "cannot mix ReadOnlyNonRecursive and ReadOnlyForceRecursive";
                return Err(bad(why.to_owned()));
            }
            Source::Bind { path: name, create, recursive, writable_below }
        }
        "volume" => volume(object, name, &bad)?,
        "tmpfs" => {
            if !name.is_empty() {
                return Err(bad("field Source must not be specified".to_owned()));
            }
            let options = object.object("TmpfsOptions")?;
            let noexec = noexec(&options).map_err(&bad)?;
            let size = options.some_number("SizeBytes")?.and_then(|size| u64::try_from(size).ok());
            let mode =
                options.some_number("Mode")?.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o1777);
            Source::Tmpfs { size, mode: mode & 0o7777, noexec, nosuid: true, nodev: true }
        }
        "image" => {
            let below = object.object("ImageOptions")?.some_text("Subpath")?;
            let source = image(name, below).map_err(super::super::wrong)?;
            return Ok(Wanted {
                source,
                target: target_path(&target, &invalid_mount("image"))?,
                read_only: true,
                propagation,
            });
        }
        _ => return Err(bad("mount type unknown".to_owned())),
    };
    let target = target_path(&target, &invalid_mount(&object.text("Type")?))?;
    Ok(Wanted { source, target, read_only: object.flag("ReadOnly")?, propagation })
}

/// Whether nothing can be executed in memory, by the only two options that docker's engine takes.
fn noexec(options: &Fields<'_>) -> Result<bool, String> {
    let list = options.get("Options").and_then(|list| list.as_array()).map(Vec::as_slice).unwrap_or_default();
    let mut noexec = true;
    for option in list {
        let words: Vec<&str> =
            option.as_array().into_iter().flatten().filter_map(|word| word.as_str()).collect();
        noexec = match words[..] {
            ["exec"] => false,
            ["noexec"] => true,
            [] => return Err("invalid option array length".to_owned()),
            [first, ..] => return Err(format!("invalid option: {first}")),
        };
    }
    Ok(noexec)
}

fn volume(object: &Fields<'_>, name: String, bad: &dyn Fn(String) -> ApiError) -> Result<Source, ApiError> {
    let options = object.object("VolumeOptions")?;
    let driver = options.object("DriverConfig")?;
    if name.starts_with('/') {
        return Err(bad(format!(
            "create {name}: {name:?} includes invalid characters for a local volume name, only \
             \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
        )));
    }
    let texts = |pairs: Vec<(String, String)>| pairs.into_iter().collect();
    let made_with =
        VolumeWish { labels: texts(options.texts("Labels")?), options: texts(driver.texts("Options")?) };
    let copy_up = !options.flag("NoCopy")?;
    let (below, read_only) = (options.some_text("Subpath")?, object.flag("ReadOnly")?);
    volume_source(Some(name), below, read_only, &driver.text("Name")?, (copy_up, made_with))
        .map_err(super::super::wrong)
}
