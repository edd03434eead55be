//! Containers that outlive the command that made them: their files, their truth, their monitors.
//!
//! It owns what is below `containers/` and `volumes/` in the store's directory, and the small process that owns one
//! running container. There is no resident service: whoever asks, reads.
//!
//! ```text
//! ROOT/containers/<id>/
//!   config.json      what it is; written whole before anybody else sees the container
//!   state.json       how it is doing; replaced whole by whoever holds the lock
//!   upper/ work/     its writable layer
//!   hostname hosts resolv.conf
//!   <id>-json.log    what it wrote, and .1 .2 ... after rotation
//!   monitor.sock     where its monitor listens
//!   waiting-*.sock   where those listen who wait for its start
//!   execs/           further processes that the Engine API was asked for, and how they ended
//! ROOT/container-names/<name>   a link that says which id has the name
//! ROOT/volumes/<name>/{_data,volume.json}
//! ```
//!
//! **Invariants.**
//! - A container exists when its `config.json` does. A directory without one is in the making or being removed, and
//!   locked, or debris, which the next look at all containers takes away.
//! - A container's directory is locked (flock) by its monitor while that lives, and by nobody else for longer than a
//!   look. A state that says "running" under a free lock is a lie that the next reader sets right: what is left
//!   of the processes is killed, and the state says that it was.
//! - The container's first process dies with its monitor (`PR_SET_PDEATHSIG`).
//! - Names are unique: a link is made under a lock on `container-names/`.

mod bundle;
mod config;
mod connect;
mod descriptors;
mod error;
mod events;
mod exec_record;
mod files;
mod files_of;
mod hooks;
mod inject;
pub mod log;
mod managed;
pub mod monitor;
mod names;
mod parallel;
mod protocol;
mod remote;
mod settle;
mod share;
mod shown;
mod start;
mod state;
mod step;
mod sweep;
mod usage;
pub mod volumes;
mod waiting;

pub use bundle::write_bundle;
pub use config::{
    Attachment, Config, DeviceConfig, Health, LogConfig, MountPoint, MountSource, NetworkConfig,
    RestartPolicy, RlimitConfig, Shares, VolumeWish,
};
pub use error::ContainerError;
pub use events::{Event, EventReader, record};
pub use exec_record::ExecRecord;
pub use files::{Container, Containers, Draft};
pub use files_of::Files;
pub use managed::HOSTS;
pub use names::random_name;
pub use parallel::in_parallel;
pub use protocol::{Attach, Exec, Frame, Kind, Request};
pub use remote::{Failure, Remote, Reply, reap_monitors, spawn_monitor};
pub use shown::Shown;
pub use start::{CREDENTIALS, view};
pub use state::{HealthState, Probe, State, Status};
pub use step::Joined;
pub use usage::{Interface, Machine, Usage};
pub use waiting::Waiting;
