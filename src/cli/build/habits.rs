//! Flags that users of buildah, podman and kaniko bring along.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::super::error::CliError;
use super::super::run::process;
use super::habit_outputs::HabitOutputArgs;
use crate::builder::{Extras, HostDevice, HostVolume, Sandbox, Squash};
use crate::causes::chain;
use crate::fs::{Follow, Root};
use crate::parser::instruction::MountFlag;
use crate::parser::parse_duration;
use crate::run::{CapSet, ProcessSpec};

/// The flags.
#[derive(Debug, Default, Args)]
pub struct HabitArgs {
    /// Set build-time variables from a file of KEY=VALUE lines
    #[arg(long, value_name = "FILE")]
    pub build_arg_file: Vec<PathBuf>,
    /// Use an image in place of the first FROM's
    #[arg(long, value_name = "IMAGE")]
    pub from: Option<String>,
    /// Set environment variables of the image and of every RUN
    #[arg(long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// Leave an environment variable out of the image
    #[arg(long, value_name = "KEY")]
    pub unsetenv: Vec<String>,
    /// Do not take a label from base images
    #[arg(long, value_name = "KEY")]
    pub unsetlabel: Vec<String>,
    /// Take the labels of base images
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true", action = ArgAction::Set, hide_default_value = true)]
    pub inherit_labels: bool,
    /// Show a directory or file of the host in every RUN (format: SOURCE:TARGET[:ro])
    #[arg(short, long, value_name = "VOLUME")]
    pub volume: Vec<String>,
    /// Attach a mount to every RUN, as RUN --mount does
    #[arg(long, value_name = "MOUNT")]
    pub mount: Vec<String>,
    /// Make one layer of all that the build adds
    #[arg(long)]
    pub squash: bool,
    /// Make one layer of everything, base images included
    #[arg(long)]
    pub squash_all: bool,
    /// Keep the layers of instructions apart; false is --squash
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true", action = ArgAction::Set, hide_default_value = true)]
    pub layers: bool,
    /// Leave the history out of the image
    #[arg(long)]
    pub omit_history: bool,
    /// Build only the stages that the target needs
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true", action = ArgAction::Set, hide_default_value = true)]
    pub skip_unused_stages: bool,
    /// Do not use cached results that are older
    #[arg(long, value_name = "DURATION")]
    pub cache_ttl: Option<String>,
    /// Directory in the context to use as the context
    #[arg(long, value_name = "DIR")]
    pub context_sub_path: Option<String>,
    /// Add a capability to RUN instructions
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    pub cap_add: Vec<String>,
    /// Drop a capability of RUN instructions
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    pub cap_drop: Vec<String>,
    /// Show a device of the host in RUN instructions
    #[arg(long, value_name = "DEVICE")]
    pub device: Vec<String>,
    /// Security options of RUN instructions
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// Name servers of RUN instructions
    #[arg(long, value_name = "IP")]
    pub dns: Vec<IpAddr>,
    /// Search domains of RUN instructions
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Resolver options of RUN instructions
    #[arg(long, value_name = "OPTION")]
    pub dns_option: Vec<String>,
    /// Leave /etc/hosts of RUN instructions as the image has it
    #[arg(long)]
    pub no_hosts: bool,
    /// Hand the environment's proxy variables to RUN instructions; false leaves out the client's configuration too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          action = ArgAction::Set)]
    pub http_proxy: Option<bool>,
    /// Operating system of the image
    #[arg(long, value_name = "OS")]
    pub os: Option<String>,
    /// Architecture of the image
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Variant of the architecture
    #[arg(long, value_name = "VARIANT")]
    pub variant: Option<String>,
    /// What they say of outputs.
    #[command(flatten)]
    pub outputs: HabitOutputArgs,
    /// Write the image ID to a file without the name of its algorithm
    #[arg(long, value_name = "FILE")]
    pub iidfile_raw: Option<PathBuf>,
    /// Write the manifest's digest to a file
    #[arg(long, value_name = "FILE")]
    pub digest_file: Option<PathBuf>,
}

impl HabitArgs {
    /// Returns what the flags ask of the build.
    pub fn extras(&self) -> Result<Extras, CliError> {
        Ok(Extras {
            networks: None,
            from: self.from.clone(),
            env: self.env.iter().filter_map(|text| variable(text)).collect(),
            unset_env: self.unsetenv.clone(),
            unset_labels: self.unsetlabel.clone(),
            no_base_labels: !self.inherit_labels,
            volumes: self.volume.iter().map(|text| volume(text)).collect::<Result<_, _>>()?,
            mounts: self.mount.iter().map(|text| mount(text)).collect::<Result<_, _>>()?,
            squash: match (self.squash_all, self.squash || !self.layers) {
                (true, _) => Squash::All,
                (false, true) => Squash::New,
                (false, false) => Squash::No,
            },
            omit_history: self.omit_history,
            all_stages: !self.skip_unused_stages,
            cache_ttl: self.cache_ttl.as_deref().map(duration).transpose()?,
            sandbox: self.sandbox()?,
        })
    }

    fn sandbox(&self) -> Result<Sandbox, CliError> {
        let mut spec = ProcessSpec::default();
        for text in &self.security_opt {
            match text.split_once('=').unwrap_or((text, "")) {
                // Labels and profiles of modules that RUN is not confined by.
                ("label" | "apparmor", _) => {}
                _ => process::security_option(text, &mut spec)?,
            }
        }
        let devices = self.device.iter().map(|text| {
            let device = process::device(text)?;
            Ok(HostDevice { source: Arc::new(device.source), target: device.target, access: device.access })
        });
        let changed = !self.cap_add.is_empty() || !self.cap_drop.is_empty();
        let capabilities =
            CapSet::adjusted(&self.cap_add, &self.cap_drop).map_err(|e| CliError::engine(&e))?;
        let named = [
            ("cap-add", &self.cap_add),
            ("cap-drop", &self.cap_drop),
            ("device", &self.device),
            ("security-opt", &self.security_opt),
        ];
        let texts = named.iter().flat_map(|(name, values)| values.iter().map(move |v| format!("{name}={v}")));
        Ok(Sandbox {
            texts: texts.collect(),
            capabilities: changed.then_some(capabilities),
            seccomp: (spec.seccomp != Default::default()).then_some(spec.seccomp),
            no_new_privileges: spec.no_new_privileges,
            devices: devices.collect::<Result<_, CliError>>()?,
            dns: self.dns.clone(),
            dns_search: self.dns_search.clone(),
            dns_options: self.dns_option.clone(),
            no_hosts: self.no_hosts,
        })
    }

    /// Returns the platform that `--os`, `--arch` and `--variant` name together; none where none is given.
    pub fn platform(&self) -> Option<String> {
        if self.os.is_none() && self.arch.is_none() && self.variant.is_none() {
            return None;
        }
        let host = crate::image::Platform::host();
        let os = self.os.as_deref().unwrap_or(&host.os);
        let arch = self.arch.as_deref().unwrap_or(&host.architecture);
        let variant = self.variant.as_ref().map(|variant| format!("/{variant}"));
        Some(format!("{os}/{arch}{}", variant.unwrap_or_default()))
    }

    /// Returns the pairs of the files of `--build-arg-file`, in order: `KEY=VALUE`, or `KEY` from the environment.
    pub fn build_args(&self) -> Result<Vec<String>, CliError> {
        let mut found = Vec::new();
        for path in &self.build_arg_file {
            let mut text = String::new();
            let mut file = super::super::files::open_input(Some(path))?;
            std::io::Read::read_to_string(&mut file, &mut text)
                .map_err(|e| CliError::new(format!("ERROR: failed to read {}: {e}", path.display())))?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            found.extend(lines.map(str::to_owned));
        }
        Ok(found)
    }
}

/// `K=V`, or `K` from the environment where it is set.
fn variable(text: &str) -> Option<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => std::env::var(text).ok().map(|value| (text.to_owned(), value)),
    }
}

fn duration(text: &str) -> Result<Duration, CliError> {
    let nanos = parse_duration(text).map_err(|e| CliError::new(format!("ERROR: --cache-ttl: {e}")))?;
    let nanos = u64::try_from(nanos).map_err(|_| CliError::new("ERROR: --cache-ttl must not be negative"))?;
    Ok(Duration::from_nanos(nanos))
}

fn mount(text: &str) -> Result<MountFlag, CliError> {
    MountFlag::new(text.to_owned()).map_err(|e| CliError::new(format!("ERROR: --mount {text}: {e}")))
}

/// `SOURCE:TARGET[:ro,rw,z,Z,…]`
fn volume(text: &str) -> Result<HostVolume, CliError> {
    let bad = |why: String| CliError::new(format!("ERROR: invalid volume {text:?}: {why}"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err(bad("expected SOURCE:TARGET[:OPTIONS]".to_owned())),
    };
    if !target.starts_with('/') || target.trim_matches('/').is_empty() {
        return Err(bad("the target must be an absolute path below /".to_owned()));
    }
    let mut read_only = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            "rw" => read_only = false,
            // Labels of SELinux, propagation, and what a bind is anyway.
            "z" | "Z" | "rbind" | "bind" | "private" | "rprivate" => {}
            other => return Err(bad(format!("option {other} is not available in this version"))),
        }
    }
    let source = std::env::current_dir()?.join(source);
    let fd = Root::open(Path::new("/")).and_then(|root| root.open_path(&source, Follow::Yes));
    let fd = fd.map_err(|e| bad(chain(&e)))?;
    Ok(HostVolume { text: text.to_owned(), source: Arc::new(fd), target: PathBuf::from(target), read_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_have_two_or_three_parts() {
        for (text, expected) in [
            ("/tmp:/x", Ok(false)),
            ("/tmp:/x:ro,z", Ok(true)),
            ("/tmp:/x:rw", Ok(false)),
            ("/tmp", Err("expected SOURCE:TARGET")),
            ("/tmp:x", Err("absolute")),
            ("/tmp:/", Err("absolute")),
            ("/tmp:/x:O", Err("option O")),
            ("/nosuch-directory:/x", Err("nosuch-directory")),
        ] {
            match (volume(text), expected) {
                (Ok(volume), Ok(read_only)) => assert_eq!(volume.read_only, read_only, "{text}"),
                (Err(error), Err(part)) => assert!(error.text.contains(part), "{text}: {}", error.text),
                (other, _) => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn platforms_are_put_together() {
        let of = |os: Option<&str>, arch: Option<&str>, variant: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            HabitArgs { os: own(os), arch: own(arch), variant: own(variant), ..HabitArgs::default() }
                .platform()
        };
        assert_eq!(of(None, None, None), None);
        assert_eq!(of(None, Some("arm"), Some("v6")).as_deref(), Some("linux/arm/v6"));
        assert_eq!(of(Some("windows"), Some("amd64"), None).as_deref(), Some("windows/amd64"));
    }
}
