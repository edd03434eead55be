//! Contexts from directories, streams and servers; Dockerfile look-up; ignore files.

use std::io::Write as _;
use std::net::TcpListener;

use super::*;
use crate::builder::context::{DownloadOptions, FileKind, download};
use crate::progress::{Event, NullReporter, RecordingReporter, TransferId};

struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("below the root")).expect("parents");
            std::fs::write(path, text).expect("a file");
        }
        Self(dir)
    }
}

fn open(context: ContextSource, dockerfile: DockerfileSource) -> Result<Context, ContextError> {
    open_reporting(context, dockerfile, &NullReporter)
}

fn open_reporting(
    context: ContextSource,
    dockerfile: DockerfileSource,
    reporter: &dyn Reporter,
) -> Result<Context, ContextError> {
    let spool = tempfile::tempdir().expect("a temporary directory");
    let root = Root::open(spool.path()).expect("it exists");
    let options = ContextOptions {
        store: None,
        spool: &root,
        secret: &|name| name.starts_with("HTTP_AUTH_TOKEN_127.0.0.1").then(|| b"hush\n".to_vec()),
        reporter,
        keep_git_dir: false,
        ssh: None,
        ignore_file: None,
        cancel: None,
    };
    let opened = open_context(context, dockerfile, &options);
    assert_eq!(std::fs::read_dir(spool.path()).expect("readable").count(), 0, "no temporary file has a name");
    opened
}

fn has(context: &Context, path: &str) -> bool {
    context.tree.stat(path.as_bytes()).expect("readable").is_some()
}

#[test]
fn finds_the_dockerfile_of_a_directory() {
    let local = |place: &Place, file: Option<&str>| {
        let dockerfile = match file {
            None => DockerfileSource::Default,
            Some(file) => DockerfileSource::Path(place.0.path().join(file)),
        };
        open(ContextSource::Directory(place.0.path().to_owned()), dockerfile)
    };
    let text = |context: Result<Context, ContextError>| {
        String::from_utf8(context.expect("it is there").dockerfile).expect("text")
    };
    let both = Place::new(&[("Dockerfile", "upper"), ("dockerfile", "lower"), ("sub/dockerfile", "sub")]);
    assert_eq!(text(local(&both, None)), "upper");
    assert_eq!(text(local(&both, Some("sub/Dockerfile"))), "sub");
    let lower = Place::new(&[("dockerfile", "lower")]);
    assert_eq!(text(local(&lower, None)), "lower");
    assert_eq!(local(&lower, None).expect("there").dockerfile_name, "dockerfile");
    local(&lower, Some("DockerFile")).expect_err("only exactly Dockerfile has a lower-case twin");
    let none = Place::new(&[]);
    assert_eq!(
        local(&none, None).expect_err("nothing there").to_string(),
        "failed to read dockerfile: open Dockerfile: no such file or directory"
    );
    let gone = open(ContextSource::Directory("/no/such/place".into()), DockerfileSource::Default);
    assert_eq!(
        gone.expect_err("nothing there").to_string(),
        "unable to prepare context: path \"/no/such/place\" not found"
    );
    // Links are followed inside the context, not out of it.
    let linked = Place::new(&[("real/D", "linked"), ("sub/keep", "")]);
    std::os::unix::fs::symlink("real/D", linked.0.path().join("Dockerfile")).expect("a link");
    std::os::unix::fs::symlink("../real/D", linked.0.path().join("sub/Dockerfile")).expect("a link");
    std::os::unix::fs::symlink("/etc/hostname", linked.0.path().join("Outside")).expect("a link");
    assert_eq!(text(local(&linked, None)), "linked");
    assert_eq!(text(local(&linked, Some("sub/Dockerfile"))), "linked");
    local(&linked, Some("Outside")).expect_err("no link leads out");
}

#[test]
fn the_ignore_file_beside_the_dockerfile_wins_entirely() {
    let place = Place::new(&[
        ("Dockerfile", ""),
        ("other/My.Dockerfile", ""),
        ("other/My.Dockerfile.dockerignore", "b\n"),
        (".dockerignore", "a\n.dockerignore\nDockerfile\n"),
        ("a", ""),
        ("b", ""),
    ]);
    let dir = || ContextSource::Directory(place.0.path().to_owned());
    let plain = open(dir(), DockerfileSource::Default).expect("there");
    let seen = |context: &Context| (has(context, "a"), has(context, "b"), has(context, "Dockerfile"));
    assert_eq!(seen(&plain), (false, true, false), "excluded, yet the Dockerfile was read");
    let other = DockerfileSource::Path(place.0.path().join("other/My.Dockerfile"));
    assert_eq!(seen(&open(dir(), other).expect("there")), (true, false, true));
    let stdin = DockerfileSource::Stdin(Box::new(&b"FROM x"[..]));
    let stdin = open(dir(), stdin).expect("there");
    assert_eq!((seen(&stdin).0, stdin.dockerfile.as_slice()), (false, &b"FROM x"[..]));
    let bad = Place::new(&[("Dockerfile", ""), (".dockerignore", "!\n")]);
    let error = open(ContextSource::Directory(bad.0.path().to_owned()), DockerfileSource::Default);
    assert_eq!(error.expect_err("a lone exception").to_string(), "illegal exclusion pattern: \"!\"");
    let folder = Place::new(&[("Dockerfile", ""), (".dockerignore/a", ""), ("a", "")]);
    let folder = ContextSource::Directory(folder.0.path().to_owned());
    assert!(has(&open(folder, DockerfileSource::Default).expect("a directory is no ignore file"), "a"));
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o640);
        header.set_uid(1000);
        builder.append_data(&mut header, path, text.as_bytes()).expect("it fits");
    }
    builder.into_inner().expect("in memory")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

#[test]
fn standard_input_is_an_archive_or_a_dockerfile() {
    let files =
        tar(&[("./Dockerfile", "FROM a"), ("sub/Other", "FROM b"), (".dockerignore", "x"), ("x", "1")]);
    for bytes in [files.clone(), gzip(&files), zstd::encode_all(&files[..], 1).expect("in memory")] {
        let context = open(
            ContextSource::Stdin(Box::new(std::io::Cursor::new(bytes.clone()))),
            DockerfileSource::Default,
        )
        .expect("an archive");
        assert_eq!(context.dockerfile, b"FROM a");
        assert!(has(&context, "x"), "archives have no ignore processing");
        let node = context.tree.stat(b"x").expect("readable").expect("there");
        assert_eq!((node.kind, node.mode, node.uid), (FileKind::File, 0o640, 0));
        let other = open(
            ContextSource::Stdin(Box::new(std::io::Cursor::new(bytes))),
            DockerfileSource::Path("sub/Other".into()),
        );
        assert_eq!(other.expect("inside").dockerfile, b"FROM b");
    }
    let text = open(ContextSource::Stdin(Box::new(&b"FROM scratch\n"[..])), DockerfileSource::Default)
        .expect("text");
    assert_eq!(text.dockerfile, b"FROM scratch\n");
    assert!(text.tree.list(b"").expect("readable").is_empty());
    let cut = |bytes: usize| {
        let stream = std::io::Cursor::new(files[..bytes].to_vec());
        open(ContextSource::Stdin(Box::new(stream)), DockerfileSource::Default)
    };
    // The Dockerfile's six bytes stand behind its header, and the next header at 1024.
    for early in [515, 1100, 1024 + 515] {
        let error = cut(early).expect_err("the archive ends early");
        assert_eq!(error.to_string(), "failed to read archive context", "{early}");
    }
    // What lacks only padding and end marks is whole, as Go's reader has it.
    for whole in [518, 700, 1024] {
        assert_eq!(cut(whole).expect("nothing is missing").dockerfile, b"FROM a", "{whole}");
    }
    let twice = open(
        ContextSource::Stdin(Box::new(std::io::empty())),
        DockerfileSource::Stdin(Box::new(std::io::empty())),
    );
    assert!(twice.expect_err("one stream").to_string().contains("stdin for both"));
    let named =
        open(ContextSource::Stdin(Box::new(&b"FROM scratch\n"[..])), DockerfileSource::Path("Other".into()));
    assert!(named.expect_err("two Dockerfiles").to_string().contains("ambiguous Dockerfile source"));
}

/// Answers each request for a path of the list; returns the address and what was asked.
fn serve(answers: Vec<(&'static str, String, Vec<u8>)>) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                request.push(byte[0]);
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let path = request.split(' ').nth(1).unwrap_or("").to_owned();
            let Some((_, head, body)) = answers.iter().find(|(known, ..)| *known == path) else { continue };
            let text =
                format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(text.as_bytes());
            let _ = stream.write_all(body);
            let _ = send.send(request);
        }
    });
    (address, receive)
}

#[test]
fn urls_are_archives_or_dockerfiles() {
    let archive = gzip(&tar(&[("Dockerfile", "FROM a"), ("x", "1")]));
    let (server, asked) = serve(vec![
        ("/c.tgz", "200 OK".to_owned(), archive),
        ("/moved", "302 Found\r\nLocation: /c.tgz".to_owned(), Vec::new()),
        ("/text", "200 OK".to_owned(), b"FROM b".to_vec()),
        ("/gone", "404 Not Found".to_owned(), b"no".to_vec()),
    ]);
    let reporter = RecordingReporter::default();
    let open = |path: &str| {
        open_reporting(ContextSource::Url(format!("{server}{path}")), DockerfileSource::Default, &reporter)
    };
    let context = open("/c.tgz").expect("an archive");
    assert_eq!(context.dockerfile, b"FROM a");
    assert!(has(&context, "x"));
    assert!(asked.recv().expect("one request").to_lowercase().contains("authorization: bearer hush\r\n"));
    assert!(reporter.events().iter().any(|e| matches!(e, Event::TransferProgress { done, .. } if *done > 0)));
    assert_eq!(open("/moved").expect("an archive").dockerfile, b"FROM a");
    let text = open("/text").expect("a text");
    assert_eq!((text.dockerfile.as_slice(), text.dockerfile_name.as_str()), (&b"FROM b"[..], "text"));
    assert!(!has(&text, "x"));
    assert!(open("/gone").expect_err("404").to_string().ends_with("invalid response status 404"));
    let local = Place::new(&[("x", "1")]);
    let mixed = super::open_context(
        ContextSource::Directory(local.0.path().to_owned()),
        DockerfileSource::Url(format!("{server}/text")),
        &ContextOptions {
            store: None,
            spool: &Root::open(local.0.path()).expect("there"),
            secret: &|_| None,
            reporter: &NullReporter,
            keep_git_dir: false,
            ssh: None,
            ignore_file: None,
            cancel: None,
        },
    );
    assert_eq!(mixed.expect("both are there").dockerfile, b"FROM b");
}

#[test]
fn downloads_are_verified_and_named() {
    let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
    let (server, _asked) = serve(vec![(
        "/a%20b.txt",
        format!("200 OK\r\nLast-Modified: {modified}\r\nETag: \"1\""),
        b"hello".to_vec(),
    )]);
    let spool = Place::new(&[]);
    let root = Root::open(spool.0.path()).expect("there");
    let get = |checksum| {
        download(
            &format!("{server}/a%20b.txt"),
            &DownloadOptions {
                checksum,
                secret: &|_| None,
                reporter: &NullReporter,
                transfer: TransferId::Number(1),
                spool: &root,
                cancel: None,
            },
        )
    };
    let done = get(None).expect("it is there");
    assert_eq!((done.name(), done.size(), done.modified().seconds), (&b"a b.txt"[..], 5, 784_111_777));
    assert_eq!(done.validators.etag.as_deref(), Some("\"1\""));
    let node = done.stat(done.name()).expect("readable").expect("there");
    assert_eq!(
        (node.mode, node.uid, done.fetch(done.name(), &node).expect("readable").bytes),
        (0o600, 0, b"hello".to_vec())
    );
    assert!(get(Some(done.digest.to_string().parse().expect("a digest"))).is_ok());
    let other: crate::builder::context::Checksum =
        format!("sha256:{}", "07".repeat(32)).parse().expect("a digest");
    let error = get(Some(other.clone())).expect_err("another digest").to_string();
    assert!(error.contains(&format!("digest mismatch {}: {other}", done.digest)), "{error}");
    for (url, name) in [
        ("http://h/a/b.tar", "b.tar"),
        ("http://h/a/b/?q=1", "b"),
        ("http://h/", "__unnamed__"),
        ("http://h", "__unnamed__"),
        ("http://h/x%2f..", "__unnamed__"),
        ("http://h/..%2fetc", "etc"),
    ] {
        assert_eq!(crate::builder::context::url_file_name(url), name, "{url}");
    }
}
