//! Look-ups and rewriting of credential files.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::*;

fn found(file: &Value, registry: &str, repository: Option<&str>) -> String {
    match in_auths(file, registry, repository, Path::new("f")) {
        Ok(None) => "none".to_owned(),
        Ok(Some(Credential::Basic { username, password })) => format!("{username}:{}", password.reveal()),
        Ok(Some(Credential::Identity { username, token })) => {
            format!("{username} identity {}", token.reveal())
        }
        Ok(Some(Credential::Registry { token })) => format!("registry {}", token.reveal()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn keys_in_all_their_forms() {
    let auth = |text: &str| json!({ "auth": STANDARD.encode(text) });
    let file = json!({"auths": {
        "https://index.docker.io/v1/": auth("hub:1"), "a.test:5000": auth("a:p:q"), "https://b.test/v2/": auth("b:2"),
        "c.test": {"identitytoken": "T", "auth": STANDARD.encode("me:")}, "d.test": {"registrytoken": "R"},
        "e.test": {}, "f.test": {"username": "u", "password": "w"}, "g.test": {"auth": "!!secret!!"},
        "q.test": auth("q:0"), "q.test/team": auth("team:1"), "q.test/team/app": auth("app:2"),
    }});
    let table = [
        ("docker.io", None, "hub:1"),
        ("a.test:5000", None, "a:p:q"),
        ("a.test", None, "none"),
        ("b.test", None, "b:2"),
        ("c.test", None, "me identity T"),
        ("d.test", None, "registry R"),
        ("e.test", None, "none"),
        ("f.test", None, "u:w"),
        ("q.test", None, "q:0"),
        ("q.test", Some("team/app"), "app:2"),
        ("q.test", Some("team/application"), "team:1"),
        ("q.test", Some("other"), "q:0"),
        ("evil.test", None, "none"),
    ];
    for (registry, repository, expected) in table {
        assert_eq!(found(&file, registry, repository), expected, "{registry} {repository:?}");
    }
    let error = found(&file, "g.test", None);
    assert!(error.contains("g.test") && !error.contains("secret"), "{error}");
    for key in ["docker.io", "index.docker.io", "https://index.docker.io/v1", "registry-1.docker.io"] {
        let auths = Map::from_iter([(key.to_owned(), auth("h:1"))]);
        assert_eq!(found(&json!({ "auths": auths }), "docker.io", None), "h:1", "{key}");
    }
}

fn basic(user: &str, password: &str) -> Credential {
    Credential::Basic { username: user.to_owned(), password: Secret::new(password) }
}

#[test]
fn a_file_is_rewritten_whole_with_its_other_keys_behind_its_link() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("dotfiles.json");
    std::fs::write(&real, r#"{"psFormat":"x","auths":{"old":{"auth":"bzpw"}},"HttpHeaders":{"A":"b"}}"#)
        .unwrap();
    let link = dir.path().join("config.json");
    std::os::unix::fs::symlink("dotfiles.json", &link).unwrap();
    let files = CredentialFiles { docker: Some(link.clone()), ..CredentialFiles::default() };
    assert_eq!(files.store("h.test:5000", &basic("me", "pw")).unwrap(), Kept::File(link.clone()));
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&real).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["psFormat"], "x");
    assert_eq!(value["HttpHeaders"]["A"], "b");
    assert_eq!(value["auths"]["old"]["auth"], "bzpw");
    assert_eq!(value["auths"]["h.test:5000"]["auth"], "bWU6cHc=");
    assert!(text.find("psFormat") < text.find("auths"), "the order stays: {text}");
    assert_eq!(files.get("h.test:5000", None).unwrap(), Some(basic("me", "pw")));
    assert!(files.erase("h.test:5000").unwrap());
    assert!(!files.erase("h.test:5000").unwrap());
    assert_eq!(files.get("h.test:5000", None).unwrap(), None);
    assert_eq!(files.get("old", None).unwrap(), Some(basic("o", "p")));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
}

#[test]
fn a_new_file_is_the_users_alone_and_a_broken_one_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/config.json");
    let files = CredentialFiles { docker: Some(path.clone()), ..CredentialFiles::default() };
    assert_eq!(files.get("x", None).unwrap(), None);
    files.store("docker.io", &basic("me", "pw")).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(value["auths"][HUB_KEY].is_object());
    std::fs::write(&path, "{\"auths\": secret").unwrap();
    let error = files.store("x", &basic("me", "pw")).unwrap_err().to_string();
    assert!(error.contains("no valid JSON at line 1") && !error.contains("secret"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"auths\": secret");
}

#[test]
fn writers_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let files =
        CredentialFiles { docker: Some(dir.path().join("config.json")), ..CredentialFiles::default() };
    std::thread::scope(|scope| {
        for n in 0..8 {
            let files = &files;
            scope.spawn(move || files.store(&format!("h{n}.test"), &basic("u", "p")).unwrap());
        }
    });
    for n in 0..8 {
        assert!(files.get(&format!("h{n}.test"), None).unwrap().is_some(), "h{n}");
    }
}

#[test]
fn the_environment_comes_first_and_podmans_file_last() {
    let dir = tempfile::tempdir().unwrap();
    let (docker, podman) = (dir.path().join("config.json"), dir.path().join("auth.json"));
    let entry = |user: &str| json!({ "auth": STANDARD.encode(format!("{user}:p")) });
    std::fs::write(&docker, json!({"auths": {"a": entry("docker"), "b": entry("docker")}}).to_string())
        .unwrap();
    let all = json!({"auths": {"a": entry("podman"), "b": entry("podman"), "c": entry("podman")}});
    std::fs::write(&podman, all.to_string()).unwrap();
    let environment = Some(Secret::new(json!({"auths": {"a": entry("env")}}).to_string()));
    let files = CredentialFiles { environment, docker: Some(docker), podman: vec![podman] };
    for (registry, expected) in [("a", "env"), ("b", "docker"), ("c", "podman")] {
        assert_eq!(files.username(registry).as_deref(), Some(expected));
    }
    assert_eq!(files.username("d"), None);
}
