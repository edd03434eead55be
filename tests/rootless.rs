//! As an ordinary user: the same images as root's, with subordinate ids and without.

mod support;

use support::TestEnv;
use support::user::User;

const FILE: &str = "FROM busybox\n\
    RUN echo hi > /x && mkdir -p /d/e && ln /x /y && ln -s x /z && rm -r /home\n\
    RUN rm -r /d && mkdir /d && echo new > /d/f\n\
    COPY --chown=7:8 data /data\n\
    WORKDIR /w\n\
    RUN id -u > id && cat /data/a > a\n\
    CMD [\"cat\", \"/w/a\"]\n";

/// What must be the same: the config but for times, and the list of files with their owners.
fn build_and_describe(import: &str, ok: &dyn Fn(&[&str]) -> String) -> (String, String, String) {
    ok(&["import", "--change", "CMD [\"sh\"]", import, "busybox"]);
    ok(&["build", "-q", "-t", "it", "."]);
    let config = ok(&["image", "inspect", "-f", "{{json .Config}}", "it"]);
    let files = "find / -xdev -path /proc -prune -o -path /sys -prune -o -path /dev -prune -o -type f -exec stat -c '%n %a %u %g %s %h' {} + | sort";
    let files = ok(&["run", "--rm", "--network", "none", "it", "sh", "-c", files]);
    let said = ok(&["run", "--rm", "--network", "none", "it"]);
    (config, files, said)
}

fn prepare(env: &TestEnv) {
    env.write("Dockerfile", FILE);
    env.write("data/a", "content\n");
}

#[test]
fn an_ordinary_user_with_subordinate_ids_builds_what_root_builds() {
    let Some(user) = User::new(true) else { return };
    prepare(&user.env);
    let root = TestEnv::new();
    prepare(&root);
    let busybox = user.file("busybox.tar");
    let theirs = build_and_describe(&busybox, &|args| user.ok(args));
    let ours = build_and_describe(&busybox, &|args| root.ok(args));
    assert_eq!(theirs, ours);
    assert_eq!(ours.2, "content\n");
}

#[test]
fn an_ordinary_user_without_subordinate_ids_builds_and_runs() {
    let Some(user) = User::new(false) else { return };
    prepare(&user.env);
    let (config, files, said) = build_and_describe(&user.file("busybox.tar"), &|args| user.ok(args));
    assert!(config.contains("cat"), "{config}");
    assert!(files.contains("/x 644 0 0 3 2"), "{files}");
    assert_eq!(said, "content\n");
    // What leaves the machine has the owners that the Dockerfile asked for, though the disk can't hold them.
    let archive = user.env.work().join("it.tar");
    user.ok(&["save", "-o", archive.to_str().unwrap(), "it"]);
    let image = support::image::read(&archive);
    assert_eq!(image.tree["data/a"].owner, (7, 8));
}

#[test]
fn rootless_debian_installs_packages() {
    let Some(user) = User::new(true) else { return };
    user.ok(&["import", "--change", "CMD [\"bash\"]", &user.file("debian.tar"), "debian:bookworm"]);
    user.env.write(
        "Dockerfile",
        "FROM debian:bookworm\nRUN apt-get update && apt-get install -y --no-install-recommends file && file --version\n",
    );
    user.ok(&["build", "-q", "-t", "deb", "."]);
    let said = user.ok(&["run", "--rm", "--network", "host", "deb", "file", "/bin/dash"]);
    assert!(said.contains("ELF"), "{said}");
}
