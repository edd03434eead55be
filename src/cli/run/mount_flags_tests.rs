//! Mount flags in tables.

use std::path::Path;

use super::mount_flags::*;
use crate::run::Propagation;

fn shown(wanted: &Wanted) -> String {
    let source = match &wanted.source {
        Source::Bind { path, create, recursive, writable_below } => {
            let alone = if *recursive { "" } else { " alone" };
            let below = if *writable_below { " writable below" } else { "" };
            format!("bind {path}{}{alone}{below}", if *create { " create" } else { "" })
        }
        Source::Volume { name, copy_up, below, made_with } => {
            let name = name.as_deref().unwrap_or("-");
            let below = below.as_deref().map(|b| format!(" below {b}")).unwrap_or_default();
            let pairs = |kind, all: &std::collections::BTreeMap<String, String>| {
                all.iter().map(|(key, value)| format!(" {kind} {key}={value}")).collect::<String>()
            };
            let more = pairs("option", &made_with.options) + &pairs("label", &made_with.labels);
            format!("volume {name}{}{below}{more}", if *copy_up { "" } else { " nocopy" })
        }
        Source::Image { name, below, .. } => {
            format!("image {name}{}", below.as_deref().map(|b| format!(" below {b}")).unwrap_or_default())
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
        ("x:/y:odd", "invalid mode: odd"),
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
        ("type=bind,target=/x", "field Source must not be empty"),
        ("type=volume,source=x", "target is required"),
        ("type=tmpfs,source=x,target=/x", "field Source must not be specified"),
        ("type=bind,source=/x,target=/x,odd=1", "unexpected key 'odd'"),
        ("type=bind,source=/x,target=/x,ro=maybe", "invalid value for ro: maybe"),
        (
            "type=volume,source=x,target=/x,tmpfs-size=1",
            "cannot mix 'tmpfs-*' options with mount type 'volume'",
        ),
        ("type=image,source=i:1,target=/i", "image i:1 at /i ro"),
        ("type=image,src=i,target=/i,image-subpath=a/../b,ro=false", "image i below a/../b at /i ro"),
        ("type=image,src=i,target=/i,image-subpath=a/../../b", "subpath must be a relative path"),
        ("type=image,src=i,target=/i,image-subpath=/b", "subpath must be a relative path"),
        ("type=image,target=/i", "invalid mount config for type \"image\": field Source must not be empty"),
        ("target=/i,image-subpath=b", "cannot mix 'image-*' options with mount type 'volume'"),
        ("type=npipe,source=x,target=/x", "invalid mount config for type \"npipe\": mount type unknown"),
        (
            "type=volume,dst=/x,volume-driver=nfs",
            "error looking up volume plugin nfs: plugin \"nfs\" not found",
        ),
        (
            "src=v,dst=/x,volume-driver=local,volume-opt=type=tmpfs,\"volume-opt=o=a,b\",volume-label=k=w,volume-label=l",
            "volume v option o=a,b option type=tmpfs label k=w label l= at /x",
        ),
        ("src=v,dst=/x,volume-opt,ro", "invalid field 'volume-opt' must be a key=value pair"),
        ("src=v,dst=/x,volume-subpath=/a", "subpath must be a relative path within the volume"),
        ("src=v,dst=/x,volume-subpath=a/../..", "subpath must be a relative path within the volume"),
        ("dst=/x,volume-subpath=a", "must not set Subpath when using anonymous volumes"),
        ("dst=/x,readonly", "must not set ReadOnly mode when using anonymous volumes"),
        (
            "type=bind,src=/x,dst=/y,volume-driver=local",
            "cannot mix 'volume-*' options with mount type 'bind'",
        ),
        ("type=bind,src=/x,dst=/y,ro,bind-recursive=writable", "bind /x writable below at /y ro"),
        ("type=bind,src=/x,dst=/y,bind-recursive=writable", "'bind-recursive=writable' requires 'readonly'"),
        ("type=bind,src=/x,dst=/y,bind-recursive=readonly", "'bind-recursive=readonly' requires 'readonly'"),
        ("type=bind,src=/x,dst=/y,ro,bind-recursive=readonly", "requires 'bind-propagation=rprivate'"),
        ("type=bind,src=/x,dst=/y,ro,bind-recursive=readonly,bind-propagation=rprivate", "bind /x at /y ro"),
        (
            "type=bind,src=/x,dst=/y,bind-recursive=odd",
            "invalid value for bind-recursive: odd (must be \"enabled\"",
        ),
        ("type=bind,src=/x,dst=/y,bind-propagation=odd", "invalid propagation mode: odd"),
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
        ("/t:odd", "invalid tmpfs option \"odd\""),
        ("/t:mode=x", "invalid tmpfs option \"mode\""),
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
