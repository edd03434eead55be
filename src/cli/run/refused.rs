//! Flags of docker's `run` and `create` that this version knows but does not have.

use super::super::refused::{self, Unavailable};

/// Which of the flags were given.
pub type Refused = refused::Refused<OfRun>;

/// The flags of a container.
#[derive(Debug, Default)]
pub struct OfRun;

impl Unavailable for OfRun {
    const WITHOUT_EFFECT: &'static [(&'static str, &'static [&'static str])] = &[];
    const BOOLEAN: &'static [&'static str] = &[];
    const WINDOWS: &'static [&'static str] = &["cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"];
    const ALWAYS: &'static [(&'static str, &'static str)] = &[];
}
