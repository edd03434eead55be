//! Flags of docker, buildah, podman and kaniko that a build here does not have.

use super::super::refused::{self, Unavailable};

/// Which of the flags were given.
pub type Refused = refused::Refused<OfBuild>;

/// The flags of a build.
#[derive(Debug, Default)]
pub struct OfBuild;

impl Unavailable for OfBuild {
    const PREFIX: &'static str = "ERROR: ";
    const BOOLEAN: &'static [&'static str] = &[
        "all-platforms",
        "cleanup",
        "compat-volumes",
        "disable-content-trust",
        "force",
        "identity-label",
        "inherit-annotations",
        "no-hostname",
        "no-push",
        "pull-always",
        "pull-never",
        "rusage",
        "single-snapshot",
        "stdin",
        "tls-verify",
        "use-new-run",
    ];
    const WITHOUT_EFFECT: &'static [(&'static str, &'static [&'static str])] = &[
        ("cgroupns", &["", "private"]),
        ("cleanup", &["true", "false"]),
        ("compat-volumes", &["false"]),
        ("disable-content-trust", &["true", "false"]),
        ("force", &["true", "false"]),
        ("group-add", &[]),
        ("identity-label", &["false"]),
        ("inherit-annotations", &["true"]),
        ("ipc", &["", "private"]),
        ("isolation", &["", "default", "oci", "rootless"]),
        ("no-push", &["true", "false"]),
        ("pid", &["", "private"]),
        ("rusage", &["false"]),
        ("stdin", &["false"]),
        ("userns", &["", "host"]),
        ("uts", &["", "private"]),
        ("use-new-run", &["true", "false"]),
    ];
    const ALWAYS: &'static [(&'static str, &'static str)] = &[
        ("all-platforms", "name the platforms with --platform"),
        ("authfile", "credentials are those of the client's configuration (DOCKER_CONFIG)"),
        ("cache-repo", "use --cache-from and --cache-to"),
        ("cert-dir", "certificates belong to the registry's configuration"),
        ("cpp-flag", ""),
        ("creds", "log in first"),
        ("decryption-key", ""),
        ("hooks-dir", ""),
        ("ignore-path", ""),
        ("image-name-with-digest-file", "use --metadata-file"),
        ("logfile", "redirect standard error"),
        ("logsplit", ""),
        ("manifest", "name several platforms with --platform"),
        ("no-hostname", ""),
        ("policy", ""),
        ("registry-map", ""),
        ("registry-mirror", ""),
        ("retry", ""),
        ("retry-delay", ""),
        ("runtime", ""),
        ("runtime-flag", ""),
        ("save-stages", ""),
        ("sign-by", ""),
        ("single-snapshot", "use --squash"),
        ("skip-tls-verify", ""),
        ("snapshot-mode", ""),
        ("tls-verify", "an insecure registry belongs to the configuration"),
        ("unsetannotation", ""),
    ];
}
