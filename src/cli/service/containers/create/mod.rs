//! `POST /containers/create`: a request's JSON as the flags that would say the same, and the container of them.
//!
//! `resources`, `mounts` and `network` read the parts, `refused` what is not available.

mod mounts;
pub mod network;
mod refused;
pub mod resources;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::super::super::container::{all, check_name};
use super::super::super::run::args::{ContainerArgs, ProcessArgs};
use super::super::super::run::create::Plan;
use super::super::super::run::given::Given;
use super::super::super::run::{Attached, check, modes, random_id};
use super::super::Service;
use super::fields::Fields;
use super::wrong;
use crate::containers::Config;
use crate::engine::server::{Answer, Request};
use crate::engine::{ApiError, ApiVersion};
use crate::image::Platform;
use crate::store::{ImageRecord, StoreError};

/// Answers a request.
///
/// # Errors
/// Something of it is wrong, the image is missing, or another container has the name.
pub fn create(service: &Service, mut request: Request) -> Result<Answer, ApiError> {
    let body: Value = request.json()?;
    let fields = Fields::of(&body, "Config")?;
    if body.is_null() {
        return Err(ApiError::bad("config cannot be empty in order to create a container"));
    }
    let name = request.query.text("name").map(str::to_owned);
    if let Some(name) = &name {
        check_name(name)?;
    }
    let store = service.global.store()?;
    let lease = store.lease()?;
    let image = image(service, &fields, request.query.text("platform"))?;
    lease.keep_image(&image)?;
    let (mut args, shows) = arguments(service, &fields, request.version)?;
    let mut warnings = resources::foreign(&shows.host)?;
    args.process.name = name;
    if args.command.is_empty() && shows.keeps_command {
        args.command = store.config(image.id)?.0.config.cmd.unwrap_or_default();
    }
    let (container, made) = make(service, &args, &image, &shows)?;
    warnings.extend(made);
    if !image.platform.serves(&Platform::host()) && request.query.text("platform").is_none() {
        warnings.push(format!(
            "The requested image's platform ({}) does not match the detected host platform ({}) and no specific \
             platform was requested",
            image.platform,
            Platform::host()
        ));
    }
    Ok(Answer::Json(StatusCode::CREATED, json!({ "Id": container, "Warnings": warnings })))
}

fn image(service: &Service, fields: &Fields<'_>, platform: Option<&str>) -> Result<ImageRecord, ApiError> {
    let named = fields.text("Image")?;
    let platform = platform.map(Platform::parse).transpose().map_err(|e| ApiError::bad(e.to_string()))?;
    if named.is_empty() {
        return Err(ApiError::bad("no image specified"));
    }
    let found = service.global.store()?.find_image(&named, platform.as_ref());
    found.map_err(|error| match error {
        StoreError::NoImage(_) | StoreError::WrongPlatform { .. } => ApiError::not_found(error.to_string()),
        other => other.into(),
    })
}

/// What `inspect` shows as it was given.
struct Shows<'a> {
    config: Fields<'a>,
    host: Fields<'a>,
    attached: Attached,
    stdin_once: bool,
    /// Whether the image's command stays though its entrypoint goes.
    keeps_command: bool,
}

/// Returns the flags that say the same as the request.
fn arguments<'a>(
    service: &Service,
    config: &Fields<'a>,
    version: ApiVersion,
) -> Result<(ContainerArgs, Shows<'a>), ApiError> {
    let host = config.object("HostConfig")?;
    refused::check(&host)?;
    let mut given = Given { remote: true, ..Given::default() };
    let files = mounts::read(config, &host, &mut given)?;
    let endpoints = config.object("NetworkingConfig")?.object("EndpointsConfig")?;
    let parts = network::Parts { config, host: &host, endpoints: &endpoints, version };
    let network = network::read(&parts, &mut given, &service.global)?;
    given.health = resources::health(config)?;
    let entrypoint = config.some_words("Entrypoint")?;
    let command = config.words("Cmd")?;
    // An empty list drops the image's entrypoint alone, a list of an empty text its command as well.
    let keeps_command = entrypoint.as_ref().is_some_and(Vec::is_empty);
    given.entrypoint = entrypoint.map(|words| if words == [""] { Vec::new() } else { words });
    let labels = config.texts("Labels")?.into_iter().map(|(key, value)| format!("{key}={value}"));
    let args = ContainerArgs {
        process: ProcessArgs {
            interactive: config.flag("OpenStdin")?,
            tty: config.flag("Tty")?,
            env: config.words("Env")?,
            workdir: config.some_text("WorkingDir")?,
            user: config.some_text("User")?,
            group_add: host.words("GroupAdd")?,
            init: host.flag("Init")?,
            label: labels.collect(),
            cidfile: None,
            ..ProcessArgs::default()
        },
        life: resources::life(config, &host)?,
        files,
        network,
        resources: resources::limits(&host)?,
        security: resources::security(&host)?,
        kept: resources::kept(&host)?,
        refused: Default::default(),
        given,
        image: config.text("Image")?,
        command,
    };
    let attached = Attached {
        stdin: config.flag("AttachStdin")?,
        stdout: config.flag("AttachStdout")?,
        stderr: config.flag("AttachStderr")?,
    };
    let stdin_once = config.flag("StdinOnce")?;
    Ok((args, Shows { config: *config, host, attached, stdin_once, keeps_command }))
}

/// Makes the container and returns its id, and warnings.
fn make(
    service: &Service,
    args: &ContainerArgs,
    image: &ImageRecord,
    shows: &Shows<'_>,
) -> Result<(String, Vec<String>), ApiError> {
    let global = &service.global;
    check(args).map_err(wrong)?;
    // Were it "not found", clients would fetch the image.
    modes::find(&args.security, &all(global)?)
        .map_err(|error| ApiError::bad(ApiError::from(error).message))?;
    let mut plan = Plan::new(args, image, random_id()?, global).map_err(wrong)?;
    shows.put_into(&mut plan.config);
    let warnings = std::mem::take(&mut plan.warnings);
    Ok((plan.carry_out(args, global)?.config.id, warnings))
}

impl Shows<'_> {
    /// Puts what flags can't say into what is shown.
    fn put_into(&self, config: &mut Config) {
        config.stdin_once = self.stdin_once;
        let volumes = self.config.get("Volumes").and_then(Value::as_object).filter(|map| !map.is_empty());
        config.shown_config.change(|shown| {
            shown["AttachStdin"] = self.attached.stdin.into();
            shown["AttachStdout"] = self.attached.stdout.into();
            shown["AttachStderr"] = self.attached.stderr.into();
            shown["StdinOnce"] = self.stdin_once.into();
            if let Some(volumes) = volumes {
                let mut all = shown["Volumes"].as_object().cloned().unwrap_or_default();
                all.extend(volumes.keys().map(|path| (path.clone(), json!({}))));
                shown["Volumes"] = all.into();
            }
        });
        config.shown_host.change(|shown| {
            for key in ["Binds", "SecurityOpt"] {
                shown[key] = self.host.get(key).cloned().unwrap_or(Value::Null);
            }
            for key in ["Mounts", "ConsoleSize", "ContainerIDFile", "Init"] {
                if let Some(value) = self.host.get(key) {
                    shown[key] = value.clone();
                }
            }
            if let Some(mode) = self.host.get("NetworkMode").and_then(Value::as_str)
                && !["", "default"].contains(&mode)
            {
                shown["NetworkMode"] = mode.into();
            }
        });
    }
}
