//! The rows of users' notes about images (B1 to B40) that need no registry; `mission_registry.rs` has the others.

mod support;

use std::process::{Command, Stdio};

use support::http::Server;
use support::{Ran, TestEnv};

fn show(env: &TestEnv, template: &str, name: &str) -> String {
    env.ok(&["inspect", "-f", template, name]).trim_end().to_owned()
}

fn id_of(env: &TestEnv, name: &str) -> String {
    show(env, "{{.Id}}", name)
}

fn columns(table: &str) -> Vec<String> {
    let header = table.lines().next().unwrap_or_default();
    header.split("  ").map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()).collect()
}

fn refused(ran: Ran, text: &str) {
    let ran = ran.fails_with(1);
    assert_eq!(ran.stderr, format!("Error response from daemon: {text}\n"));
}

#[test]
fn images_are_listed_under_all_their_names() {
    let env = TestEnv::new().with_busybox();
    // B10, B15, B17
    env.ok(&["tag", "docker.io/library/busybox:latest", "new:v2"]);
    // B8, B9, B16
    let table = env.ok(&["images"]);
    assert_eq!(columns(&table), ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
    let id = id_of(&env, "busybox");
    let short = &id["sha256:".len()..][..12];
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert!(rows.len() == 2 && rows.iter().all(|row| row.contains(short) && row.contains(" ago")), "{table}");
    let size = rows[0].split_whitespace().next_back().expect("a size");
    assert!(size.ends_with("MB") && size.len() <= 6, "{size}");
    assert!(rows.iter().any(|row| row.starts_with("new") && row.contains(" v2 ")), "{table}");
    assert!(rows.iter().any(|row| row.starts_with("busybox ")), "{table}");
    // B11, B12
    assert!(env.ok(&["images", "-a"]).lines().count() >= table.lines().count());
    for flag in ["-q", "-qa", "-aq"] {
        assert_eq!(env.ok(&["images", flag]), format!("{short}\n{short}\n"));
    }
    // B13, B14
    let digests = env.ok(&["images", "--digests"]);
    assert_eq!(columns(&digests), ["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"]);
    assert!(env.ok(&["images", "--no-trunc"]).contains(&format!(" {id} ")));
    // B18
    assert_eq!(id_of(&env, &short[..3]), id);
    let raw = env.ok(&["images", "--format", "raw", "new"]);
    assert!(raw.starts_with(&format!("repository: new\ntag: v2\nimage_id: {short}\ncreated_at: ")), "{raw}");
}

#[test]
fn removing_an_image_is_refused_while_it_is_needed() {
    let env = TestEnv::new().with_busybox();
    let id = id_of(&env, "busybox");
    let short = &id["sha256:".len()..][..12];
    env.ok(&["tag", "busybox", "new:v2"]);
    // B26: eleven digits are typed, twelve are shown.
    let text = format!(
        "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
    );
    refused(env.run(&["rmi", &short[..11]]), &text);
    // B27
    env.ok(&["rmi", "new:v2"]);
    let made = env.ok(&["create", "--name", "made", "busybox"]);
    let text = format!(
        "conflict: unable to remove repository reference \"busybox\" (must force) - container {} is using its \
         referenced image {short}",
        &made[..12]
    );
    refused(env.run(&["rmi", "busybox"]), &text);
    env.ok(&["rm", "made"]);
    let up = env.ok(&["run", "-d", "--network", "none", "--name", "up", "busybox", "sleep", "1000"]);
    let text = format!(
        "conflict: unable to delete {short} (cannot be forced) - image is being used by running container {}",
        &up[..12]
    );
    refused(env.run(&["rmi", short]), &text);
    env.ok(&["rm", "-f", "up"]);
    // B24
    env.write("Dockerfile", "FROM busybox\nENV A=b\n");
    env.ok(&["build", "-q", "-t", "built:1", "."]);
    env.ok(&["tag", "built:1", "built:2"]);
    let some = env.run(&["image", "rm", "built:2", "nosuch"]).fails_with(1);
    assert_eq!(some.stdout, "Untagged: built:2\n");
    assert!(some.stderr.contains("No such image: nosuch"), "{}", some.stderr);
    // B23, B25
    env.ok(&["tag", "built:1", "built:2"]);
    let built = id_of(&env, "built:1");
    let removed = env.ok(&["rmi", "-f", &built]);
    assert_eq!(removed, format!("Untagged: built:1\nUntagged: built:2\nDeleted: {built}\n"));
    // B28
    env.ok(&["tag", "busybox", "again:1"]);
    let all = env.ok(&["images", "-qa"]);
    let all: Vec<&str> = all.split_whitespace().collect();
    assert_eq!(all.len(), 2);
    let ran = env.run(&[&["rmi", "-f"][..], &all].concat()).success();
    assert!(ran.stdout.contains(&format!("Deleted: {id}\n")), "{}", ran.stdout);
    assert_eq!(env.ok(&["images", "-q"]), "");
}

#[test]
fn images_leave_and_come_back_as_archives() {
    let env = TestEnv::new().with_busybox();
    let id = id_of(&env, "busybox");
    // B29, B30
    assert_eq!(env.ok(&["save", "-o", "F.tar", "busybox:latest"]), "");
    let listed = Command::new("tar").arg("tf").arg(env.work().join("F.tar")).output().expect("tar runs");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        ["manifest.json", "oci-layout"].iter().all(|name| listed.lines().any(|l| l == *name)),
        "{listed}"
    );
    env.ok(&["rmi", "busybox"]);
    assert_eq!(env.ok(&["load", "--input", "F.tar"]), "Loaded image: busybox:latest\n");
    assert_eq!(id_of(&env, "busybox"), id);
    env.ok(&["rmi", "busybox"]);
    let file = std::fs::File::open(env.work().join("F.tar")).expect("the archive");
    let loaded = env.skiff(&["load"]).stdin(file).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&loaded.stdout), "Loaded image: busybox:latest\n");
    assert_eq!(id_of(&env, "busybox"), id);
}

#[test]
fn a_container_becomes_an_image() {
    let env = TestEnv::new().with_busybox();
    // B35, B40
    env.ok(&["run", "--network", "none", "--name", "box", "busybox", "touch", "/m"]);
    env.run(&["run", "--rm", "--network", "none", "busybox", "ls", "/m"]).fails_with(1);
    // B33
    let id = env.ok(&["commit", "box"]);
    assert!(id.starts_with("sha256:") && id.trim_end().len() == 71, "{id}");
    assert!(env.ok(&["images"]).lines().any(|row| row.starts_with("<none>") && row.contains(&id[7..19])));
    // B34
    env.ok(&["commit", "-m=text", "-a=author", "box", "n:1"]);
    assert_eq!(show(&env, "{{.Comment}} {{.Author}}", "n:1"), "text author");
    assert!(env.ok(&["history", "n:1"]).lines().nth(1).is_some_and(|row| row.ends_with("text")));
    assert_eq!(env.ok(&["run", "--rm", "--network", "none", "n:1", "ls", "/m"]), "/m\n");
    assert!(
        !show(&env, "{{.Config.Env}}", "n:1").contains("HOSTNAME"),
        "what a container has of its own stays there"
    );
    // B36, B37
    env.ok(&["run", "-d", "--network", "none", "--name", "up", "busybox", "sleep", "1000"]);
    for name in ["box", "up"] {
        let mut export = env.skiff(&["export", name]).stdout(Stdio::piped()).spawn().expect("it starts");
        let tar = export.stdout.take().expect("piped");
        let image = format!("imported-{name}:1");
        let import = env.skiff(&["import", "-", &image]).stdin(tar).output().expect("it runs");
        assert!(export.wait().expect("it ends").success() && import.status.success(), "{import:?}");
        assert!(String::from_utf8_lossy(&import.stdout).starts_with("sha256:"));
        env.ok(&["run", "--rm", "--network", "none", &image, "sh", "-c", "test -d /etc"]);
        let bare = env.run(&["run", "--rm", "--network", "none", &image]).fails_with(125);
        assert!(bare.stderr.contains("no command specified"), "{}", bare.stderr);
    }
    // B38
    env.ok(&["export", "-o", "c.tar", "box"]);
    let server = Server::start();
    server.body("/c.tar", std::fs::read(env.work().join("c.tar")).expect("the archive"));
    env.ok(&["import", &format!("{}/c.tar", server.url), "web:1"]);
    env.ok(&["import", "c.tar", "file:1"]);
    assert_eq!(show(&env, "{{.RootFS.Layers}}", "web:1"), show(&env, "{{.RootFS.Layers}}", "file:1"));
}
