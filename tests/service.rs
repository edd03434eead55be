//! A web server from Debian's packages, through its whole life: built, published, watched, broken, restarted.

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use support::host::{Host, LONG};
use support::wait_until;

const FILE: &str = r#"FROM debian:bookworm
RUN apt-get update \
 && apt-get install -y --no-install-recommends nginx-light \
 && rm -rf /var/lib/apt/lists/* \
 && ln -sf /dev/stdout /var/log/nginx/access.log \
 && ln -sf /dev/stderr /var/log/nginx/error.log
RUN rm -f /var/www/html/* && echo from the image > /var/www/html/index.html
EXPOSE 80
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=300ms --timeout=20s --retries=2 \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/80; printf 'GET / HTTP/1.0\r\n\r\n' >&3; grep -q '200 OK' <&3"]
CMD ["nginx", "-g", "daemon off;"]
"#;

const RUN: [&str; 10] = [
    "run",
    "-d",
    "--name",
    "web",
    "--restart=on-failure",
    "-p",
    "8080:80",
    "-v",
    "site:/var/www/html",
    "web:1",
];

/// Where it is asked from the containers' own host.
const HERE: [&str; 3] = ["http://127.0.0.1:8080", "http://[::1]:8080", "http://10.99.0.1:8080"];

/// Waits until the page comes from everywhere.
#[track_caller]
fn served(host: &Host, page: &str, expected: &str) {
    for address in HERE {
        Host::page(&host.name, &format!("{address}/{page}"), expected);
    }
    for address in ["http://10.99.0.1:8080", "http://[fd99::1]:8080"] {
        Host::page(&host.other, &format!("{address}/{page}"), expected);
    }
}

/// Waits until `ps` and `inspect` say the same of its health.
#[track_caller]
fn health(host: &Host, expected: &str) {
    let inspect = ["inspect", "-f", "{{.State.Health.Status}}", "web"];
    wait_until(expected, LONG, || host.ok(&inspect).trim() == expected);
    let status = host.ok(&["ps", "--format", "{{.Status}}"]);
    assert!(status.ends_with(&format!(" ({expected})\n")), "{status}");
}

fn inspected(host: &Host, template: &str) -> String {
    host.ok(&["inspect", "-f", template, "web"]).trim().to_owned()
}

/// Nobody answers at the published port any more, and nothing holds it.
#[track_caller]
fn silent(host: &Host) {
    for address in HERE {
        assert_eq!(host.here(&format!("curl -sg --max-time 5 {address}/")), "", "{address}");
    }
    let asked = "curl -s --max-time 1 http://10.99.0.1:8080/";
    assert_eq!(Host::shell(&host.other, asked), "");
    assert_eq!(host.here("ss -Hltn 'sport = :8080'"), "");
}

#[test]
fn a_web_server_lives_its_life() {
    let Some(host) = Host::new() else { return };
    host.env.import_debian();
    host.env.write("Dockerfile", FILE);
    // The machine of the test has the way to the packages, its own hosts have not.
    host.env.ok(&["build", "-q", "-t", "web:1", "."]);

    host.ok(&RUN);
    served(&host, "", "from the image\n");
    health(&host, "healthy");
    assert_eq!(host.ok(&["ps", "--format", "{{.Ports}}"]), "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp\n");
    // The first look may have come too early; five are kept.
    let probe = "{{(index .State.Health.Log 0).ExitCode}} {{.State.Health.FailingStreak}}";
    wait_until("a good first probe", LONG, || inspected(&host, probe) == "0 0");

    followed(&host);
    unwell(&host);
    stopped_and_started(&host);
    killed_and_restarted(&host);

    // A new container of the same volume has its data.
    host.ok(&["rm", "-f", "web"]);
    silent(&host);
    host.ok(&RUN);
    served(&host, "data", "kept\n");
    host.ok(&["rm", "-f", "web"]);
    assert_eq!(host.ok(&["volume", "ls", "-q"]), "site\n");
    host.ok(&["volume", "rm", "site"]);
    host.ok(&["network", "prune", "-f"]);
    assert_eq!(host.here("nft list ruleset"), "");
    wait_until("only the loopback interface and the wire", LONG, || host.interfaces() == 2);
}

/// Its log is followed while it writes.
fn followed(host: &Host) {
    let mut follow = host
        .skiff(&["logs", "-f", "--tail", "0", "web"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    // What came before it began to follow is not followed.
    let asking = host.here("curl -s http://127.0.0.1:8080/before");
    assert!(asking.contains("404"), "{asking}");
    let mut asked = 0;
    let mut found = false;
    for line in lines.map_while(Result::ok) {
        // Health checks keep lines coming.
        if line.contains("GET /marker-") {
            found = true;
            break;
        }
        host.here(&format!("curl -s http://127.0.0.1:8080/marker-{asked}"));
        asked += 1;
        assert!(asked < 1000, "no marker came");
    }
    assert!(found, "the log ended");
    follow.kill().expect("it runs");
    follow.wait().expect("it is a child");
    wait_until("all in the log", LONG, || {
        let all = host.ok(&["logs", "web"]);
        all.contains("\"GET /before HTTP/1.1\" 404") && all.contains("GET /marker-0")
    });
}

/// Its health follows what the check says.
fn unwell(host: &Host) {
    host.ok(&["exec", "web", "mv", "/var/www/html/index.html", "/var/www/html/away.html"]);
    health(host, "unhealthy");
    assert_ne!(inspected(host, "{{.State.Health.FailingStreak}}"), "0");
    // Errors went to the other stream.
    let logs = || host.run(&["logs", "web"]).success();
    let forbidden = "directory index of \"/var/www/html/\" is forbidden";
    wait_until("the error in the log", LONG, || logs().stderr.contains(forbidden));
    assert!(!logs().stdout.contains(forbidden));
    host.ok(&["exec", "web", "mv", "/var/www/html/away.html", "/var/www/html/index.html"]);
    health(host, "healthy");
}

/// A stop ends it with its own signal; its volume's data are there when it comes back.
fn stopped_and_started(host: &Host) {
    host.ok(&["exec", "web", "sh", "-c", "echo kept > /var/www/html/data"]);
    served(host, "data", "kept\n");
    assert_eq!(host.ok(&["stop", "-t", "30", "web"]), "web\n");
    assert_eq!(inspected(host, "{{.State.Status}} {{.State.ExitCode}}"), "exited 0");
    silent(host);
    host.ok(&["start", "web"]);
    served(host, "data", "kept\n");
    host.ok(&["restart", "web"]);
    served(host, "data", "kept\n");
    health(host, "healthy");
}

/// The policy brings it back when somebody kills its first process; whoever follows the log sees both runs.
fn killed_and_restarted(host: &Host) {
    let (before, count) = (inspected(host, "{{.State.Pid}}"), inspected(host, "{{.RestartCount}}"));
    assert_eq!(count, "0");
    let mut follow = host
        .skiff(&["logs", "-f", "web"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    host.here(&format!("kill -9 {before}"));
    wait_until("another run", LONG, || inspected(host, "{{.RestartCount}} {{.State.Running}}") == "1 true");
    assert_ne!(inspected(host, "{{.State.Pid}}"), before);
    served(host, "data", "kept\n");
    health(host, "healthy");
    host.here("curl -s http://127.0.0.1:8080/after-the-kill");
    assert!(lines.any(|line| line.is_ok_and(|line| line.contains("GET /after-the-kill"))), "the log ended");
    // A stop by hand ends the policy, and the following too.
    host.ok(&["stop", "-t", "30", "web"]);
    assert!(follow.wait().expect("it is a child").success());
    assert_eq!(inspected(host, "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}"), "exited 0 1");
    silent(host);
    host.ok(&["start", "web"]);
}
