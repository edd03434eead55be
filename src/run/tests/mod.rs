//! Processes for real, on a root that holds busybox.

mod support;

mod limits;
mod measure;
mod mounts;
mod process;
mod rootless;
mod security;
