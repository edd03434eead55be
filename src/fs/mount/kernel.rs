//! The version of the running kernel, for what is known to be missing before trying it.

/// The first Linux whose overlays take a detached mount as a lower directory.
pub const STACKS_ON_DETACHED: (u32, u32) = (6, 15);
/// The first Linux that takes overlay directories by descriptor.
pub(super) const OVERLAY_BY_DESCRIPTOR: (u32, u32) = (6, 13);
/// The first Linux that takes lower directories one by one.
pub(super) const LOWER_BY_LOWER: (u32, u32) = (6, 7);

/// Returns major and minor number of the running kernel (uname(2)).
///
/// What is missing on an older kernel is not tried there: it would only fill the kernel's log. What a newer one has
/// may still be out of reach, so this never replaces a fallback.
pub fn running_kernel() -> (u32, u32) {
    kernel_version(&rustix::system::uname().release().to_string_lossy()).unwrap_or_default()
}

/// Returns the first two numbers of a release such as `6.12.57-amd64`; none if it has not got them.
pub fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        let cases = [
            ("6.1.0-56-cloud-amd64", Some((6, 1))),
            ("6.12", Some((6, 12))),
            ("5.15.90.1-microsoft-standard-WSL2", Some((5, 15))),
            ("6", None),
            ("", None),
            ("linux", None),
        ];
        for (release, wanted) in cases {
            assert_eq!(kernel_version(release), wanted, "{release}");
        }
        assert!(running_kernel() >= (5, 12));
    }
}
