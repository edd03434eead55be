//! Contexts of every kind, ignore files, and what ADD takes from servers and repositories.

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::http::{Page, Server};
use support::script::{Reply, Script};
use support::{TestEnv, wait_until};

/// Builds, saves, and returns the files of the image with their text.
fn built(env: &TestEnv, args: &[&str]) -> support::image::Archived {
    let mut all = vec!["build", "-q", "-t", "made"];
    all.extend(args);
    env.ok(&all);
    saved(env)
}

fn saved(env: &TestEnv) -> support::image::Archived {
    env.ok(&["save", "-o", "made.tar", "made"]);
    support::image::read(&env.work().join("made.tar"))
}

fn has(image: &support::image::Archived, path: &str) -> bool {
    image.tree.contains_key(path)
}

fn with_stdin(env: &TestEnv, args: &[&str], input: &[u8]) -> (Option<i32>, String) {
    let mut child = env.skiff(args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_000_000_000);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn compressed(bytes: &[u8], program: &str) -> Vec<u8> {
    let mut child = Command::new(program)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output.stdout
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"])
        .args(["-c", "protocol.file.allow=always"])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_COMMITTER_DATE", "2020-02-02T02:02:02Z")
        .env("GIT_AUTHOR_DATE", "2020-02-02T02:02:02Z")
        .output()
        .expect("git is installed");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A repository with two commits and a tag, readable by the dumb HTTP protocol below `/r.git`.
fn repository(env: &TestEnv, server: &Server) -> (std::path::PathBuf, String, String) {
    let dir = env.work().join("origin");
    std::fs::create_dir_all(dir.join("sub")).unwrap();
    git(&dir, &["init", "-q"]);
    std::fs::write(dir.join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
    std::fs::write(dir.join("sub/inner"), "1").unwrap();
    std::fs::write(dir.join("sub/Dockerfile"), "FROM scratch\nCOPY inner /from-sub\n").unwrap();
    git(&dir, &["add", "."]);
    git(&dir, &["commit", "-qm", "one"]);
    let first = git(&dir, &["rev-parse", "HEAD"]);
    git(&dir, &["tag", "-a", "v1", "-m", "v1"]);
    std::fs::write(dir.join("second"), "2").unwrap();
    git(&dir, &["add", "."]);
    git(&dir, &["commit", "-qm", "two"]);
    let second = git(&dir, &["rev-parse", "HEAD"]);
    git(&dir, &["update-server-info"]);
    server.folder("/r.git", dir.join(".git"));
    (dir, first, second)
}

#[test]
fn a_directory_has_a_dockerfile_of_one_of_three_names() {
    let env = TestEnv::new();
    env.write("c/x", "1");
    for (name, file) in [("Containerfile", "/c"), ("dockerfile", "/d"), ("Dockerfile", "/D")] {
        env.write(&format!("c/{name}"), format!("FROM scratch\nCOPY x {file}\n"));
        assert!(has(&built(&env, &["c"]), &file[1..]), "{name}");
    }
    std::fs::remove_file(env.work().join("c/Dockerfile")).unwrap();
    std::fs::remove_file(env.work().join("c/dockerfile")).unwrap();
    std::fs::remove_file(env.work().join("c/Containerfile")).unwrap();
    let missing = env.run(&["build", "c"]).fails_with(1);
    assert!(
        missing.stderr.contains("failed to read dockerfile: open Dockerfile: no such file"),
        "{missing:?}"
    );
}

#[test]
fn one_ignore_file_counts() {
    let env = TestEnv::new();
    for name in ["a", "b", "c", "d", "e"] {
        env.write(&format!("c/{name}"), name);
    }
    env.write("c/Dockerfile", "FROM scratch\nCOPY . /\n");
    let left_out = |args: &[&str]| -> Vec<&str> {
        let image = built(&env, &[args, &["c"]].concat());
        ["a", "b", "c", "d", "e"].into_iter().filter(|name| !has(&image, name)).collect()
    };
    assert_eq!(left_out(&[]), Vec::<&str>::new());
    env.write("c/.dockerignore", "a\n");
    assert_eq!(left_out(&[]), ["a"]);
    env.write("c/.containerignore", "b\n");
    assert_eq!(left_out(&[]), ["b"]);
    env.write("c/Dockerfile.dockerignore", "c\n");
    assert_eq!(left_out(&[]), ["c"]);
    env.write("c/Dockerfile.containerignore", "d\n");
    assert_eq!(left_out(&[]), ["d"]);
    env.write("elsewhere", "e\n");
    assert_eq!(left_out(&["--ignorefile", "elsewhere"]), ["e"]);
    let missing = env.run(&["build", "--ignorefile", "nosuch", "c"]).fails_with(1);
    assert!(missing.stderr.contains("nosuch"), "{}", missing.stderr);
}

#[test]
fn the_dockerfile_may_come_from_elsewhere() {
    let env = TestEnv::new();
    let server = Server::start();
    env.write("c/x", "1");
    env.write("other/My.Dockerfile", "FROM scratch\nCOPY x /outside\n");
    assert!(has(&built(&env, &["-f", "other/My.Dockerfile", "c"]), "outside"));
    server.body("/Dockerfile.web", "FROM scratch\nCOPY x /web\n");
    assert!(has(&built(&env, &["-f", &format!("{}/Dockerfile.web", server.url), "c"]), "web"));
    let (code, stderr) =
        with_stdin(&env, &["build", "-q", "-t", "made", "-f", "-", "c"], b"FROM scratch\nCOPY x /stdin\n");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(has(&saved(&env), "stdin"));
    let (code, stderr) = with_stdin(&env, &["build", "-f", "-", "-"], b"");
    assert!(
        code == Some(1) && stderr.contains("can't use stdin for both build context and dockerfile"),
        "{stderr}"
    );
    // Several files are one text.
    env.write("one", "FROM scratch AS a\nCOPY x /a");
    env.write("two", "FROM a\nCOPY x /b\n");
    let image = built(&env, &["-f", "one", "-f", "two", "c"]);
    assert!(has(&image, "a") && has(&image, "b"));
}

#[test]
fn archives_are_contexts_however_they_come() {
    let env = TestEnv::new();
    let server = Server::start();
    let plain = tar_of(&[("Dockerfile", "FROM scratch\nCOPY . /\n"), ("x", "1"), (".dockerignore", "x\n")]);
    for program in ["", "gzip", "bzip2", "xz", "zstd"] {
        let bytes = if program.is_empty() { plain.clone() } else { compressed(&plain, program) };
        let (code, stderr) = with_stdin(&env, &["build", "-q", "-t", "made", "-"], &bytes);
        assert_eq!(code, Some(0), "{program}: {stderr}");
        // Ignore files are for directories alone.
        assert!(has(&saved(&env), "x"), "{program}");
        env.write("context.tar", &bytes);
        assert!(has(&built(&env, &["context.tar"]), "x"), "{program}");
        server.body("/context", bytes);
        assert!(has(&built(&env, &[&format!("{}/context", server.url)]), "x"), "{program}");
    }
    let (code, stderr) = with_stdin(&env, &["build", "-q", "-t", "made", "-"], b"FROM scratch\nLABEL a=b\n");
    assert_eq!(code, Some(0), "{stderr}");
    let (code, stderr) = with_stdin(&env, &["build", "-"], b"FROM scratch\nCOPY x /\n");
    assert!(code == Some(1) && stderr.contains("\"/x\": not found"), "{stderr}");
    server.body("/text", "FROM scratch\nLABEL web=1\n");
    assert_eq!(built(&env, &[&format!("{}/text", server.url)]).config["config"]["Labels"]["web"], "1");
    env.write("file", "no archive");
    let wrong = env.run(&["build", "file"]).fails_with(1);
    assert!(
        wrong.stderr.contains("unable to prepare context: context must be a directory: file"),
        "{wrong:?}"
    );
    let wrong = env.run(&["build", "nosuch"]).fails_with(1);
    assert!(wrong.stderr.contains("unable to prepare context: path \"nosuch\" not found"), "{wrong:?}");
}

#[test]
fn repositories_are_contexts() {
    let env = TestEnv::new();
    let server = Server::start();
    let (_, first, second) = repository(&env, &server);
    let url = format!("{}/r.git", server.url);
    let at = |suffix: &str| built(&env, &[&format!("{url}{suffix}")]);
    let head = at("");
    assert!(has(&head, "second") && !has(&head, ".git"));
    for suffix in ["#v1", "#main", "?ref=v1", "?tag=v1", "?branch=main"] {
        assert_eq!(has(&at(suffix), "second"), suffix.contains("main"), "{suffix}");
    }
    assert!(!has(&at(&format!("#{first}")), "second"));
    assert!(!has(&at(&format!("?ref=main&commit={first}&fetch-by-commit")), "second"));
    for suffix in ["#main:sub", "?subdir=sub", "#v1:/sub/", "?ref=main&subdir=sub"] {
        assert!(has(&at(suffix), "from-sub"), "{suffix}");
    }
    assert!(has(&at("?keep-git-dir=1"), ".git/HEAD"));
    let kept = built(&env, &["--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1", &url]);
    assert!(has(&kept, ".git/HEAD"));
    assert!(has(&at(&format!("?ref=main&checksum={}", &second[..10])), "second"));
    let fails = |suffix: &str, text: &str| {
        let ran = env.run(&["build", &format!("{url}{suffix}")]).fails_with(1);
        assert!(ran.stderr.contains(text), "{suffix}: {}", ran.stderr);
    };
    fails(&format!("?ref=main&checksum={first}"), "expected checksum to match");
    fails("#nosuch", "repository does not contain ref nosuch");
    fails("#main~1", "repository does not contain ref main~1");
    fails(&format!("#{}", &first[..8]), "a commit is named by all of its digits");
    fails("?ref=a&tag=b", "failed to solve: invalid git source: ref conflicts: \"a\" vs \"refs/tags/b\"");
    fails("?nosuch=1", "unexpected query \"nosuch\"");
    fails("?submodules=maybe", "invalid submodules value");
    fails("#main:nosuch", "r.git has no directory \"nosuch\"");
    // What docker's client finds is told from what the solver finds.
    let gone = env.run(&["build", "nosuch"]).fails_with(1);
    assert!(gone.stderr.contains("ERROR: failed to build: unable to prepare context"), "{}", gone.stderr);
    env.write("none/file", "");
    let none = env.run(&["build", "none"]).fails_with(1);
    let expected = "ERROR: failed to build: failed to solve: failed to read dockerfile: open Dockerfile";
    assert!(none.stderr.contains(expected), "{}", none.stderr);
}

#[test]
fn errors_of_repositories_keep_credentials_to_themselves() {
    let env = TestEnv::new();
    let server = Server::start();
    let url = server.url.replace("http://", "http://user:hunter2@");
    let ran = env.run(&["build", &format!("{url}/nosuch.git")]).fails_with(1);
    assert!(ran.stderr.contains("nosuch.git") && !ran.stderr.contains("hunter2"), "{}", ran.stderr);
    env.write("c/Dockerfile", format!("FROM scratch\nADD {url}/nosuch.tar /\n"));
    let ran = env.run(&["build", "--progress=plain", "c"]).fails_with(1);
    let error = ran.stderr.split("ERROR: failed to build").last().unwrap();
    assert!(error.contains("nosuch.tar") && !error.contains("hunter2"), "{}", ran.stderr);
}

/// Builds with plain progress and returns it.
fn plain(env: &TestEnv, args: &[&str]) -> String {
    let mut all = vec!["build", "--progress=plain", "-t", "made"];
    all.extend(args);
    env.run(&all).success().stderr
}

#[test]
fn an_unchanged_download_costs_one_answer() {
    let env = TestEnv::new();
    let server = Server::start();
    let page = Page {
        body: b"one".to_vec(),
        etag: Some("\"v1\"".into()),
        modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".into()),
        ..Page::default()
    };
    server.page("/file", page.clone());
    env.write("c/Dockerfile", format!("FROM scratch\nADD {}/file /file\n", server.url));
    let image = built(&env, &["c"]);
    assert_eq!((image.tree["file"].mode, image.tree["file"].owner), (0o600, (0, 0)));
    assert_eq!(server.requests().iter().map(|r| r.status).collect::<Vec<_>>(), [200]);
    assert!(plain(&env, &["c"]).contains("CACHED"));
    assert_eq!(server.requests().iter().map(|r| r.status).collect::<Vec<_>>(), [304]);
    // The same bytes under another tag: asked for, not built again.
    server.page("/file", Page { etag: Some("\"v2\"".into()), ..page.clone() });
    assert!(plain(&env, &["c"]).contains("CACHED"));
    assert!(plain(&env, &["c"]).contains("CACHED"));
    assert_eq!(server.requests().iter().map(|r| r.status).collect::<Vec<_>>(), [200, 304]);
    // Other bytes.
    let changed = Page { body: b"two".to_vec(), etag: Some("\"v3\"".into()), ..page.clone() };
    server.page("/file", changed.clone());
    let before = image.tree["file"].content.clone();
    assert_ne!(built(&env, &["c"]).tree["file"].content, before);
    // Without the layer, what is known of the file is no use: it comes anew.
    env.ok(&["rmi", "-f", "made"]);
    env.ok(&["builder", "prune", "-af"]);
    server.requests();
    assert_eq!(built(&env, &["c"]).tree["file"].content.as_ref().unwrap().0, 3);
    assert_eq!(server.requests().len(), 1);
    // --no-cache makes the layer anew after a 304.
    built(&env, &["--no-cache", "c"]);
    // A server that knows only dates.
    server.page("/file", Page { etag: None, ..changed });
    built(&env, &["c"]);
    server.requests();
    assert!(plain(&env, &["c"]).contains("CACHED"));
    assert_eq!(server.requests()[0].status, 304);
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let env = TestEnv::new();
    let server = Server::start();
    let body: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let sum = {
        use sha2::Digest as _;
        let digest: [u8; 32] = sha2::Sha256::digest(&body).into();
        digest.iter().map(|b| format!("{b:02x}")).collect::<String>()
    };
    let page = Page { body, break_at: Some(300_000), ..Page::default() };
    let build = || {
        env.write(
            "c/Dockerfile",
            format!("FROM scratch\nADD --checksum=sha256:{sum} {}/file?{} /file\n", server.url, rand_word()),
        );
        let image = built(&env, &["c"]);
        assert_eq!(image.tree["file"].content, Some((800_000, sum.clone())));
        server.requests().iter().map(|r| r.status).collect::<Vec<_>>()
    };
    server.page("/file", Page { etag: Some("\"a\"".into()), ..page.clone() });
    assert_eq!(build(), [200, 206]);
    server.page("/file", Page { modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".into()), ..page.clone() });
    assert_eq!(build(), [200, 206]);
    // Without a validator nobody knows whether the rest belongs to it.
    server.page("/file", page.clone());
    assert_eq!(build(), [200, 200]);
    server.page("/file", Page { etag: Some("W/\"a\"".into()), ..page });
    assert_eq!(build(), [200, 200]);
}

/// A word that no other call returns, so that builds differ.
fn rand_word() -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    format!("n{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

#[test]
fn downloads_obey_their_flags() {
    let env = TestEnv::new();
    let server = Server::start();
    let url = &server.url;
    server.body("/x.tar", tar_of(&[("inner", "1")]));
    server.body("/abc", "abc");
    server.body("/ab%63", "abc");
    server.page("/moved", Page { redirect: Some(format!("{url}/abc")), ..Page::default() });
    server.page("/loop", Page { redirect: Some(format!("{url}/loop")), ..Page::default() });
    let add = |line: &str| {
        env.write("c/Dockerfile", format!("FROM scratch\nADD {}\n", line.replace("URL", url)));
        built(&env, &["c"])
    };
    assert!(has(&add("URL/x.tar /d/"), "d/x.tar"));
    assert!(has(&add("--unpack URL/x.tar /d/"), "d/inner"));
    assert!(has(&add("--unpack=false URL/x.tar /d/"), "d/x.tar"));
    assert!(has(&add("URL/moved /d/"), "d/moved"));
    assert!(has(&add("URL/ab%63 /d/"), "d/abc"));
    let owned = add("--chown=3:4 --chmod=640 URL/abc /d/");
    assert_eq!((owned.tree["d/abc"].mode, owned.tree["d/abc"].owner), (0o640, (3, 4)));
    let sums = [
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
         8086072ba1e7cc2358baeca134c825a7",
        "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ];
    for sum in sums {
        assert!(has(&add(&format!("--checksum={sum} URL/abc /{}", &sum[..6])), &sum[..6]), "{sum}");
    }
    server.requests();
    add(&format!("--checksum={} URL/abc /sha512", sums[2]));
    assert_eq!(server.requests().len(), 0, "a checksum saves the request");
    let fails = |line: &str, text: &str| {
        env.write("c/Dockerfile", format!("FROM scratch\nADD {}\n", line.replace("URL", url)));
        let ran = env.run(&["build", "c"]).fails_with(1);
        assert!(ran.stderr.contains(text), "{line}: {}", ran.stderr);
    };
    fails(&format!("--checksum=sha256:{} URL/abc /", "0".repeat(64)), "digest mismatch");
    fails(&format!("--checksum=sha512:{} URL/abc /", "0".repeat(128)), "digest mismatch");
    fails("--checksum=md5:00 URL/abc /", "unsupported digest algorithm");
    fails("--checksum=sha256:00 URL/abc /", "invalid checksum digest format");
    fails(
        &format!("--checksum={} URL/abc URL/x.tar /d/", sums[0]),
        "checksum can't be specified for multiple",
    );
    fails(&format!("--checksum={} file /", sums[0]), "checksum requires HTTP(S) or Git sources");
    fails("--keep-git-dir URL/abc /", "keep-git-dir flag is only supported for git sources");
    fails("URL/nosuch /", "invalid response status 404");
    fails("URL/loop /", "redirect");
    fails("http://127.0.0.1:1/x /", "127.0.0.1:1");
}

#[test]
fn credentials_of_downloads_come_from_secrets() {
    let env = TestEnv::new();
    let server = Server::start();
    server.body("/abc", "abc");
    let host = server.url.trim_start_matches("http://");
    env.write("c/Dockerfile", format!("FROM scratch\nADD {}/abc /\n", server.url));
    env.write("token", "hush-hush\n");
    let secret = format!("id=HTTP_AUTH_TOKEN_{host},src=token");
    let said = plain(&env, &["--secret", &secret, "c"]);
    assert!(server.requests()[0].head.contains("authorization: bearer hush-hush\r\n"));
    let secret = format!("id=HTTP_AUTH_HEADER_{host},src=token");
    let said = said + &plain(&env, &["--secret", &secret, "--no-cache", "c"]);
    assert!(server.requests()[0].head.contains("authorization: hush-hush\r\n"));
    let json = env.ok(&["inspect", "made"]) + &env.ok(&["history", "--no-trunc", "made"]);
    assert!(!said.contains("hush") && !json.contains("hush"));
}

#[test]
fn repositories_are_added_by_commit() {
    let env = TestEnv::new();
    let server = Server::start();
    let (origin, first, _) = repository(&env, &server);
    let add = |line: &str| {
        env.write("c/Dockerfile", format!("FROM scratch\nADD {}\n", line.replace("URL", &server.url)));
        built(&env, &["c"])
    };
    let image = add("URL/r.git /d");
    assert!(has(&image, "d/second") && !has(&image, "d/.git"));
    assert_eq!((image.tree["d/second"].mode, image.tree["d/sub"].mode), (0o644, 0o755));
    assert!(has(&add("--keep-git-dir URL/r.git /d"), "d/.git/HEAD"));
    assert!(has(&add("URL/r.git?keep-git-dir=true /d"), "d/.git/HEAD"));
    assert!(!has(&add("URL/r.git#v1 /d"), "d/second"));
    assert!(has(&add("URL/r.git#main:sub /d"), "d/inner"));
    assert!(!has(&add(&format!("--checksum={first} URL/r.git#v1 /d")), "d/second"));
    assert!(!has(&add(&format!("--checksum={} URL/r.git#v1 /d", &first[..8])), "d/second"));
    // An unchanged repository is looked at, not fetched: a look-up reads its list of references alone.
    add("URL/r.git#main /d");
    server.requests();
    let said = plain(&env, &["c"]);
    assert!(said.contains("CACHED"), "{said}");
    let asked: Vec<String> = server.requests().into_iter().map(|r| r.path).collect();
    assert!(asked.iter().all(|path| !path.contains("/objects/") || path.len() < 60), "{asked:?}");
    std::fs::write(origin.join("third"), "3").unwrap();
    git(&origin, &["add", "."]);
    git(&origin, &["commit", "-qm", "three"]);
    git(&origin, &["update-server-info"]);
    assert!(has(&add("URL/r.git#main /d"), "d/third"));
    let fails = |line: &str, text: &str| {
        env.write("c/Dockerfile", format!("FROM scratch\nADD {}\n", line.replace("URL", &server.url)));
        let ran = env.run(&["build", "c"]).fails_with(1);
        assert!(ran.stderr.contains(text), "{line}: {}", ran.stderr);
    };
    fails(&format!("--checksum={first} URL/r.git#main /d"), "expected checksum to match");
    fails("--keep-git-dir URL/r.git?keep-git-dir=false /d", "inconsistent keep-git-dir configuration");
    fails(&format!("--checksum={first} URL/r.git?checksum=ab /d"), "checksum mismatch");
    fails("URL/nosuch.git /d", "nosuch.git");
    env.write("c/Dockerfile", format!("FROM scratch\nCOPY {}/r.git /d\n", server.url));
    let ran = env.run(&["build", "c"]).fails_with(1);
    assert!(ran.stderr.contains("source can't be a git ref for COPY"), "{}", ran.stderr);
    // A Dockerfile can't have files of this machine fetched for it.
    fails(&format!("git://{}/.git /d", origin.display()), "ERROR");
}

#[test]
fn submodules_come_along() {
    let env = TestEnv::new();
    let server = Server::start();
    let (origin, ..) = repository(&env, &server);
    let top = env.work().join("top");
    std::fs::create_dir(&top).unwrap();
    git(&top, &["init", "-q"]);
    git(&top, &["submodule", "--quiet", "add", origin.to_str().unwrap(), "mod"]);
    let modules = top.join(".gitmodules");
    let text = std::fs::read_to_string(&modules).unwrap();
    let text = text.replace(origin.to_str().unwrap(), &format!("{}/r.git", server.url));
    std::fs::write(&modules, text).unwrap();
    git(&top, &["add", "."]);
    git(&top, &["commit", "-qm", "top"]);
    git(&top, &["update-server-info"]);
    server.folder("/top.git", top.join(".git"));
    for (suffix, there) in [("", true), ("?submodules=false", false), ("?submodules", true)] {
        env.write("c/Dockerfile", format!("FROM scratch\nADD {}/top.git{suffix} /d\n", server.url));
        let image = built(&env, &["c"]);
        assert_eq!(has(&image, "d/mod/second"), there, "{suffix}");
        assert!(!has(&image, "d/mod/.git"), "{suffix}");
    }
}

#[test]
fn named_contexts_are_of_every_kind() {
    let env = TestEnv::new().with_busybox();
    let server = Server::start();
    repository(&env, &server);
    env.write("dir/.dockerignore", "hidden\n");
    env.write("dir/x", "1");
    env.write("dir/hidden", "1");
    server.body("/some.txt", "text");
    env.write("base/Dockerfile", "FROM scratch\nCOPY Dockerfile /from-layout\nENV A=layout\n");
    env.ok(&["build", "-q", "-t", "base:v1", "base"]);
    env.ok(&["save", "-o", "base.tar", "base:v1"]);
    std::fs::create_dir(env.work().join("layout")).unwrap();
    let mut tar = tar::Archive::new(std::fs::File::open(env.work().join("base.tar")).unwrap());
    tar.unpack(env.work().join("layout")).unwrap();
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(env.work().join("layout/index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    env.ok(&["rmi", "base:v1"]);
    env.write("c/Dockerfile", "FROM scratch\nCOPY --from=other . /\nCOPY --from=unused2 /x /y\n");
    env.write(
        "c/Dockerfile",
        "FROM scratch AS unused\nCOPY --from=never x /\nFROM scratch\nCOPY --from=other . /d/\n",
    );
    let with = |value: &str| {
        let named = format!("other={value}");
        built(&env, &["--build-context", &named, "--build-context", "never=https://127.0.0.1:1/x.git", "c"])
    };
    let image = with("dir");
    assert!(has(&image, "d/x") && !has(&image, "d/hidden"));
    assert!(has(&with(&format!("{}/r.git#v1:sub", server.url)), "d/inner"));
    assert!(has(&with(&format!("{}/some.txt", server.url)), "d/context"));
    assert!(has(&with("docker-image://busybox"), "d/bin/busybox"));
    assert!(!has(&with("docker-image://scratch"), "d/bin"));
    for suffix in [":v1", &format!("@{digest}"), &format!(":v1@{digest}"), ""] {
        assert!(has(&with(&format!("oci-layout://layout{suffix}")), "d/from-layout"), "{suffix}");
    }
    assert_eq!(env.ok(&["images", "-q", "-f", "dangling=true"]).lines().filter(|l| l.is_empty()).count(), 0);
    // In place of FROM, its config counts as well.
    env.write("c/Dockerfile", "FROM other\nLABEL x=y\n");
    let image = with("oci-layout://layout:v1");
    assert!(has(&image, "from-layout") && image.config["config"]["Env"].to_string().contains("A=layout"));
    assert!(has(&with(&format!("{}/r.git", server.url)), "second"));
    // In place of a mount.
    env.write("c/Dockerfile", "FROM busybox\nRUN --mount=from=other,target=/m cp -r /m /copy\n");
    assert!(has(&with(&format!("{}/r.git", server.url)), "copy/second"));
    assert!(has(&with("oci-layout://layout:v1"), "copy/from-layout"));
    let fails = |value: &str, text: &str| {
        let ran = env.run(&["build", "--build-context", value, "c"]).fails_with(1);
        assert!(ran.stderr.contains(text), "{value}: {}", ran.stderr);
    };
    fails("other", "invalid context value: other, expected key=value");
    fails("other=nosuch", "nosuch");
    fails("other=oci-layout://nosuch", "nosuch");
    fails("other=oci-layout://layout:v2", "image v2");
    fails("other=target:x", "target: is understood by bake alone");
    fails("other=ftp://x/y", "ftp:// is no source of a context");
}

#[test]
fn the_epoch_may_be_the_contexts() {
    let env = TestEnv::new();
    let server = Server::start();
    repository(&env, &server);
    let tar = tar_of(&[("Dockerfile", "ARG SOURCE_DATE_EPOCH=context\nFROM scratch\nCOPY . /\n")]);
    let created = |context: &str, args: &[&str]| {
        let image = built(&env, &[args, &[context]].concat());
        image.config["created"].as_str().unwrap().to_owned()
    };
    let git = format!("{}/r.git", server.url);
    assert_eq!(created(&git, &["--build-arg", "SOURCE_DATE_EPOCH=context"]), "2020-02-02T02:02:02Z");
    env.write("x.tar", &tar);
    assert_eq!(created("x.tar", &[]), "2001-09-09T01:46:40Z");
    server.body("/x.tar", tar.clone());
    assert_eq!(created(&format!("{}/x.tar", server.url), &[]), "2001-09-09T01:46:40Z");
    let modified = Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned());
    server.page("/x.tar", Page { body: tar, modified, ..Page::default() });
    assert_eq!(created(&format!("{}/x.tar", server.url), &[]), "1994-11-06T08:49:37Z");
    env.write("c/Dockerfile", "FROM scratch\nCOPY . /\n");
    assert!(created("c", &["--build-arg", "SOURCE_DATE_EPOCH=context"]).starts_with("20"));
    let ran = env.run(&["build", "--build-arg", "SOURCE_DATE_EPOCH=soon", "c"]).fails_with(1);
    assert!(ran.stderr.contains("invalid SOURCE_DATE_EPOCH: soon"), "{}", ran.stderr);
}

#[test]
fn an_interruption_ends_what_is_fetched() {
    let env = TestEnv::new();
    env.write("c/x", "x");
    // A server that begins an answer and never ends it.
    let server = Script::start(|_, _| Reply::new(200).body(vec![b'x'; 9000]).hang(4500));
    let url = |path: &str| format!("http://{}/{path}", server.host);
    for args in [
        vec![url("context.tar")],
        vec![url("repository.git#main:sub")],
        vec!["-f".to_owned(), url("D"), "c".to_owned()],
    ] {
        let args: Vec<&str> = ["build"].into_iter().chain(args.iter().map(String::as_str)).collect();
        let before = server.asked().len();
        let child = env.skiff(&args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        wait_until("a request", Duration::from_secs(30), || server.asked().len() > before);
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(130), "{args:?} {said}");
        assert!(
            said.contains("ERROR: failed to build: failed to solve: Canceled: context canceled"),
            "{said}"
        );
        let left: Vec<_> = std::fs::read_dir(env.store().join("tmp")).unwrap().flatten().collect();
        assert!(left.is_empty(), "{args:?} leaves {left:?}");
    }
}
