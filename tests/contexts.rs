//! Contexts as files: what `context export` writes, and what `context import` takes and refuses.

mod support;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use flate2::Crc;
use flate2::write::DeflateEncoder;

use support::certificates::openssl;
use support::pty::Pty;
use support::{Ran, TestEnv};

const META: &str = r#"{"Name":"far","Metadata":{"Description":"one <far> away"},"Endpoints":{"docker":{"Host":"tcp://h:1","SkipTLSVerify":false}}}"#;

/// A context `far` with certificates that are some.
fn with_context() -> TestEnv {
    let env = TestEnv::new();
    openssl(
        &env.work(),
        "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=x",
    );
    std::fs::copy(env.work().join("cert.pem"), env.work().join("ca.pem")).unwrap();
    let endpoint = "host=tcp://h:1,ca=ca.pem,cert=cert.pem,key=key.pem";
    env.ok(&["context", "create", "far", "--description", "one <far> away", "--docker", endpoint]);
    env
}

/// What a context is, but for its name and its place.
fn shown(env: &TestEnv, name: &str) -> String {
    let format = "{{json .Metadata}} {{json .Endpoints}} {{json .TLSMaterial}}";
    env.ok(&["context", "inspect", "-f", format, name])
}

fn import(env: &TestEnv, name: &str, file: &str) -> Ran {
    env.run(&["context", "import", name, file])
}

#[test]
fn an_exported_context_is_imported_as_it_was() {
    let env = with_context();
    let written = env.run(&["context", "export", "far"]).success();
    assert_eq!(
        (written.stdout.as_str(), written.stderr.as_str()),
        ("", "Written file \"far.dockercontext\"\n")
    );
    let file = env.work().join("far.dockercontext");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&file).unwrap();
    let mut tar = tar::Archive::new(&before[..]);
    let entries = tar.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap())
    });
    let expected = [
        ("meta.json", 0o644),
        ("tls/", 0o700),
        ("tls/docker/", 0o700),
        ("tls/docker/ca.pem", 0o600),
        ("tls/docker/cert.pem", 0o600),
        ("tls/docker/key.pem", 0o600),
    ];
    assert_eq!(entries.collect::<Vec<_>>(), expected.map(|(path, mode)| (path.to_owned(), mode)));

    // What is there stays, and what can't be is said.
    let again = env.run(&["context", "export", "far"]).fails_with(1);
    assert_eq!(again.stderr, "open far.dockercontext: file exists\n");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let nowhere = env.run(&["context", "export", "far", "no/where"]).fails_with(1);
    assert_eq!(nowhere.stderr, "open no/where: no such file or directory\n");
    let unknown = env.run(&["context", "export", "near"]).fails_with(1);
    assert!(unknown.stderr.starts_with("context \"near\": context not found: open "), "{}", unknown.stderr);
    assert!(!env.work().join("near.dockercontext").exists());
    assert!(env.run(&["context", "export", "../x"]).fails_with(1).stderr.contains("is invalid, names are"));
    let local = env.run(&["context", "export", "default"]).fails_with(1);
    assert!(local.stderr.contains("is the local store"), "{}", local.stderr);

    let out = env.skiff(&["context", "export", "far", "-"]).output().unwrap();
    assert!(out.status.success() && out.stderr.is_empty() && out.stdout == before);
    let imported = import(&env, "by-file", "far.dockercontext").success();
    assert_eq!(imported.stdout, "by-file\n");
    assert_eq!(imported.stderr, "Successfully imported context \"by-file\"\n");
    let mut child = env.skiff(&["context", "import", "by-pipe", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&before).unwrap();
    assert!(child.wait().unwrap().success());
    for name in ["by-file", "by-pipe"] {
        assert_eq!(shown(&env, name), shown(&env, "far"));
    }
    assert!(shown(&env, "far").contains(r#"{"docker":["ca.pem","cert.pem","key.pem"]}"#));
    let taken = import(&env, "by-file", "far.dockercontext").fails_with(1);
    assert_eq!(taken.stderr, "context \"by-file\" already exists\n");
    let folder = import(&env, "other", ".").fails_with(1);
    assert_eq!(folder.stderr, "read .: is a directory\n");
    let missing = import(&env, "other", "nope").fails_with(1);
    assert_eq!(missing.stderr, "open nope: no such file or directory\n");

    let host = env.run_with(&["context", "export", "default"], &[("DOCKER_HOST", "tcp://there:7")]).success();
    assert_eq!(host.stderr, "Written file \"default.dockercontext\"\n");
    import(&env, "there", "default.dockercontext").success();
    assert!(shown(&env, "there").contains(r#""Host":"tcp://there:7""#));
}

#[test]
fn a_terminal_gets_no_archive() {
    let env = with_context();
    let (screen, code) = Pty::start(&env.skiff(&["context", "export", "far", "-"]), 24, 80).finish();
    assert_eq!(screen.trim(), "cowardly refusing to export to a terminal, specify a file path");
    assert_eq!(code, Some(1));
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn dockers_client_reads_what_is_written_and_the_other_way_round() {
    let docker = |env: &TestEnv, args: &[&str]| {
        let config = env.work().join("docker");
        let mut command = Command::new("docker");
        command.args(args).env("DOCKER_CONFIG", config).current_dir(env.work()).output()
    };
    let env = with_context();
    if !docker(&env, &["--version"]).is_ok_and(|known| known.status.success()) {
        eprintln!("skipped: there is no docker client");
        return;
    }
    env.ok(&["context", "export", "far", "ours"]);
    assert!(docker(&env, &["context", "import", "theirs", "ours"]).unwrap().status.success());
    let seen = docker(&env, &["context", "inspect", "theirs"]).unwrap();
    let seen: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(seen[0]["TLSMaterial"]["docker"], serde_json::json!(["ca.pem", "cert.pem", "key.pem"]));
    assert_eq!(seen[0]["Endpoints"]["docker"]["Host"], "tcp://h:1");
    assert_eq!(seen[0]["Metadata"]["Description"], "one <far> away");
    assert!(docker(&env, &["context", "export", "theirs", "back"]).unwrap().status.success());
    import(&env, "back", "back").success();
    assert_eq!(shown(&env, "back"), shown(&env, "far"));
    // The very bytes of the certificates came back.
    env.ok(&["context", "export", "back", "again"]);
    let content = |name: &str| {
        let mut tar = tar::Archive::new(std::fs::File::open(env.work().join(name)).unwrap());
        let files = tar.entries().unwrap().map(Result::unwrap).skip(1);
        files.map(|mut file| std::io::read_to_string(&mut file).unwrap()).collect::<String>()
    };
    assert!(content("ours").contains("PRIVATE KEY") && content("again") == content("ours"));
}

type Files<'a> = &'a [(&'a str, &'a [u8])];

fn tar_of(files: Files<'_>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A zip of files that are stored or deflated in turn.
fn zip_of(files: Files<'_>) -> Vec<u8> {
    let (mut zip, mut central) = (Vec::new(), Vec::new());
    for (n, (path, bytes)) in files.iter().enumerate() {
        let mut crc = Crc::new();
        crc.update(bytes);
        let (method, packed) = match n % 2 {
            0 => (0u16, bytes.to_vec()),
            _ => {
                let mut out = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
                out.write_all(bytes).unwrap();
                (8, out.finish().unwrap())
            }
        };
        let offset = zip.len() as u32;
        let mut common = [20u16, 0, method, 0, 0].map(u16::to_le_bytes).concat();
        let sizes = [crc.sum(), packed.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
        common.extend([sizes, (path.len() as u16).to_le_bytes().to_vec(), vec![0; 2]].concat());
        zip.extend([b"PK\x03\x04", &common[..], path.as_bytes(), &packed].concat());
        central.extend(
            [b"PK\x01\x02\x14\x03", &common[..], &[0; 10], &offset.to_le_bytes(), path.as_bytes()].concat(),
        );
    }
    let count = (files.len() as u16).to_le_bytes();
    let places = [central.len() as u32, zip.len() as u32].map(u32::to_le_bytes).concat();
    zip.extend([&central[..], b"PK\x05\x06\0\0\0\0", &count, &count, &places, &[0; 2]].concat());
    zip
}

#[test]
fn an_archive_of_elsewhere_is_believed_nothing() {
    let env = TestEnv::new();
    let meta = META.as_bytes();
    let big = vec![b' '; 11 << 20];
    let cases: &[(Files<'_>, &str)] = &[
        (
            &[("meta.json", meta), ("tls/docker/../../../x", b"x")],
            "tls/docker/../../../x: unexpected path format",
        ),
        (&[("meta.json", meta), ("tls//x", b"x")], "tls//x: unexpected path format"),
        (&[("meta.json", meta), ("tls/./x", b"x")], "tls/./x: unexpected path format"),
        (&[("meta.json", meta), ("../x", b"x")], "../x: unexpected context file"),
        (&[("meta.json", meta), ("/etc/x", b"x")], "/etc/x: unexpected context file"),
        (&[("./meta.json", meta)], "./meta.json: unexpected context file"),
        (&[("meta.json", meta), ("other", b"x")], "other: unexpected context file"),
        (&[("meta.json", meta), ("tls/docker\\x", b"x")], "tls/docker\\x: unexpected '\\' in path"),
        (&[("meta.json", meta), ("tls/x", b"x")], "archive format is invalid"),
        (&[("meta.json", meta), ("tls/docker/sub/x", b"x")], "archive format is invalid"),
        (&[("tls/docker/ca.pem", b"x")], "invalid context: no metadata found"),
        (&[("meta.json", b"{")], "unexpected end of JSON input"),
        (&[("meta.json", b"[]")], "meta.json: it is no object"),
        (&[("meta.json", b"{\"Endpoints\":[]}")], "meta.json: Endpoints is no object"),
        (&[("meta.json", b"{\"Metadata\":\"x\"}")], "meta.json: Metadata is no object"),
        (&[("meta.json", meta), ("tls/docker/ca.pem", &big)], "read exceeds the defined limit"),
        (&[("meta.json", &big)], "read exceeds the defined limit"),
    ];
    for (files, why) in cases {
        for archive in [tar_of(files), zip_of(files)] {
            env.write("archive", archive);
            assert_eq!(import(&env, "bad", "archive").fails_with(1).stderr, format!("{why}\n"), "{files:?}");
        }
    }
    for (bytes, why) in [
        (&b"hello"[..], "unexpected EOF"),
        (b"", "invalid context: no metadata found"),
        (&[b'x'; 2048], "archive/tar: invalid tar header"),
        (b"PK\x03\x04and no more", "zip: not a valid zip file"),
    ] {
        env.write("archive", bytes);
        assert_eq!(import(&env, "bad", "archive").fails_with(1).stderr, format!("{why}\n"));
    }
    // Nothing is left of what was refused.
    assert_eq!(env.ok(&["context", "ls", "-q"]), "default\n");
    let home = env.work().parent().unwrap().join("home/.docker");
    assert!(!home.join("contexts").exists(), "something was written");
}

#[test]
fn zips_are_read_as_well_and_damaged_ones_are_not() {
    let env = TestEnv::new();
    let files: Files<'_> = &[
        ("meta.json", META.as_bytes()),
        ("tls/docker/ca.pem", b"one"),
        ("tls/other/x", b"two"),
        ("tls/", b""),
    ];
    let zip = zip_of(files);
    env.write("z", &zip);
    import(&env, "zipped", "z").success();
    assert!(shown(&env, "zipped").ends_with(" {\"docker\":[\"ca.pem\"],\"other\":[\"x\"]}\n"));
    env.ok(&["context", "export", "zipped", "t"]);
    env.write(
        "tar",
        tar_of(&[("meta.json", META.as_bytes()), ("tls/docker/ca.pem", b"one"), ("tls/other/x", b"two")]),
    );
    import(&env, "tarred", "tar").success();
    assert_eq!(shown(&env, "tarred"), shown(&env, "zipped"));
    // A comment at its end makes it no other zip.
    let mut noted = zip.clone();
    let length = noted.len() - 2;
    noted.splice(length.., [&4u16.to_le_bytes()[..], b"note"].concat());
    env.write("noted", &noted);
    import(&env, "noted", "noted").success();
    assert_eq!(shown(&env, "noted"), shown(&env, "zipped"));
    damaged(&env, &zip);
}

/// A zip with a wrong byte, and one that ends early, is refused or read, and never more than it was.
fn damaged(env: &TestEnv, zip: &[u8]) {
    let mut refused = 0;
    // A process for each byte would take long; every seventh meets every field.
    for at in (0..zip.len()).step_by(7) {
        let mut other = zip.to_vec();
        other[at] ^= 0x55;
        for (n, bytes) in [&other[..], &zip[..at]].iter().enumerate() {
            env.write("broken", bytes);
            let name = format!("broken-{at}-{n}");
            let ran = import(env, &name, "broken");
            refused += usize::from(ran.code == Some(1));
            assert!([Some(0), Some(1)].contains(&ran.code), "byte {at}: {ran:?}");
            // What does not matter may differ: times, versions, the names of certificates.
            assert!(ran.code == Some(1) || shown(env, &name).contains("tcp://h:1"), "byte {at}: {ran:?}");
        }
    }
    assert!(refused > zip.len() / 7, "what is cut off at least");
}
