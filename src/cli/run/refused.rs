//! Flags of docker's `run` that this version knows but does not have, refused by name.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::super::error::CliError;

/// Which of the flags were given.
#[derive(Debug, Default)]
pub struct Refused {
    found: Vec<&'static str>,
}

/// Flags that may be left out or have the values that change nothing: name, those values.
const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    ("isolation", &["default"]),
    ("userns", &["host"]),
    ("volume-driver", &["local"]),
    ("runtime", &["runc"]),
    ("disable-content-trust", &["true", "false"]),
    ("publish-all", &["false"]),
    ("oom-kill-disable", &["false"]),
    ("use-api-socket", &["false"]),
];

/// Flags whose value may be left out.
const BOOLEAN: &[&str] = &["publish-all", "oom-kill-disable", "disable-content-trust", "use-api-socket"];

const SHORT: &[(&str, char)] = &[("publish-all", 'P')];

/// Flags that are refused whatever their value.
const ALWAYS: &[&str] = &[
    "annotation",
    "blkio-weight",
    "blkio-weight-device",
    "cpu-count",
    "cpu-percent",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "device-read-bps",
    "device-read-iops",
    "device-write-bps",
    "device-write-iops",
    "gpus",
    "io-maxbandwidth",
    "io-maxiops",
    "ip",
    "ip6",
    "kernel-memory",
    "link",
    "link-local-ip",
    "mac-address",
    "memory-swappiness",
    "net-alias",
    "network-alias",
    "storage-opt",
];

fn flags() -> impl Iterator<Item = &'static str> {
    ALWAYS.iter().copied().chain(WITHOUT_EFFECT.iter().map(|(name, _)| *name))
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
            let arg = match BOOLEAN.contains(&name) {
                true => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                false => arg.num_args(1).value_name("VALUE"),
            };
            match SHORT.iter().find(|(long, _)| *long == name) {
                Some((_, short)) => arg.short(*short),
                None => arg,
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
        match self.found.first() {
            Some(name) => Err(CliError::new(format!("--{name} is not available in this version"))),
            None => Ok(()),
        }
    }
}
