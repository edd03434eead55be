//! A volume whose files are a file system of its own, or a directory of the host: what mount(2) is told.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use super::network;
use crate::containers::error::ContainerError;
use crate::fs::mount::{self, FilesystemOptions};
use crate::fs::stat_fd;

/// The words of mount(8) that are bits of mount(2): the word, its bit, whether it is set, what the mount has of it
/// (`MOUNT_ATTR_*`), and whether the file system is told.
const FLAGS: [(&str, u64, bool, u64, bool); 23] = [
    ("defaults", 0, true, 0, false),
    ("ro", libc::MS_RDONLY, true, libc::MOUNT_ATTR_RDONLY, true),
    ("rw", libc::MS_RDONLY, false, libc::MOUNT_ATTR_RDONLY, true),
    ("nosuid", libc::MS_NOSUID, true, libc::MOUNT_ATTR_NOSUID, false),
    ("suid", libc::MS_NOSUID, false, libc::MOUNT_ATTR_NOSUID, false),
    ("nodev", libc::MS_NODEV, true, libc::MOUNT_ATTR_NODEV, false),
    ("dev", libc::MS_NODEV, false, libc::MOUNT_ATTR_NODEV, false),
    ("noexec", libc::MS_NOEXEC, true, libc::MOUNT_ATTR_NOEXEC, false),
    ("exec", libc::MS_NOEXEC, false, libc::MOUNT_ATTR_NOEXEC, false),
    ("sync", libc::MS_SYNCHRONOUS, true, 0, true),
    ("async", libc::MS_SYNCHRONOUS, false, 0, true),
    ("dirsync", libc::MS_DIRSYNC, true, 0, true),
    ("mand", libc::MS_MANDLOCK, true, 0, true),
    ("nomand", libc::MS_MANDLOCK, false, 0, true),
    ("noatime", libc::MS_NOATIME, true, libc::MOUNT_ATTR_NOATIME, false),
    ("atime", libc::MS_NOATIME, false, libc::MOUNT_ATTR_NOATIME, false),
    ("nodiratime", libc::MS_NODIRATIME, true, libc::MOUNT_ATTR_NODIRATIME, false),
    ("diratime", libc::MS_NODIRATIME, false, libc::MOUNT_ATTR_NODIRATIME, false),
    ("relatime", libc::MS_RELATIME, true, 0, false),
    ("norelatime", libc::MS_RELATIME, false, 0, false),
    ("strictatime", libc::MS_STRICTATIME, true, libc::MOUNT_ATTR_STRICTATIME, false),
    ("bind", libc::MS_BIND, true, 0, false),
    ("rbind", libc::MS_BIND | libc::MS_REC, true, 0, false),
];
/// What other mounts learn of is no matter of a volume, whose place nobody but containers sees.
const PROPAGATION: [&str; 8] =
    ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"];

/// What is mounted in the place of a volume's own files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filesystem {
    kind: String,
    device: String,
    options: String,
}

impl Filesystem {
    /// Reads the options of a volume; none if it has files of its own.
    pub fn of(options: &BTreeMap<String, String>) -> Option<Self> {
        let word = |key: &str| options.get(key).cloned().unwrap_or_default();
        let all = Self { kind: word("type"), device: word("device"), options: word("o") };
        (!all.kind.is_empty() || !all.device.is_empty()).then_some(all)
    }

    /// Returns type, device and options.
    pub fn parts(self) -> (String, String, Vec<String>) {
        let kind = if self.is_bind() { "bind".to_owned() } else { self.kind.clone() };
        let options = split(&self.kind, &self.options);
        (kind, self.device, options)
    }

    /// Whether it is a directory of the host.
    pub fn is_bind(&self) -> bool {
        Told::of(&self.kind, &self.options).flags & libc::MS_BIND != 0
    }

    /// Mounts it nowhere; `place` is where docker would have it.
    pub fn mount(&self, place: &Path) -> Result<OwnedFd, ContainerError> {
        let failed = |why: String, code| ContainerError::Volume { place: place.to_owned(), why, code };
        if self.device.is_empty() {
            return Err(failed("missing device in volume options".to_owned(), 125));
        }
        let (device, options) = network::resolve(&self.kind, &self.device, &self.options, network::look_up)
            .map_err(|why| failed(why, 125))?;
        let told = Told::of(&self.kind, &options);
        told.mount(&self.kind, &device).map_err(|refusal| {
            let mut words = format!("failed to mount local volume: mount {device}:{}", place.display());
            if told.flags != 0 {
                words.push_str(&format!(", flags: {:#x}", told.flags));
            }
            if !told.data.is_empty() {
                words.push_str(&format!(", data: {}", told.shown()));
            }
            // As docker's client reads the engine's words.
            let code = match refusal.raw_os_error() {
                Some(libc::ENOENT) => 127,
                Some(libc::EACCES) => 126,
                _ => 125,
            };
            failed(format!("{words}: {}", in_words(&refusal)), code)
        })
    }
}

fn in_words(refusal: &std::io::Error) -> String {
    let text = refusal.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    match refusal.raw_os_error() {
        Some(libc::EPERM) if crate::net::is_rootless().unwrap_or(false) => {
            "operation not permitted (of an ordinary user's, only tmpfs, overlays and binds can be mounted)"
                .to_owned()
        }
        _ => text.to_lowercase(),
    }
}

/// Options, taken apart for the kernel.
struct Told {
    /// Bits of mount(2).
    flags: u64,
    attributes: u64,
    /// Words for the file system that are bits.
    super_block: Vec<&'static str>,
    /// The rest.
    data: Vec<String>,
}

impl Told {
    fn of(kind: &str, options: &str) -> Self {
        let mut told = Self { flags: 0, attributes: 0, super_block: Vec::new(), data: Vec::new() };
        for option in split(kind, options) {
            match FLAGS.iter().find(|(word, ..)| *word == option) {
                Some((word, bits, set, attributes, of_super_block)) => {
                    match set {
                        true => {
                            (told.flags, told.attributes) = (told.flags | bits, told.attributes | attributes)
                        }
                        false => {
                            (told.flags, told.attributes) =
                                (told.flags & !bits, told.attributes & !attributes)
                        }
                    }
                    told.super_block.extend(of_super_block.then_some(*word));
                }
                None if PROPAGATION.contains(&option.as_str()) => {}
                None => told.data.push(option),
            }
        }
        told
    }

    fn mount(&self, kind: &str, device: &str) -> Result<OwnedFd, std::io::Error> {
        let attributes = u32::try_from(self.attributes).unwrap_or(0);
        let refused = |error: mount::MountError| match error.raw_os_error() {
            Some(number) => std::io::Error::from_raw_os_error(number),
            None => std::io::Error::other(error),
        };
        if self.flags & libc::MS_BIND != 0 {
            // As for an engine, whose working directory is the root.
            let tree = crate::fs::open_path(&Path::new("/").join(device)).map_err(|e| e.source)?;
            if !stat_fd(&tree).is_ok_and(|stat| stat.is_dir()) {
                return Err(std::io::Error::from_raw_os_error(libc::ENOTDIR));
            }
            return mount::bind(tree.as_fd(), self.flags & libc::MS_REC != 0, attributes).map_err(refused);
        }
        let pair = |text: &String| match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (text.clone(), None),
        };
        let words = self.super_block.iter().map(|word| ((*word).to_owned(), None));
        let options = words.chain(self.data.iter().map(pair)).collect();
        let options =
            FilesystemOptions { kind: kind.to_owned(), source: device.to_owned(), options, attributes };
        mount::filesystem(&options).map_err(refused)
    }

    /// Returns the options of the file system as they may be shown.
    fn shown(&self) -> String {
        let hidden = |option: &String| match option.split_once('=') {
            Some((key, _)) if is_secret(key) => format!("{key}=********"),
            _ => option.clone(),
        };
        self.data.iter().map(hidden).collect::<Vec<_>>().join(",")
    }
}

fn is_secret(key: &str) -> bool {
    ["pass", "password", "password2"].contains(&key.to_ascii_lowercase().as_str())
}

/// Takes options apart; for cifs, two commas are one in a value, as a password may have it.
fn split(kind: &str, options: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut parts = options.split(',').peekable();
    while let Some(part) = parts.next() {
        let mut option = part.to_owned();
        while kind == "cifs" && !option.is_empty() && parts.peek() == Some(&"") {
            parts.next();
            option.push(',');
            option.push_str(parts.next().unwrap_or_default());
        }
        if !option.is_empty() {
            all.push(option);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_bits_and_data() {
        for (kind, options, flags, attributes, data) in [
            ("tmpfs", "", 0, 0, ""),
            ("tmpfs", "size=1m,nosuid,mode=700", 2, 2, "size=1m,mode=700"),
            ("ext4", "ro,defaults,noatime", 0x401, 0x11, ""),
            ("ext4", "ro,rw", 0, 0, ""),
            ("none", "rbind,rslave", 0x5000, 0, ""),
            ("nfs", "addr=1.2.3.4,rw,nfsvers=4", 0, 0, "addr=1.2.3.4,nfsvers=4"),
            ("cifs", "username=a,password=b", 0, 0, "username=a,password=********"),
            ("cifs", "password=b,,c,sync", 0x10, 0, "password=********"),
            ("cifs", "PASS=b", 0, 0, "PASS=********"),
        ] {
            let told = Told::of(kind, options);
            assert_eq!(
                (told.flags, told.attributes, told.shown().as_str()),
                (flags, attributes, data),
                "{options}"
            );
        }
        assert_eq!(split("cifs", "password=b,,c,,,,d,e"), ["password=b,c,,d", "e"]);
        assert_eq!(split("nfs", "a,,b,"), ["a", "b"]);
    }

    #[test]
    fn errors_say_what_the_kernel_was_told_but_no_password() {
        let of = |kind: &str, device: &str, o: &str| Filesystem {
            kind: kind.to_owned(),
            device: device.to_owned(),
            options: o.to_owned(),
        };
        let said = |filesystem: Filesystem| match filesystem.mount(Path::new("/store/v/_data")) {
            Err(error) => (error.to_string(), error.exit_code()),
            Ok(_) => panic!("{filesystem:?} is no file system"),
        };
        let start = "error while mounting volume '/store/v/_data': ";
        assert_eq!(said(of("tmpfs", "", "")), (format!("{start}missing device in volume options"), 125));
        let missing = said(of("none", "/no-such", "bind"));
        let words = "failed to mount local volume: mount /no-such:/store/v/_data, flags: 0x1000: no such file or directory";
        assert_eq!(missing, (format!("{start}{words}"), 127));
        let (hidden, _) = said(of("no-such-fs", "//x/y", "username=a,password=no-such-fs"));
        assert!(
            hidden.contains("mount //x/y:/store/v/_data, data: username=a,password=********: "),
            "{hidden}"
        );
    }
}
