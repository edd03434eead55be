//! The status of failures that commands know only by their words, which are docker's.

use hyper::StatusCode;

use super::super::error::CliError;
use crate::engine::ApiError;

/// What stands before the words of the engine's side.
const PREFIX: &str = "Error response from daemon: ";

/// Words, and the status that they have at docker. The first that fits counts.
const WORDS: &[(&str, StatusCode)] = &[
    ("No such container", StatusCode::NOT_FOUND),
    ("No such image", StatusCode::NOT_FOUND),
    ("no such image", StatusCode::NOT_FOUND),
    ("No such exec instance", StatusCode::NOT_FOUND),
    ("no such volume", StatusCode::NOT_FOUND),
    ("No such network", StatusCode::NOT_FOUND),
    ("network not found", StatusCode::NOT_FOUND),
    (" not found", StatusCode::NOT_FOUND),
    ("does not match the specified platform", StatusCode::NOT_FOUND),
    ("does not provide the specified platform", StatusCode::NOT_FOUND),
    ("repository does not exist", StatusCode::NOT_FOUND),
    ("manifest unknown", StatusCode::NOT_FOUND),
    ("Could not find the file", StatusCode::NOT_FOUND),
    ("no such file or directory", StatusCode::NOT_FOUND),
    ("is already in progress", StatusCode::CONFLICT),
    ("is already in use", StatusCode::CONFLICT),
    ("onflicting options", StatusCode::BAD_REQUEST),
    ("onflict", StatusCode::CONFLICT),
    ("is not running", StatusCode::CONFLICT),
    ("is not paused", StatusCode::CONFLICT),
    ("is already paused", StatusCode::CONFLICT),
    ("is paused", StatusCode::CONFLICT),
    ("is restarting", StatusCode::CONFLICT),
    ("cannot remove container", StatusCode::CONFLICT),
    ("volume is in use", StatusCode::CONFLICT),
    ("already exists", StatusCode::CONFLICT),
    ("has active endpoints", StatusCode::FORBIDDEN),
    ("is a pre-defined network", StatusCode::FORBIDDEN),
    ("unauthorized", StatusCode::UNAUTHORIZED),
    ("incorrect username or password", StatusCode::UNAUTHORIZED),
    ("nvalid", StatusCode::BAD_REQUEST),
    ("bad parameter", StatusCode::BAD_REQUEST),
    ("must be", StatusCode::BAD_REQUEST),
    ("is not a valid", StatusCode::BAD_REQUEST),
    ("is not allowed", StatusCode::BAD_REQUEST),
    ("Duplicate mount point", StatusCode::BAD_REQUEST),
    // What is wrong with limits.
    ("Minimum memory", StatusCode::BAD_REQUEST),
    ("You should always set the Memory limit", StatusCode::BAD_REQUEST),
    ("CPU cfs", StatusCode::BAD_REQUEST),
    ("ange of", StatusCode::BAD_REQUEST),
    ("are not available - requested", StatusCode::BAD_REQUEST),
];

impl From<CliError> for ApiError {
    fn from(error: CliError) -> Self {
        let text = error.text.strip_prefix("docker: ").unwrap_or(&error.text);
        let text = text.strip_prefix(PREFIX).unwrap_or(text).trim_end();
        let fits = WORDS.iter().find(|(words, _)| text.contains(words));
        Self::new(fits.map_or(StatusCode::INTERNAL_SERVER_ERROR, |(_, status)| *status), text)
    }
}

/// Gives what the core returns the same status as if a command had met it.
macro_rules! like_a_command {
    ($($error:ty),*) => {
        $(impl From<$error> for ApiError {
            fn from(error: $error) -> Self {
                CliError::from(error).into()
            }
        })*
    };
}

like_a_command!(
    crate::containers::ContainerError,
    crate::store::StoreError,
    crate::archive::ArchiveError,
    crate::registry::RegistryError,
    crate::fs::FsError,
    crate::image::ReferenceError,
    std::io::Error
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_dockers_status() {
        for (text, status, message) in [
            ("Error response from daemon: No such container: x", 404, "No such container: x"),
            ("Error response from daemon: container abc is not running", 409, "container abc is not running"),
            (
                "Error response from daemon: Conflict. The container name \"/x\" is already in use",
                409,
                "Conflict. The container name \"/x\" is already in use",
            ),
            (
                "Error response from daemon: RUN is not a valid change command",
                400,
                "RUN is not a valid change command",
            ),
            (
                "Requested CPUs are not available - requested 9, available: 0",
                400,
                "Requested CPUs are not available - requested 9, available: 0",
            ),
            ("docker: invalid reference format", 400, "invalid reference format"),
            ("the disk is full", 500, "the disk is full"),
        ] {
            let error = ApiError::from(CliError::new(text));
            assert_eq!((error.status.as_u16(), error.message.as_str()), (status, message), "{text}");
        }
    }
}
