//! Flags that other tools have and a command here does not, refused by name rather than ignored.

use std::marker::PhantomData;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::error::CliError;

/// Which flags a command knows without having them.
pub trait Unavailable: 'static {
    /// Flags that are refused whatever their value, with what serves instead.
    const ALWAYS: &'static [(&'static str, &'static str)];
    /// Flags that may have the values that change nothing: name, those values.
    const WITHOUT_EFFECT: &'static [(&'static str, &'static [&'static str])];
    /// Flags whose value may be left out.
    const BOOLEAN: &'static [&'static str];
    /// Flags that only engines on Windows have.
    const WINDOWS: &'static [&'static str] = &[];
    /// Flags with a letter.
    const SHORT: &'static [(&'static str, char)] = &[];
    /// What the command's errors begin with.
    const PREFIX: &'static str = "";
}

/// Which of a command's unavailable flags were given.
#[derive(Debug, Default)]
pub struct Refused<U> {
    found: Vec<&'static str>,
    of: PhantomData<U>,
}

fn flags<U: Unavailable>() -> impl Iterator<Item = &'static str> {
    U::ALWAYS
        .iter()
        .map(|(name, _)| *name)
        .chain(U::WITHOUT_EFFECT.iter().map(|(name, _)| *name))
        .chain(U::WINDOWS.iter().copied())
}

impl<U: Unavailable> Args for Refused<U> {
    fn augment_args(command: Command) -> Command {
        command.args(flags::<U>().map(|name| {
            let arg = Arg::new(name)
                .long(name)
                .hide(true)
                .help("Not available in this version")
                .action(ArgAction::Append)
                .allow_hyphen_values(true);
            let arg = match U::BOOLEAN.contains(&name) {
                true => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                false => arg.num_args(1).value_name("VALUE"),
            };
            match U::SHORT.iter().find(|(long, _)| *long == name) {
                Some((_, short)) => arg.short(*short),
                None => arg,
            }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<U: Unavailable> FromArgMatches for Refused<U> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let harmless = |name: &str, value: &String| {
            U::WITHOUT_EFFECT.iter().any(|(known, values)| *known == name && values.contains(&value.as_str()))
        };
        let given = |name: &&'static str| {
            matches.get_many::<String>(name).is_some_and(|mut values| !values.all(|v| harmless(name, v)))
        };
        Ok(Self { found: flags::<U>().filter(given).collect(), of: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<U: Unavailable> Refused<U> {
    /// Refuses the first flag that was given and that only engines on Windows have.
    ///
    /// # Errors
    /// There is one; docker says so before anything else.
    pub fn only_windows(&self) -> Result<(), CliError> {
        match self.found.iter().find(|name| U::WINDOWS.contains(name)) {
            None => Ok(()),
            Some(name) => Err(CliError::new(format!(
                "\"--{name}\" is only supported on a Docker daemon running on windows, but the Docker daemon is running on linux"
            ))),
        }
    }

    /// Refuses the first flag that was given.
    ///
    /// # Errors
    /// There is one.
    pub fn check(&self) -> Result<(), CliError> {
        let Some(name) = self.found.first() else { return Ok(()) };
        let instead = U::ALWAYS.iter().find(|(known, _)| known == name).map_or("", |(_, instead)| instead);
        let instead = if instead.is_empty() { String::new() } else { format!(": {instead}") };
        Err(CliError::new(format!("{}--{name} is not available in this version{instead}", U::PREFIX)))
    }
}
