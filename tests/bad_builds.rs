//! Builds that must fail, each with its diagnostic and a store that is unchanged.
//!
//! What the parser refuses is tested over `testdata/dockerfiles/bad/`; here are
//! the errors that need a context, a store or an executor.

mod support;

use support::TestEnv;

struct Bad {
    name: &'static str,
    dockerfile: &'static str,
    args: &'static [&'static str],
    /// Every one of these must stand in stderr.
    says: &'static [&'static str],
}

const CASES: &[Bad] = &[
    Bad {
        name: "missing source",
        dockerfile: "FROM busybox\nCOPY nosuch /x\n",
        args: &[],
        says: &["\"/nosuch\": not found", "Dockerfile:2", ">>> COPY nosuch /x"],
    },
    Bad {
        name: "missing source in a stage",
        dockerfile: "FROM busybox AS a\nFROM busybox\nCOPY --from=a /nosuch /x\n",
        args: &[],
        says: &["\"/nosuch\": not found", "Dockerfile:3"],
    },
    Bad {
        name: "ignored source",
        dockerfile: "FROM busybox\nCOPY secret.txt /x\n",
        args: &[],
        says: &["\"/secret.txt\": not found"],
    },
    Bad {
        name: "unknown stage",
        dockerfile: "FROM busybox\nCOPY --from=nosuch/image:1 /a /b\n",
        args: &[],
        says: &["nosuch/image:1", "Dockerfile:2"],
    },
    Bad {
        name: "unknown target",
        dockerfile: "FROM busybox AS build\nRUN true\n",
        args: &["--target", "biuld"],
        says: &["target stage \"biuld\" could not be found", "did you mean build?"],
    },
    Bad {
        name: "later stage",
        dockerfile: "FROM busybox AS a\nCOPY --from=b /x /y\nFROM busybox AS b\nFROM a\n",
        args: &[],
        says: &["cannot copy from stage \"b\", it needs to be defined before current stage \"a\""],
    },
    Bad {
        name: "own stage",
        dockerfile: "FROM busybox AS a\nCOPY --from=a /x /y\n",
        args: &[],
        says: &["circular dependency detected on stage: a"],
    },
    Bad {
        name: "missing base",
        dockerfile: "FROM nosuchbase:3\nRUN true\n",
        args: &[],
        says: &["nosuchbase:3", "Dockerfile:1"],
    },
    Bad {
        name: "failing command",
        dockerfile: "FROM busybox\nRUN echo first\nRUN echo to-the-last-line && exit 7\n",
        args: &[],
        says: &[
            "to-the-last-line",
            "process \"/bin/sh -c echo to-the-last-line && exit 7\" did not complete successfully: exit code: 7",
            "Dockerfile:3",
            ">>> RUN echo to-the-last-line",
        ],
    },
    Bad {
        name: "killed command",
        dockerfile: "FROM busybox\nRUN sh -c 'kill -9 $$'; exit $?\n",
        args: &[],
        says: &["exit code: 137"],
    },
    Bad {
        name: "no such program",
        dockerfile: "FROM busybox\nRUN [\"/no/such/program\"]\n",
        args: &[],
        says: &["/no/such/program", "no such file or directory", "Dockerfile:2"],
    },
    Bad {
        name: "unknown user",
        dockerfile: "FROM busybox\nUSER nosuchuser\nRUN true\n",
        args: &[],
        says: &["unable to find user nosuchuser", "Dockerfile:3"],
    },
    Bad {
        name: "missing secret",
        dockerfile: "FROM busybox\nRUN --mount=type=secret,id=x,required true\n",
        args: &[],
        says: &["secret x: not found"],
    },
    Bad {
        name: "no entitlement",
        dockerfile: "FROM busybox\nRUN --security=insecure true\n",
        args: &[],
        says: &["security.insecure is not allowed"],
    },
    Bad {
        name: "file over directory",
        dockerfile: "FROM busybox\nRUN mkdir -p /x/a.txt\nCOPY a.txt /x/\n",
        args: &[],
        says: &["Dockerfile:3"],
    },
    Bad {
        name: "directory over file",
        dockerfile: "FROM busybox\nCOPY dir /etc/passwd\n",
        args: &[],
        says: &["Dockerfile:2", "/etc/passwd"],
    },
    Bad {
        name: "bad chmod",
        dockerfile: "FROM busybox\nCOPY --chmod=9999 a.txt /x\n",
        args: &[],
        says: &["invalid chmod parameter: '9999'"],
    },
    Bad {
        name: "bad checksum",
        dockerfile: "FROM busybox\nADD --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 http://127.0.0.1:1/x /x\n",
        args: &[],
        says: &["Dockerfile:2", "127.0.0.1:1"],
    },
    Bad {
        name: "required variable",
        dockerfile: "FROM busybox\nENV A=\"${B:?is needed}\"\n",
        args: &[],
        says: &["B: is needed", "Dockerfile:2"],
    },
    Bad {
        name: "empty base name",
        dockerfile: "ARG BASE\nFROM $BASE\n",
        args: &[],
        says: &["base name ($BASE) should not be blank"],
    },
    Bad {
        name: "bad port",
        dockerfile: "FROM busybox\nEXPOSE 70000\n",
        args: &[],
        says: &["invalid containerPort: 70000"],
    },
    Bad {
        name: "foreign frontend",
        dockerfile: "# syntax=example.org/other/frontend:1\nFROM busybox\n",
        args: &[],
        says: &["example.org/other/frontend:1", "Dockerfile:1"],
    },
    Bad {
        name: "missing dockerfile",
        dockerfile: "FROM busybox\n",
        args: &["-f", "nosuch.Dockerfile"],
        says: &["nosuch.Dockerfile", "no such file or directory"],
    },
    Bad {
        name: "bad tag",
        dockerfile: "FROM busybox\n",
        args: &["-t", "UPPER"],
        says: &["repository name (library/UPPER) must be lowercase"],
    },
    Bad {
        name: "bad trigger",
        dockerfile: "FROM busybox AS a\nONBUILD COPY nosuch /x\nFROM a\n",
        args: &[],
        says: &["nosuch", "Dockerfile:3"],
    },
];

#[test]
fn each_failure_is_explained_and_changes_nothing() {
    let env = TestEnv::new().with_busybox();
    env.write("a.txt", "a\n");
    env.write("secret.txt", "s\n");
    env.write("dir/b.txt", "b\n");
    env.write(".dockerignore", "secret.txt\n");
    let images = env.ok(&["images", "-q", "--no-trunc"]);
    let mut wrong = Vec::new();
    for case in CASES {
        env.write("Dockerfile", case.dockerfile);
        let ran = env.run(&[&["build", "--progress", "plain"][..], case.args, &["."]].concat());
        let missing: Vec<_> = case.says.iter().filter(|text| !ran.stderr.contains(**text)).collect();
        if ran.code != Some(1) || !missing.is_empty() || !ran.stdout.is_empty() {
            wrong.push(format!(
                "== {}: exit {:?}, lacks {missing:?}\n{}{}",
                case.name, ran.code, ran.stdout, ran.stderr
            ));
        }
        assert_eq!(env.ok(&["images", "-q", "--no-trunc"]), images, "{}", case.name);
    }
    assert!(wrong.is_empty(), "{} of {} cases\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

#[test]
fn steps_before_a_failure_are_kept() {
    let env = TestEnv::new().with_busybox();
    env.write("Dockerfile", "FROM busybox\nRUN echo slow > /slow\nRUN test -e /context-says-so\n");
    env.run(&["build", "."]).fails_with(1);
    env.write("Dockerfile", "FROM busybox\nRUN echo slow > /slow\nRUN true\n");
    let again = env.run(&["build", "--progress", "plain", "."]).success();
    assert_eq!(again.stderr.matches("CACHED").count(), 1, "{}", again.stderr);
}

#[test]
fn a_failure_in_one_branch_stops_the_other() {
    let env = TestEnv::new().with_busybox();
    env.write(
        "Dockerfile",
        "FROM busybox AS slow\nRUN sleep 600\nFROM busybox AS fails\nRUN sleep 0.2; exit 3\nFROM busybox\nCOPY --from=slow /bin/sh /a\nCOPY --from=fails /bin/sh /b\n",
    );
    let start = std::time::Instant::now();
    let ran = env.run(&["build", "--progress", "plain", "."]).fails_with(1);
    assert!(start.elapsed().as_secs() < 300, "the slow branch was waited for");
    assert!(ran.stderr.contains("exit code: 3"), "{}", ran.stderr);
}

#[test]
fn huge_files_end_quickly() {
    let env = TestEnv::new().with_busybox();
    env.write("Dockerfile", format!("FROM busybox\nRUN echo {}\n", "x".repeat(10 << 20)));
    let ran = env.run(&["build", "."]).fails_with(1);
    assert!(
        ran.stderr.contains("dockerfile line greater than max allowed size of 65535"),
        "{:.300}",
        ran.stderr
    );
    let start = std::time::Instant::now();
    env.write("Dockerfile", format!("FROM busybox\n{}", "ENV a=b\n".repeat(100_000)));
    let ran = env.run(&["build", "-q", "."]);
    assert!(start.elapsed().as_secs() < 200, "100,000 instructions take {:?}", start.elapsed());
    assert_eq!(ran.code, Some(0), "{:.300}", ran.stderr);
    env.write("Dockerfile", b"FROM busybox\nRUN echo \xff\xfe\n");
    let ran = env.run(&["build", "."]).fails_with(1);
    assert!(ran.stderr.contains("UTF-8") && ran.stderr.contains("Dockerfile:2"), "{}", ran.stderr);
}

#[test]
fn a_secret_leaves_no_trace() {
    let env = TestEnv::new().with_busybox();
    let secret = "hunter2-the-secret-value";
    env.write("s", secret);
    env.write(
        "Dockerfile",
        "FROM busybox\nRUN --mount=type=secret,id=s --mount=type=secret,id=v,env=V test -s /run/secrets/s && test -n \"$V\"\nRUN --mount=type=secret,id=s,target=/deep/er/s cat /deep/er/s | wc -c > /count\n",
    );
    let variables = [("SECRET_VARIABLE", secret)];
    let args = [
        "build",
        "--progress",
        "plain",
        "-t",
        "x",
        "--secret",
        "id=s,src=s",
        "--secret",
        "id=v,env=SECRET_VARIABLE",
        ".",
    ];
    let ran = env.run_with(&args, &variables).success();
    assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    let listing =
        env.ok(&["run", "--rm", "x", "sh", "-c", "cat /count; ls -d /run/secrets /deep 2>/dev/null; true"]);
    assert_eq!(listing, format!("{}\n", secret.len()), "no stub stays in a layer");
    let found = std::process::Command::new("grep")
        .args(["-rl", secret])
        .arg(env.store())
        .output()
        .expect("grep runs");
    assert!(found.stdout.is_empty(), "the secret is in {}", String::from_utf8_lossy(&found.stdout));
}
