//! What a request of the Engine API says of a container that no flag can say so.

use super::mount_flags::Wanted as Mount;
use crate::containers::Attachment;
use crate::image::HealthConfig;

/// What stands beside the flags.
#[derive(Debug, Default)]
pub struct Given {
    /// Whether a client elsewhere says it all: its variables and paths are not this process's.
    pub remote: bool,
    /// The entrypoint; an empty one resets the image's.
    pub entrypoint: Option<Vec<String>>,
    /// The health check, not yet joined with the image's.
    pub health: Option<HealthConfig>,
    /// Mounts as objects.
    pub mounts: Vec<Mount>,
    /// Networks by name with what is wished there; the first flag's network among them or not.
    pub endpoints: Vec<Attachment>,
}
