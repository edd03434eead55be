//! Arguments that are described only when their command is the one that was asked for.
//!
//! Describing every flag of every command costs more than many a command does.

use std::ops::Deref;

use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches};

/// The arguments of a command; read like `T`'s own.
#[derive(Debug)]
pub struct Later<T>(Box<T>);

impl<T> Later<T> {
    /// Returns the arguments themselves.
    pub fn into_inner(self) -> T {
        *self.0
    }
}

impl<T> Deref for Later<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: FromArgMatches> FromArgMatches for Later<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(|args| Self(Box::new(args)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Args> Args for Later<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(described::<T>)
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(T::augment_args_for_update)
    }
}

/// What the command says of itself stands before what its arguments say of themselves.
fn described<T: Args>(command: Command) -> Command {
    let (about, long) = (command.get_about().cloned(), command.get_long_about().cloned());
    let command = T::augment_args(command);
    let command = about.into_iter().fold(command, Command::about);
    long.into_iter().fold(command, Command::long_about)
}

/// Returns a command with its arguments described; clap itself does so only when it reads words.
pub fn whole(command: &Command) -> Command {
    let mut command = command.clone().disable_help_flag(true);
    command.build();
    command
}
