//! Processes of another architecture: what to say where the kernel can't run them.

use std::path::Path;

use crate::builder::error::{BuildError, ErrorKind};
use crate::fs::Root;
use crate::image::Platform;
use crate::run::RunError;

/// Where the kernel lists what runs files that it can't run itself.
const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// Returns an error that says what to install, if a process did not start because of its architecture.
pub(super) fn explained(error: BuildError, platform: &str) -> BuildError {
    let (Ok(wanted), host) = (Platform::parse(platform), Platform::host()) else { return error };
    if wanted.architecture == host.architecture {
        return error;
    }
    let ErrorKind::Start { source, .. } = &*error.kind else { return error };
    let advice = match source.downcast_ref::<RunError>() {
        Some(RunError::Exec { source, .. }) if source.raw_os_error() == Some(libc::ENOEXEC) => {
            missing(&wanted.architecture)
        }
        Some(RunError::NoInterpreter { .. }) if is_registered(&wanted.architecture) => {
            "its emulator is registered without the flag F, so that it is not found inside the step: \
             reinstall it with `apt-get install --reinstall qemu-user-static`, or register it with that flag"
                .to_owned()
        }
        _ => return error,
    };
    let what = format!("the step is for {wanted}, which this machine ({host}) can't run by itself: {advice}");
    let BuildError { kind, place, step } = error;
    let ErrorKind::Start { command, source } = *kind else { unreachable!("it was looked at above") };
    BuildError { kind: Box::new(ErrorKind::Foreign { command, what, source }), place, step }
}

/// The name that qemu has for an architecture, as Debian registers it.
fn qemu_name(architecture: &str) -> &str {
    match architecture {
        "arm64" => "aarch64",
        "amd64" => "x86_64",
        "386" => "i386",
        "mips64le" => "mips64el",
        "loong64" => "loongarch64",
        same => same,
    }
}

fn is_registered(architecture: &str) -> bool {
    let name = format!("qemu-{}", qemu_name(architecture));
    Root::open(Path::new(BINFMT)).and_then(|root| root.read(name, 4096)).is_ok()
}

fn missing(architecture: &str) -> String {
    let name = qemu_name(architecture);
    format!(
        "install an emulator with `apt-get install qemu-user-static binfmt-support` (Debian, Ubuntu) or \
         `dnf install qemu-user-static` (Fedora), so that {BINFMT}/qemu-{name} is there; \
         or do such steps on `FROM --platform=$BUILDPLATFORM`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(error: i32) -> BuildError {
        let source = std::io::Error::from_raw_os_error(error);
        let source = Box::new(RunError::Exec { path: "/bin/sh".to_owned(), source });
        ErrorKind::Start { command: "/bin/sh -c true".to_owned(), source }.into()
    }

    #[test]
    fn only_foreign_formats_are_explained() {
        let foreign = if cfg!(target_arch = "s390x") { "linux/arm64" } else { "linux/s390x" };
        let text = explained(failed(libc::ENOEXEC), foreign).to_string();
        assert!(text.contains("apt-get install qemu-user-static"), "{text}");
        let host = Platform::host().to_string();
        for (error, platform) in [(libc::ENOEXEC, host.as_str()), (libc::EACCES, foreign)] {
            assert!(!explained(failed(error), platform).to_string().contains("install"));
        }
    }
}
