//! Whole builds.

mod builds;
mod runs;
mod support;
