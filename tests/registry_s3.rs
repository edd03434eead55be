//! The built-in registry on a bucket of a real S3 server on loopback (moto's, which `scripts/s3` installs).
#![cfg(feature = "s3")]

mod support;

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::clients::Clients;
use support::fake::{build_app, noise};
use support::serve::{Serve, sha256};
use support::{TestEnv, repository, wait_until};

/// A running S3 server with one bucket; killed when dropped.
struct S3 {
    child: Child,
    address: String,
    _dir: TestEnv,
}

impl S3 {
    #[allow(clippy::print_stderr, reason = "a skipped test says why")]
    fn start() -> Option<Self> {
        let installed = repository().join(".cache/moto/bin/moto_server");
        let program = if installed.exists() { installed } else { PathBuf::from("moto_server") };
        let port = support::free_port();
        let dir = TestEnv::new();
        let log = std::fs::File::create(dir.work().join("log")).unwrap();
        let child = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let Ok(child) = child else {
            assert!(
                std::env::var_os("CI").is_none(),
                "in CI the S3 server must be there: scripts/s3 installs it"
            );
            eprintln!("skipped: no S3 server; scripts/s3 installs one");
            return None;
        };
        let address = format!("127.0.0.1:{port}");
        let made = Self { child, address, _dir: dir };
        wait_until("the S3 server answers", Duration::from_secs(60), || {
            TcpStream::connect(&made.address).is_ok()
        });
        let bucket = format!("http://{}/images", made.address);
        let status = Command::new("curl").args(["-sf", "-X", "PUT", &bucket]).stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|s| s.success()), "the bucket can be made");
        Some(made)
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "key".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "s3cret-key".to_owned()),
        ]
    }

    /// Starts a registry on the bucket.
    fn replica(&self, env: &TestEnv) -> Serve {
        let variables = self.variables();
        let arguments = ["--s3", "s3://images/registry", "--allow-delete"];
        Serve::start_with(&env.store(), &arguments, &variables)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn two_registries_serve_one_bucket() {
    let Some(s3) = S3::start() else { return };
    let (here, there) = (TestEnv::new(), TestEnv::new());
    let (one, two) = (s3.replica(&here), s3.replica(&there));
    let name = build_app(&here, &one.address);
    here.ok(&["push", "-q", &name]);
    // What one took, the other has.
    let theirs = format!("{}/app:1", two.address);
    there.ok(&["pull", "-q", &theirs]);
    let id = |env: &TestEnv, name: &str| env.ok(&["image", "inspect", "-f", "{{.Id}}", name]);
    assert_eq!(id(&here, &name), id(&there, &theirs));
    let clients = Clients::new(&there);
    clients.podman(&["pull", "-q", "--tls-verify=false", &theirs]);
    let (from, to) = (format!("docker://{theirs}"), format!("docker://{}/by/skopeo:1", one.address));
    clients.skopeo(&["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", &from, &to]);
    assert_eq!(
        two.get("/v2/_catalog").is(200).json()["repositories"],
        serde_json::json!(["app", "by/skopeo"])
    );
    // An upload begins here, goes on there, and survives the death of both.
    let bytes = noise(40 << 20);
    let digest = sha256(&bytes);
    let location = one.begin("big");
    let middle = 21 << 20;
    one.send("PATCH", &location, &[], &bytes[..middle]).is(202);
    let (one, two) = (one.restart(), two.restart());
    assert_eq!(two.get(&location).is(204).header("range"), format!("0-{}", middle - 1));
    two.send("PATCH", &location, &[("Content-Range", "0-9")], &bytes[..10]).is(416);
    let rest = format!("{middle}-{}", bytes.len() - 1);
    two.send("PATCH", &location, &[("Content-Range", &rest)], &bytes[middle..]).is(202);
    one.send("PUT", &format!("{location}?digest={digest}"), &[], b"").is(201);
    assert!(two.get(&format!("/v2/big/blobs/{digest}")).is(200).body == bytes);
    let part =
        two.send("GET", &format!("/v2/big/blobs/{digest}"), &[("Range", "bytes=20971515-20971524")], b"");
    assert_eq!(part.is(206).body, &bytes[20_971_515..20_971_525]);
    // What one deletes, the other has no longer; the bytes go with a collection.
    one.send("DELETE", &format!("/v2/big/blobs/{digest}"), &[], b"").is(202);
    two.get(&format!("/v2/big/blobs/{digest}")).is(404);
    let variables = s3.variables();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let gc = ["registry", "gc", "--s3", "s3://images/registry", "--grace", "0s"];
    let said = here.run_with(&gc, &variables).success().stdout;
    assert!(said.starts_with("Removed 0 manifests, 1 blobs, 41.9MB"), "{said}");
    TestEnv::new().ok(&["pull", "-q", &theirs]);
    assert!(!one.log().contains("s3cret-key") && !two.log().contains("s3cret-key"));
}

#[test]
fn wrong_bytes_and_wrong_buckets() {
    let Some(s3) = S3::start() else { return };
    let env = TestEnv::new();
    let registry = s3.replica(&env);
    let location = registry.begin("a");
    registry.send("PATCH", &location, &[], b"bytes").is(202);
    let other = sha256(b"other");
    registry.send("PUT", &format!("{location}?digest={other}"), &[], b"").is(400).says("DIGEST_INVALID");
    registry.get(&location).is(404);
    registry.get(&format!("/v2/a/blobs/{other}")).is(404);
    let variables = s3.variables();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let serve = ["registry", "serve", "--addr", "127.0.0.1:0", "--s3"];
    for (place, said) in [
        ("s3://nosuch", "NoSuchBucket"),
        ("http://x", "expected s3://BUCKET[/PREFIX]"),
        ("s3://", "invalid bucket"),
    ] {
        let ran = env.run_with(&[&serve[..], &[place]].concat(), &variables).fails_with(1);
        assert!(ran.stderr.contains(said), "{place}: {}", ran.stderr);
    }
}
