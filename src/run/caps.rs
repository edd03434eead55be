//! Capabilities by name and as sets.

use super::error::RunError;

/// Names by number, without `CAP_` (capabilities(7)).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CapSet(pub u64);

impl CapSet {
    /// No capability.
    pub const EMPTY: Self = Self(0);
    /// All capabilities known here.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);
    /// Docker's default set: AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP
    /// SETGID SETPCAP SETUID SYS_CHROOT.
    pub const DEFAULT: Self = Self(0xa80425fb);

    /// Whether the set has the capability of a number.
    pub fn has(self, number: u32) -> bool {
        number < 64 && self.0 & (1 << number) != 0
    }

    /// Returns the names of the members with `CAP_`, in the order of their numbers.
    pub fn names(self) -> Vec<String> {
        let named = NAMES.iter().enumerate().filter(|(number, _)| self.has(*number as u32));
        named.map(|(_, name)| format!("CAP_{name}")).collect()
    }

    /// Returns the set of one capability, named with or without `CAP_` in any case.
    ///
    /// # Errors
    /// There is no such capability.
    pub fn one(name: &str) -> Result<Self, RunError> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let number = NAMES.iter().position(|known| *known == bare);
        number
            .map(|n| Self(1 << n))
            .ok_or_else(|| RunError::Capability { list: "CapAdd", name: format!("CAP_{bare}") })
    }

    /// Returns the default set with docker's `--cap-add` and `--cap-drop` applied; `ALL` names every capability.
    ///
    /// # Errors
    /// There is no such capability.
    pub fn adjusted(add: &[String], drop: &[String]) -> Result<Self, RunError> {
        let union = |names: &[String]| {
            names
                .iter()
                .filter(|name| !is_all(name))
                .try_fold(0, |set, name| Ok::<_, RunError>(set | Self::one(name)?.0))
        };
        let added = union(add)?;
        let dropped = union(drop).map_err(|error| match error {
            RunError::Capability { name, .. } => RunError::Capability { list: "CapDrop", name },
            other => other,
        })?;
        Ok(Self(match (add.iter().any(|n| is_all(n)), drop.iter().any(|n| is_all(n))) {
            (true, _) => Self::ALL.0 & !dropped,
            (false, true) => added,
            (false, false) => Self::DEFAULT.0 & !dropped | added,
        }))
    }
}

fn is_all(name: &str) -> bool {
    name.eq_ignore_ascii_case("all")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &str) -> Vec<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_default_set_is_dockers() {
        let mut names: Vec<_> = CapSet::DEFAULT.names();
        names.sort();
        let expected = "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT";
        assert_eq!(names, expected.split(' ').map(|n| format!("CAP_{n}")).collect::<Vec<_>>());
    }

    #[test]
    fn adding_and_dropping() {
        for (add, drop, expected) in [
            ("", "", CapSet::DEFAULT.0),
            ("sys_admin", "", CapSet::DEFAULT.0 | 1 << 21),
            ("CAP_SYS_ADMIN", "cap_chown", (CapSet::DEFAULT.0 | 1 << 21) & !1),
            ("ALL", "", CapSet::ALL.0),
            ("all", "CHOWN", CapSet::ALL.0 & !1),
            ("", "all", 0),
            ("CHOWN", "ALL", 1),
        ] {
            let set = CapSet::adjusted(&strings(add), &strings(drop)).expect("the names are known");
            assert_eq!(set.0, expected, "+{add} -{drop}");
        }
        let error = CapSet::adjusted(&strings("FOO"), &[]).expect_err("no such capability");
        assert_eq!(error.to_string(), "invalid CapAdd: unknown capability: \"CAP_FOO\"");
        let error = CapSet::adjusted(&[], &strings("cap_foo")).expect_err("no such capability");
        assert_eq!(error.to_string(), "invalid CapDrop: unknown capability: \"CAP_FOO\"");
    }
}
