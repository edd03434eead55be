//! Logging in and everything that needs it, against Debian's registry: passwords, helpers, certificates, mirrors.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use skiff::image::{Digest, Reference};
use skiff::registry::{
    ClientOptions, Credential, CredentialError, CredentialSource, RegistryClient, Repository, Secret,
    TagOrDigest, UploadBody,
};
use support::certificates::{KEY, authority, openssl};
use support::http::Server;
use support::registry::{DebianRegistry, RegistryOptions};
use support::{Ran, TestEnv};

const PASSWORD: &str = "s3cret-pa55";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn htpasswd(env: &TestEnv) -> PathBuf {
    let hash = bcrypt::hash(PASSWORD, 4).expect("bcrypt works");
    env.write("htpasswd", format!("me:{hash}\n"))
}

fn guarded(env: &TestEnv) -> DebianRegistry {
    DebianRegistry::start_with(&RegistryOptions {
        htpasswd: Some(htpasswd(env)),
        ..RegistryOptions::default()
    })
}

struct Me;

impl CredentialSource for Me {
    fn get(&self, _: &str, _: Option<&str>) -> Result<Option<Credential>, CredentialError> {
        Ok(Some(Credential::Basic { username: "me".to_owned(), password: Secret::new(PASSWORD) }))
    }
}

/// Puts a small image for a platform into a registry; returns its manifest's digest.
fn put(name: &str, architecture: &str) -> Digest {
    let client = RegistryClient::new(ClientOptions { credentials: Arc::new(Me), ..ClientOptions::default() });
    let reference = Reference::parse(name).unwrap().or_latest();
    let repo = Repository::of(&reference);
    let config = format!(
        r#"{{"architecture":"{architecture}","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}}}}"#
    );
    let digest = Digest::of(config.as_bytes());
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"{CONFIG}","digest":"{digest}","size":{}}},"layers":[]}}"#,
        config.len()
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut upload = client.begin_upload(&repo).await.unwrap();
        upload.put_stream(&digest, UploadBody::bytes(config.into_bytes())).await.unwrap();
        client
            .put_manifest(&repo, &TagOrDigest::of(&reference), MANIFEST, manifest.into_bytes().into())
            .await
            .unwrap()
    })
}

fn config_file(env: &TestEnv) -> PathBuf {
    env.work().parent().unwrap().join("home/.docker/config.json")
}

/// Runs the binary with a text on its standard input.
fn with_input(env: &TestEnv, args: &[&str], input: &str, variables: &[(&str, &str)]) -> Ran {
    use std::io::Write as _;
    let mut child = env
        .skiff(args)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ran {
        args: args.iter().map(ToString::to_string).collect(),
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn a_login_is_proved_kept_used_and_forgotten() {
    let env = TestEnv::new();
    let registry = guarded(&env);
    let host = registry.address.as_str();
    put(&format!("{host}/team/app:1"), "amd64");
    let denied = env.run(&["tags", &format!("{host}/team/app")]).fails_with(1);
    assert!(
        denied.stderr.contains(&format!("pull access denied for {host}/team/app, "))
            && denied.stderr.contains("unauthorized: authentication required"),
        "{}",
        denied.stderr
    );
    let wrong =
        with_input(&env, &["login", "-u", "me", "--password-stdin", host], "wrong\n", &[]).fails_with(1);
    assert_eq!(
        wrong.stderr,
        format!(
            "Error response from daemon: login attempt to http://{host}/v2/ failed with status: 401 Unauthorized\n"
        )
    );
    assert!(!config_file(&env).exists(), "what failed is not kept");
    let input = format!("{PASSWORD}\n");
    let good = with_input(&env, &["login", "-u", "me", "--password-stdin", host], &input, &[]).success();
    assert_eq!(good.stdout, "Login Succeeded\n");
    assert!(good.stderr.contains("WARNING! Your credentials are stored unencrypted in '"), "{}", good.stderr);
    assert_eq!(config_file(&env).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(env.ok(&["tags", &format!("{host}/team/app")]), "1\n");
    assert_eq!(env.ok(&["login", host]), "Login Succeeded\n", "what is kept is proved again");
    let shown =
        env.ok(&["image", "inspect", "--remote", "-f", "{{.Architecture}}", &format!("{host}/team/app:1")]);
    assert_eq!(shown, "amd64\n");
    assert!(env.ok(&["search", &format!("{host}/app")]).contains(&format!("{host}/team/app")));
    for _ in 0..2 {
        assert_eq!(env.ok(&["logout", host]), format!("Removing login credentials for {host}\n"));
    }
    env.run(&["tags", &format!("{host}/team/app")]).fails_with(1);
}

#[test]
fn flags_that_do_not_go_together() {
    let env = TestEnv::new();
    for (args, said) in [
        (
            &["login", "--password-stdin", "h.test"][..],
            "the --password-stdin option requires --username to be set",
        ),
        (
            &["login", "-u", "me", "-p", "x", "--password-stdin", "h.test"],
            "conflicting options: cannot specify both --password and --password-stdin",
        ),
        (&["login", "h.test"], "error: cannot perform an interactive login from a non-TTY device"),
    ] {
        let ran = env.run(args).fails_with(1);
        assert_eq!(ran.stderr.trim_end(), said);
    }
    let ran = env.run(&["login", "-u", "me", "-p", "x", "localhost:1"]).fails_with(1);
    assert!(
        ran.stderr.starts_with("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n")
    );
    assert!(ran.stderr.contains("Connection refused"), "{}", ran.stderr);
}

#[test]
fn a_helper_keeps_the_secret_and_no_command_line_shows_it() {
    let env = TestEnv::new();
    let registry = guarded(&env);
    let host = registry.address.as_str();
    put(&format!("{host}/app:1"), "amd64");
    let bin = env.work().join("bin");
    let helper = env.write(
        "bin/docker-credential-trial",
        "#!/bin/sh\necho \"$0 $*\" >> \"$TRIAL/argv\"\ncase $1 in\nstore) cat > \"$TRIAL/kept\" ;;\n\
         get) read -r url; [ -e \"$TRIAL/kept\" ] || { echo 'credentials not found in native keychain'; exit 1; }; cat \"$TRIAL/kept\" ;;\n\
         erase) rm -f \"$TRIAL/kept\" ;;\nesac\n",
    );
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(config_file(&env).parent().unwrap()).unwrap();
    fs::write(config_file(&env), r#"{"credsStore":"trial","psFormat":"kept"}"#).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let trial = env.work().display().to_string();
    let variables = [("PATH", path.as_str()), ("TRIAL", trial.as_str())];
    let input = format!("{PASSWORD}\n");
    let ran =
        with_input(&env, &["login", "-u", "me", "--password-stdin", host], &input, &variables).success();
    assert!(!ran.stderr.contains("unencrypted"), "{}", ran.stderr);
    let text = fs::read_to_string(config_file(&env)).unwrap();
    assert!(text.contains("\"psFormat\": \"kept\"") && text.contains(&format!("\"{host}\": {{}}")), "{text}");
    assert!(!text.contains(PASSWORD) && !text.contains(&STANDARD.encode(format!("me:{PASSWORD}"))));
    let kept: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(env.work().join("kept")).unwrap()).unwrap();
    assert_eq!(kept, serde_json::json!({"ServerURL": host, "Username": "me", "Secret": PASSWORD}));
    let tags = env.run_with(&["tags", &format!("{host}/app")], &variables).success();
    assert_eq!(tags.stdout, "1\n");
    env.run_with(&["logout", host], &variables).success();
    assert!(!env.work().join("kept").exists());
    let ran = env.run_with(&["tags", &format!("{host}/app")], &variables).fails_with(1);
    assert!(ran.stderr.contains("authentication required"), "{}", ran.stderr);
    assert!(!fs::read_to_string(env.work().join("argv")).unwrap().contains(PASSWORD));
    fs::write(config_file(&env), r#"{"credsStore":"absent"}"#).unwrap();
    let ran = env.run(&["tags", &format!("{host}/app")]).fails_with(1);
    assert!(
        ran.stderr.contains("docker-credential-absent get: executable file not found in $PATH"),
        "{}",
        ran.stderr
    );
}

#[test]
fn credentials_of_the_environment_and_of_podman_are_read() {
    let env = TestEnv::new();
    let registry = guarded(&env);
    let host = registry.address.as_str();
    put(&format!("{host}/ns/app:1"), "amd64");
    let auths = |key: String| {
        let auth = STANDARD.encode(format!("me:{PASSWORD}"));
        serde_json::json!({"auths": {key: {"auth": auth}}}).to_string()
    };
    let name = format!("{host}/ns/app");
    let own = auths(host.to_owned());
    assert_eq!(env.run_with(&["tags", &name], &[("DOCKER_AUTH_CONFIG", &own)]).success().stdout, "1\n");
    let file = env.write("auth.json", auths(format!("{host}/ns")));
    let podman = [("REGISTRY_AUTH_FILE", file.to_str().unwrap())];
    assert_eq!(env.run_with(&["tags", &name], &podman).success().stdout, "1\n");
    env.run_with(&["tags", &format!("{host}/other")], &podman).fails_with(1);
    let runtime = env.write("run/containers/auth.json", auths(host.to_owned()));
    let runtime = runtime.ancestors().nth(2).unwrap().to_str().unwrap().to_owned();
    assert_eq!(env.run_with(&["tags", &name], &[("XDG_RUNTIME_DIR", &runtime)]).success().stdout, "1\n");
    let ran = env.run_with(&["tags", &name], &[("DOCKER_AUTH_CONFIG", "{\"auths\":hidden}")]).fails_with(1);
    assert!(ran.stderr.contains("DOCKER_AUTH_CONFIG: no valid JSON"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hidden"), "{}", ran.stderr);
}

/// A private CA and a server's certificate by it, and one that signed itself.
fn certificates(dir: &Path) {
    let (subject, key) = ("-addext subjectAltName=IP:127.0.0.1", KEY);
    authority(dir);
    openssl(dir, &format!("req -x509 {key} -keyout self.key -out self.crt -days 2 -subj /CN=self {subject}"));
    openssl(
        dir,
        &format!(
            "req -x509 {key} -keyout name.key -out name.crt -days 2 -subj /CN=other -addext subjectAltName=DNS:other.test"
        ),
    );
}

#[test]
fn a_private_ca_is_verified_and_nothing_falls_back_behind_it() {
    let env = TestEnv::new();
    certificates(&env.work());
    let file = |name: &str| env.work().join(name);
    let folder = |registry: &DebianRegistry| {
        env.work().parent().unwrap().join("home/.config/skiff/certs.d").join(&registry.address)
    };
    let start = |name: &str| {
        let tls = Some((file(&format!("{name}.crt")), file(&format!("{name}.key"))));
        let options = RegistryOptions { htpasswd: Some(htpasswd(&env)), tls, ..RegistryOptions::default() };
        let registry = DebianRegistry::start_with(&options);
        put(&format!("{}/app:1", registry.address), "amd64");
        registry
    };
    let login = |registry: &DebianRegistry| {
        let input = format!("{PASSWORD}\n");
        with_input(&env, &["login", "-u", "me", "--password-stdin", &registry.address], &input, &[])
    };
    let signed = start("server");
    login(&signed).success();
    let name = format!("{}/app", signed.address);
    assert_eq!(env.ok(&["tags", &name]), "1\n", "this machine needs no certificate");
    let trust = folder(&signed);
    fs::create_dir_all(&trust).unwrap();
    fs::copy(file("ca.crt"), trust.join("ca.crt")).unwrap();
    assert_eq!(env.ok(&["tags", &name]), "1\n");
    fs::copy(file("self.crt"), trust.join("ca.crt")).unwrap();
    let ran = env.run(&["tags", &name]).fails_with(1);
    assert!(ran.stderr.contains("invalid peer certificate: UnknownIssuer"), "{}", ran.stderr);
    // A folder of certificates says: verify. A server without TLS is not talked to then.
    let plain = guarded(&env);
    let trust = folder(&plain);
    fs::create_dir_all(&trust).unwrap();
    fs::copy(file("ca.crt"), trust.join("ca.crt")).unwrap();
    let ran = login(&plain).fails_with(1);
    assert!(ran.stderr.contains("server gave HTTP response to HTTPS client"), "{}", ran.stderr);
    assert!(!plain.log().contains("GET /v2/ HTTP"), "nothing was asked in clear text: {}", plain.log());
    // One certificate that is root and server at once, as docker's guide makes it.
    let own = start("self");
    let trust = folder(&own);
    fs::create_dir_all(&trust).unwrap();
    fs::copy(file("self.crt"), trust.join("own.crt")).unwrap();
    login(&own).success();
    assert_eq!(env.ok(&["tags", &format!("{}/app", own.address)]), "1\n");
    // The same for another name is not enough.
    let other = start("name");
    let trust = folder(&other);
    fs::create_dir_all(&trust).unwrap();
    fs::copy(file("name.crt"), trust.join("own.crt")).unwrap();
    let ran = login(&other).fails_with(1);
    assert!(ran.stderr.contains("invalid peer certificate"), "{}", ran.stderr);
    // Half a pair is said.
    fs::copy(file("name.crt"), trust.join("client.cert")).unwrap();
    let ran = login(&other).fails_with(1);
    assert!(
        ran.stderr.contains("missing key client.key for client certificate client.cert"),
        "{}",
        ran.stderr
    );
}

#[test]
fn mirrors_and_insecure_registries_come_from_the_configuration() {
    let env = TestEnv::new();
    let registry = DebianRegistry::start();
    put(&format!("{}/library/app:1", registry.address), "amd64");
    let config = env.work().parent().unwrap().join("home/.config/skiff/config.json");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let dead = "http://127.0.0.1:1";
    let text = serde_json::json!({
        "registry-mirrors": [dead, format!("http://{}/", registry.address)], "insecure-registries": ["10.0.0.0/8"],
    });
    fs::write(&config, text.to_string()).unwrap();
    assert_eq!(env.ok(&["tags", "app"]), "1\n", "docker.io/library/app is asked of the mirror");
    let shown = env.ok(&["manifest", "inspect", "docker.io/library/app:1"]);
    assert!(shown.contains(CONFIG), "{shown}");
    for (text, said) in [
        ("{", "unable to configure the engine with file"),
        (
            r#"{"registry-mirrors":["https://m.test/path"]}"#,
            "invalid mirror: path, query, or fragment at end of the URI not allowed",
        ),
        (r#"{"registry-mirrors":["https://u:hidden@m.test"]}"#, "username/password not allowed in URI"),
        (
            r#"{"registry-mirors":[]}"#,
            "the following directives don't match any configuration option: registry-mirors",
        ),
        (r#"{"insecure-registries":["10.0.0.0/99"]}"#, "insecure registry 10.0.0.0/99 is not valid"),
    ] {
        fs::write(&config, text).unwrap();
        let ran = env.run(&["tags", "app"]).fails_with(1);
        assert!(ran.stderr.contains(said) && !ran.stderr.contains("hidden"), "{}", ran.stderr);
    }
}

#[test]
fn a_list_is_made_annotated_pushed_and_read_by_others() {
    let env = TestEnv::new();
    let registry = DebianRegistry::start();
    let name = |rest: &str| format!("{}/{rest}", registry.address);
    let (amd, arm, list) = (name("amd/app:1"), name("arm/app:1"), name("team/app:1"));
    let digest = put(&amd, "amd64");
    put(&arm, "arm64");
    assert_eq!(env.ok(&["manifest", "create", &list, &amd, &arm]), format!("Created manifest list {list}\n"));
    let ran = env.run(&["manifest", "create", &list, &amd]).fails_with(1);
    assert_eq!(ran.stderr, "refusing to amend an existing manifest list with no --amend flag\n");
    env.ok(&["manifest", "annotate", &list, &arm, "--variant", "v8", "--os-features", "a,b"]);
    let ran = env.run(&["manifest", "annotate", &list, &arm, "--os", "nosuch"]).fails_with(1);
    assert!(ran.stderr.contains("unsupported os/arch combination: nosuch/arm64"), "{}", ran.stderr);
    let ran = env.run(&["manifest", "annotate", &list, &name("x"), "--os", "linux"]).fails_with(1);
    assert!(ran.stderr.contains("does not exist in"), "{}", ran.stderr);
    let verbose = env.ok(&["manifest", "inspect", "-v", &list, &arm]);
    let verbose: serde_json::Value = serde_json::from_str(&verbose).unwrap();
    assert_eq!(verbose["Descriptor"]["platform"]["os.features"], serde_json::json!(["a", "b"]));
    let pushed = env.ok(&["manifest", "push", "-p", &list]);
    let first = format!("Pushed ref {}@{digest} with digest: {digest}\n", name("team/app"));
    assert!(pushed.starts_with(&first), "{pushed}");
    let ran = env.run(&["manifest", "rm", &list]).fails_with(1);
    assert_eq!(ran.stderr, format!("No such manifest: {list}\n"), "it was purged");
    let skopeo = Command::new("skopeo")
        .args(["inspect", "--tls-verify=false", "--override-arch", "arm64", "--override-variant", "v8"])
        .arg(format!("docker://{list}"))
        .output()
        .expect("skopeo is installed (scripts/packages test)");
    let text = String::from_utf8_lossy(&skopeo.stdout);
    assert!(
        text.contains("\"Architecture\": \"arm64\""),
        "{text}{}",
        String::from_utf8_lossy(&skopeo.stderr)
    );
    let ran = env.run(&["manifest", "inspect", &name("team/app:none")]).fails_with(1);
    assert_eq!(ran.stderr, format!("no such manifest: {}\n", name("team/app:none")));
    let ran = env.run(&["manifest", "create", &name("x:1"), &list]).fails_with(1);
    assert_eq!(ran.stderr, format!("{list} is a manifest list\n"));
}

#[test]
fn search_asks_the_index_of_the_registry_that_the_term_names() {
    let env = TestEnv::new();
    let server = Server::start();
    let long = "word ".repeat(20);
    let result = |name: &str, stars: u64, official: bool| {
        serde_json::json!({"name": name, "description": long, "star_count": stars, "is_official": official,
                           "is_automated": false})
    };
    let all = [result("few", 2, false), result("many", 40, true)];
    server.body("/v1/search", serde_json::json!({"results": all}).to_string());
    let host = server.url.trim_start_matches("http://").to_owned();
    let term = format!("{host}/some thing");
    let table = env.ok(&["search", &term]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("NAME      DESCRIPTION") && lines[0].ends_with("STARS     OFFICIAL"),
        "{table}"
    );
    assert!(lines[1].starts_with("many ") && lines[1].contains('…') && lines[1].ends_with("[OK]"), "{table}");
    assert!(server.requests().iter().any(|r| r.path == "/v1/search?q=some+thing&n=25"));
    let names = |args: &[&str]| {
        let mut all = vec!["search", "--format", "{{.Name}}"];
        all.extend_from_slice(args);
        all.push(&term);
        env.ok(&all)
    };
    assert_eq!(names(&["--filter", "stars=3"]), "many\n");
    assert_eq!(names(&["-f", "is-official=false"]), "few\n");
    assert_eq!(names(&["-s", "3"]), "many\n");
    assert_eq!(names(&["--automated=false", "--no-trunc=false"]), "many\nfew\n");
    assert_eq!(names(&["--automated"]), "");
    let whole = env.ok(&["search", "--no-trunc", "--format", "{{.Description}}", &term]);
    assert_eq!(whole.lines().next(), Some(long.trim_end()));
    let ran = env.run(&["search", "--limit", "101", "x"]).fails_with(1);
    assert!(ran.stderr.contains("limit 101 is outside the range of [1, 100]"), "{}", ran.stderr);
    let ran = env.run(&["search", "--starts", "3", "x"]).fails_with(125);
    assert!(ran.stderr.contains("--stars"), "{}", ran.stderr);
    env.run(&["search", "-f", "nosuch=1", "x"]).fails_with(1);
}

#[test]
fn failures_show_no_secret_even_when_asked_for_more() {
    let env = TestEnv::new();
    let registry = guarded(&env);
    let host = registry.address.as_str();
    let encoded = STANDARD.encode(format!("me:{PASSWORD}"));
    let auths = serde_json::json!({"auths": {host: {"auth": encoded}}}).to_string();
    for args in [
        &["-D", "tags", &format!("{host}/none")][..],
        &["-D", "manifest", "inspect", &format!("{host}/none:1")],
        &["-D", "image", "inspect", "--remote", &format!("{host}/none:1")],
        &["-D", "login", host, "-u", "you", "-p", PASSWORD],
    ] {
        let ran = env.run_with(args, &[("DOCKER_AUTH_CONFIG", &auths)]).fails_with(1);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains(PASSWORD) && !said.contains(&encoded), "{args:?}: {said}");
        assert!(!said.trim().is_empty());
    }
    let log = registry.log();
    assert!(!log.contains(PASSWORD) && !log.contains(&encoded));
}
