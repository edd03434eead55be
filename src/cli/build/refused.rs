//! Flags of docker, buildah, podman and kaniko that a build here does not have, refused by name.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::super::error::CliError;

/// Which of the flags were given.
#[derive(Debug, Default)]
pub struct Refused {
    found: Vec<&'static str>,
}

/// Flags whose value may be left out.
const BOOLEAN: &[&str] = &[
    "all-platforms",
    "cleanup",
    "compat-volumes",
    "disable-content-trust",
    "force",
    "identity-label",
    "inherit-annotations",
    "no-hostname",
    "no-push",
    "pull-always",
    "pull-never",
    "rusage",
    "single-snapshot",
    "stdin",
    "tls-verify",
    "use-new-run",
];

/// Flags that may have the values that change nothing: name, those values.
const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    ("cgroupns", &["", "private"]),
    ("cleanup", &["true", "false"]),
    ("compat-volumes", &["false"]),
    ("disable-content-trust", &["true", "false"]),
    ("force", &["true", "false"]),
    ("group-add", &[]),
    ("identity-label", &["false"]),
    ("inherit-annotations", &["true"]),
    ("ipc", &["", "private"]),
    ("isolation", &["", "default", "oci", "rootless"]),
    ("no-push", &["true", "false"]),
    ("pid", &["", "private"]),
    ("rusage", &["false"]),
    ("stdin", &["false"]),
    ("userns", &["", "host"]),
    ("uts", &["", "private"]),
    ("use-new-run", &["true", "false"]),
];

/// Flags that are refused whatever their value, with what serves instead.
const ALWAYS: &[(&str, &str)] = &[
    ("all-platforms", "name the platforms with --platform"),
    ("authfile", "credentials are those of the client's configuration (DOCKER_CONFIG)"),
    ("cache-repo", "use --cache-from and --cache-to"),
    ("cert-dir", "certificates belong to the registry's configuration"),
    ("cpp-flag", ""),
    ("creds", "log in first"),
    ("decryption-key", ""),
    ("hooks-dir", ""),
    ("ignore-path", ""),
    ("image-name-with-digest-file", "use --metadata-file"),
    ("logfile", "redirect standard error"),
    ("logsplit", ""),
    ("manifest", "name several platforms with --platform"),
    ("no-hostname", ""),
    ("policy", ""),
    ("registry-map", ""),
    ("registry-mirror", ""),
    ("retry", ""),
    ("retry-delay", ""),
    ("runtime", ""),
    ("runtime-flag", ""),
    ("save-stages", ""),
    ("sign-by", ""),
    ("single-snapshot", "use --squash"),
    ("skip-tls-verify", ""),
    ("snapshot-mode", ""),
    ("tls-verify", "an insecure registry belongs to the configuration"),
    ("unsetannotation", ""),
];

fn flags() -> impl Iterator<Item = &'static str> {
    ALWAYS.iter().map(|(name, _)| *name).chain(WITHOUT_EFFECT.iter().map(|(name, _)| *name))
}

impl Args for Refused {
    fn augment_args(command: Command) -> Command {
        command.args(flags().map(|name| {
            let arg = Arg::new(name)
                .long(name)
                .hide(true)
                .help("Not available in this version")
                .action(ArgAction::Append)
                .allow_hyphen_values(true);
            match BOOLEAN.contains(&name) {
                true => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                false => arg.num_args(1).value_name("VALUE"),
            }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Refused {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let harmless = |name: &str, value: &String| {
            WITHOUT_EFFECT.iter().any(|(known, values)| *known == name && values.contains(&value.as_str()))
        };
        let given = |name: &&'static str| {
            matches.get_many::<String>(name).is_some_and(|mut values| !values.all(|v| harmless(name, v)))
        };
        Ok(Self { found: flags().filter(given).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Refused {
    /// Refuses the first flag that was given.
    ///
    /// # Errors
    /// There is one.
    pub fn check(&self) -> Result<(), CliError> {
        let Some(name) = self.found.first() else { return Ok(()) };
        let instead = ALWAYS.iter().find(|(known, _)| known == name).map_or("", |(_, instead)| instead);
        let instead = if instead.is_empty() { String::new() } else { format!(": {instead}") };
        Err(CliError::new(format!("ERROR: --{name} is not available in this version{instead}")))
    }
}
