//! The Container Device Interface: files of a machine's vendors that say what a container needs for a device.
//!
//! ```text
//! spec      one file: a kind (vendor/class), its devices, and for each what it edits in a container
//! registry  the files of some directories; a device that two files of one directory have is none
//! request   what docker's --device and --gpus ask for -> qualified names (vendor/class=name)
//! ```
//!
//! Nothing is kept between two starts of containers: the files are read whenever one asks for a device.
//!
//! Left out: network devices and Intel RDT; whoever applies the edits refuses them by name.

mod error;
mod name;
mod registry;
mod request;
mod spec;

pub use error::CdiError;
pub use name::is_qualified;
pub use registry::Registry;
pub use request::{DeviceRequest, resolve};
pub use spec::{DeviceNode, Edits, Hook, Mount};

/// Where a machine's files are; of two files with the same device in two directories, the later directory's counts.
pub const DIRECTORIES: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];
