//! Mount flags in tables.

use std::path::Path;

use super::mount_flags::*;
use crate::run::Propagation;

fn shown(wanted: &Wanted) -> String {
    let source = match &wanted.source {
        Source::Bind { path, create, recursive } => {
            let alone = if *recursive { "" } else { " alone" };
            format!("bind {path}{}{alone}", if *create { " create" } else { "" })
        }
        Source::Volume { name, copy_up, below } => {
            let name = name.as_deref().unwrap_or("-");
            let below = below.as_deref().map(|b| format!(" below {b}")).unwrap_or_default();
            format!("volume {name}{}{below}", if *copy_up { "" } else { " nocopy" })
        }
        Source::Tmpfs { size, mode, noexec, nosuid, nodev } => {
            let size = size.map(|s| format!(" {s}")).unwrap_or_default();
            let flag = |set: &bool, name| if *set { format!(" {name}") } else { String::new() };
            let flags = [flag(noexec, "noexec"), flag(nosuid, "nosuid"), flag(nodev, "nodev")].concat();
            format!("tmpfs{size} {mode:o}{flags}")
        }
    };
    let read_only = if wanted.read_only { " ro" } else { "" };
    let propagation = match wanted.propagation {
        Propagation::Private => "",
        Propagation::Slave => " slave",
        Propagation::Shared => " shared",
    };
    format!("{source} at {}{read_only}{propagation}", wanted.target.display())
}

#[track_caller]
fn check(found: Result<Wanted, crate::cli::error::CliError>, text: &str, expected: &str) {
    match found {
        Ok(wanted) => assert_eq!(shown(&wanted), expected, "{text}"),
        Err(error) => assert!(error.text.contains(expected), "{text}: {}, not {expected}", error.text),
    }
}

#[test]
fn volumes() {
    for (text, expected) in [
        ("/data", "volume - at /data"),
        ("name:/data", "volume name at /data"),
        ("name:/data:nocopy,ro", "volume name nocopy at /data ro"),
        ("/a/../b:/data/./x/../:ro", "bind /a/../b create at /data ro"),
        ("./rel:/d:z,rslave", "bind ./rel create at /d slave"),
        ("~/x:/d:rshared", "bind ~/x create at /d shared"),
        ("a:b:c:d", "too many colons"),
        (":/x", "empty section between colons"),
        ("x:", "empty section between colons"),
        ("x:relative", "mount path must be absolute"),
        ("relative", "mount path must be absolute"),
        ("x:/", "destination can't be '/'"),
        ("x:/a/..", "destination can't be '/'"),
        ("x:/y:odd", "unknown option: odd"),
        ("x:/y:slave,shared", "invalid mode: slave,shared"),
    ] {
        check(volume(text), text, expected);
    }
}

#[test]
fn mounts() {
    for (text, expected) in [
        (
            "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700,readonly",
            "tmpfs 1048576 700 noexec nosuid nodev at /t ro",
        ),
        ("src=v,target=/v", "volume v at /v"),
        ("target=/v,volume-nocopy", "volume - nocopy at /v"),
        ("source=v,dst=/v,volume-subpath=a/b", "volume v below a/b at /v"),
        ("type=bind,src=/x,dst=/y,ro=false", "bind /x at /y"),
        ("type=bind,src=/x,dst=/y,bind-create-src=true", "bind /x create at /y"),
        (
            "type=bind,src=/x,dst=/y,bind-recursive=disabled,bind-propagation=rslave",
            "bind /x alone at /y slave",
        ),
        ("TYPE=bind,\"src=/a,\"\"b\",dst=/y", "bind /a,\"b at /y"),
        ("type=bind,target=/x", "source is required"),
        ("type=volume,source=x", "target is required"),
        ("type=tmpfs,source=x,target=/x", "cannot specify source for mount type 'tmpfs'"),
        ("type=bind,source=/x,target=/x,odd=1", "unexpected key 'odd'"),
        ("type=bind,source=/x,target=/x,ro=maybe", "invalid value for ro: maybe"),
        ("type=volume,source=x,target=/x,tmpfs-size=1", "cannot mix 'tmpfs-size' with mount type 'volume'"),
        ("type=npipe,source=x,target=/x", "mount type 'npipe' is not available"),
        ("type=volume,dst=/x,volume-driver=nfs", "'volume-driver' is not available"),
        ("type=bind,source,target=/x", "must be a key=value pair"),
        ("type=bind,\"src=/x,dst=/x", "missing \""),
        ("type=tmpfs,dst=/t,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
    ] {
        check(mount(text), text, expected);
    }
}

#[test]
fn memory() {
    for (text, expected) in [
        ("/t", "tmpfs 1777 noexec nosuid nodev at /t"),
        ("/t:size=64k,mode=755,exec", "tmpfs 65536 755 nosuid nodev at /t"),
        ("/t:ro,suid,dev", "tmpfs 1777 noexec at /t ro"),
        ("/t:odd", "invalid tmpfs option [\"odd\"]"),
        ("/t:mode=x", "invalid tmpfs option [\"mode=x\"]"),
        ("t", "mount path must be absolute"),
    ] {
        check(tmpfs(text), text, expected);
    }
}

#[test]
fn dots_are_dropped() {
    for (path, expected) in [("/a/./b/../c", "/a/c"), ("a", "/a"), ("/../..", "/"), ("/a//b/", "/a/b")] {
        assert_eq!(clean(Path::new(path)), Path::new(expected));
    }
}
