//! The rows of users' notes about volumes (E1 to E13), as they are typed there.

mod support;

use support::{TestEnv, wait_until};

fn show(env: &TestEnv, template: &str, name: &str) -> String {
    env.ok(&["inspect", "-f", template, name]).trim_end().to_owned()
}

/// Runs a container of busybox without a network.
fn run(env: &TestEnv, line: &str) -> String {
    env.ok(&[&["run", "--network", "none"][..], &line.split(' ').collect::<Vec<_>>()].concat())
}

#[test]
fn a_directory_of_the_host_is_the_same_inside() {
    let env = TestEnv::new().with_busybox();
    // E1, E2
    let dir = env.work().join("missing");
    run(&env, &format!("-d --name e1 -v {}:/backup busybox sleep 1000", dir.display()));
    std::fs::write(dir.join("h"), "host\n").expect("the directory was made");
    assert_eq!(env.ok(&["exec", "e1", "cat", "/backup/h"]), "host\n");
    env.ok(&["exec", "e1", "sh", "-c", "echo inside > /backup/c"]);
    assert_eq!(std::fs::read_to_string(dir.join("c")).expect("it is here"), "inside\n");
}

#[test]
fn volumes_have_a_name_or_get_one() {
    let env = TestEnv::new().with_busybox();
    // E3
    run(&env, "-d --name e3 -v /ctr busybox sleep 1000");
    let shown = show(&env, "{{(index .Mounts 0).Type}} {{(index .Mounts 0).Name}}", "e3");
    let name = shown.strip_prefix("volume ").expect("a volume");
    assert!(name.len() == 64 && name.bytes().all(|c| c.is_ascii_hexdigit()), "{shown}");
    let used = env.run(&["volume", "rm", name]).fails_with(1);
    assert!(used.stderr.contains(&format!("remove {name}: volume is in use - [")), "{}", used.stderr);
    // E4 to E7
    run(&env, "--name e4 -v vol:/data busybox touch /data/x");
    env.ok(&["rm", "-v", "e4"]);
    assert!(env.ok(&["volume", "ls"]).lines().any(|row| row.starts_with("local") && row.ends_with("vol")));
    let place = env.store().join("volumes/vol/_data");
    assert_eq!(
        env.ok(&["volume", "inspect", "-f", "{{.Mountpoint}} {{.Driver}} {{.Name}}", "vol"]),
        format!("{} local vol\n", place.display())
    );
    let read_only = env
        .run(&["run", "--network", "none", "-v", "vol:/data:ro", "busybox", "touch", "/data/y"])
        .fails_with(1);
    assert!(read_only.stderr.contains("Read-only file system"), "{}", read_only.stderr);
    std::fs::write(place.join("host"), "").expect("the host may write");
    assert_eq!(run(&env, "--rm -v vol:/data:rw busybox ls /data"), "host\nx\n");
    let missing = env.run(&["volume", "inspect", "nosuch"]).fails_with(1);
    assert_eq!(
        (missing.stdout.as_str(), missing.stderr.as_str()),
        ("[]\n", "Error response from daemon: get nosuch: no such volume\n")
    );
}

#[test]
fn volumes_of_images_are_made_and_filled() {
    let env = TestEnv::new().with_busybox();
    env.write(
        "Dockerfile",
        "FROM busybox\nRUN mkdir -p /etc/nginx && echo conf > /etc/nginx/nginx.conf\n\
         VOLUME [\"volume01\",\"volume02\"]\nCMD echo \"----end----\"\nCMD /bin/sh\n",
    );
    env.ok(&["build", "-q", "-f", "Dockerfile", "-t", "kuangshen/centos:1.0", "."]);
    // E8
    assert_eq!(
        run(&env, "--rm -v juming-nginx:/etc/nginx:ro kuangshen/centos:1.0 cat /etc/nginx/nginx.conf"),
        "conf\n"
    );
    assert!(env.store().join("volumes/juming-nginx/_data/nginx.conf").exists());
    // E9
    run(&env, "-d --name e9 kuangshen/centos:1.0 sleep 1000");
    assert_eq!(show(&env, "{{range .Mounts}}{{.Destination}} {{end}}", "e9"), "/volume01 /volume02");
    env.ok(&["exec", "e9", "touch", "/volume01/f", "/volume02/g"]);
    // E10
    assert_eq!(run(&env, "--rm --volumes-from e9 busybox ls /volume01"), "f\n");
    env.ok(&["stop", "-t", "0", "e9"]);
    run(&env, "-d --name e10 --volumes-from e9 busybox sleep 1000");
    env.ok(&["rm", "e9"]);
    assert_eq!(env.ok(&["exec", "e10", "ls", "/volume01"]), "f\n");
    assert_eq!(run(&env, "--rm --volumes-from e10:ro busybox ls /volume02"), "g\n");
}

#[test]
fn a_container_that_only_holds_data_is_saved_and_restored() {
    let env = TestEnv::new().with_busybox();
    let backup = format!("-v {}:/backup", env.work().display());
    // E11
    run(&env, "-d -v /dbdata --name dbdata busybox echo data");
    wait_until("the end", std::time::Duration::from_secs(30), || {
        show(&env, "{{.State.Status}}", "dbdata") == "exited"
    });
    run(&env, "-d --volumes-from dbdata --name db1 busybox sleep 1000");
    env.ok(&["exec", "db1", "sh", "-c", "echo row > /dbdata/table"]);
    // E12
    let packed =
        run(&env, &format!("--rm --volumes-from dbdata {backup} busybox tar cvf /backup/backup.tar /dbdata"));
    assert!(packed.contains("dbdata/table"), "{packed}");
    let listed = std::process::Command::new("tar").arg("tf").arg(env.work().join("backup.tar")).output();
    assert!(String::from_utf8_lossy(&listed.expect("tar runs").stdout).contains("dbdata/table\n"));
    // E13
    run(&env, "-d -v /dbdata --name dbdata2 busybox sh");
    run(&env, &format!("--rm --volumes-from dbdata2 {backup} busybox tar xvf /backup/backup.tar"));
    assert_eq!(run(&env, "--rm --volumes-from dbdata2 busybox cat /dbdata/table"), "row\n");
}

#[test]
fn labels_of_volumes_are_shown_by_templates() {
    let env = TestEnv::new();
    env.ok(&["volume", "create", "--label", "com.example.some-key=b", "--label", "a=x,y", "lv"]);
    env.ok(&["volume", "create", "plain"]);
    assert_eq!(env.ok(&["volume", "ls", "--format", r#"{{.Name}}:{{.Label "a"}}"#]), "lv:x,y\nplain:\n");
    let table = env.ok(&["volume", "ls", "--format", "table {{.Name}}\t{{.Label \"com.example.some-key\"}}"]);
    assert_eq!(table, "VOLUME NAME   some key\nlv            b\nplain         \n");
    assert_eq!(
        env.ok(&["volume", "inspect", "-f", r#"{{.Labels.a}} {{index .Labels "a"}} {{.Options}}"#, "lv"]),
        "x,y x,y map[]\n"
    );
    assert_eq!(env.ok(&["volume", "ls", "-q", "-f", "label=a"]), "lv\n");
}
