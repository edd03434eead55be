//! RUN --mount: every type with every option, and that nothing of it stays.

mod support;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::TestEnv;
use support::image::Archived;

fn built(env: &TestEnv, dockerfile: &str, args: &[&str]) -> Archived {
    said(env, dockerfile, args);
    env.ok(&["save", "-o", "made.tar", "made"]);
    support::image::read(&env.work().join("made.tar"))
}

/// Builds with plain progress and returns what was said.
fn said(env: &TestEnv, dockerfile: &str, args: &[&str]) -> String {
    env.write("c/Dockerfile", dockerfile);
    env.run(&[&["build", "--progress=plain", "-t", "made"], args, &["c"]].concat()).success().stderr
}

fn fails(env: &TestEnv, dockerfile: &str, args: &[&str], text: &str) {
    env.write("c/Dockerfile", dockerfile);
    let ran = env.run(&[&["build", "--progress=plain"], args, &["c"]].concat()).fails_with(1);
    assert!(ran.stderr.contains(text), "{dockerfile}\nlacks {text:?}:\n{}", ran.stderr);
}

/// The names that are in the image but not in busybox.
fn added(image: &Archived) -> Vec<&str> {
    let base =
        ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "var", "home", "lib", "lib64", "sbin"];
    let of_base = |path: &str| base.contains(&path.split('/').next().unwrap_or(path));
    image.tree.keys().map(String::as_str).filter(|path| !of_base(path)).collect()
}

#[test]
fn binds_show_and_forget() {
    let env = TestEnv::new().with_busybox();
    env.write("c/dir/a", "1");
    env.write("c/dir/sub/b", "2");
    env.write("c/.dockerignore", "dir/hidden\n");
    env.write("c/dir/hidden", "3");
    let image = built(
        &env,
        "FROM busybox AS one\nRUN mkdir /data && echo stage >/data/s && ln -s /etc /data/out\n\
         FROM busybox\nWORKDIR /w\n\
         RUN --mount=target=/all --mount=source=dir,target=rel --mount=src=dir/a,dst=/file,ro \
             --mount=from=one,source=/data,destination=/stage,rw \
             --mount=type=bind,from=busybox,source=bin,target=/image \
             set -e; ls /all/dir > /listed; cat rel/sub/b /file > /read; \
             ! touch rel/x 2>/dev/null; ! touch /file/x 2>/dev/null; \
             echo more > /stage/new; ls /stage >> /listed; test -x /image/busybox\n\
         RUN --mount=source=dir,target=/rw,rw echo changed > /rw/a && rm -r /rw/sub && ls /rw > /after\n\
         RUN --mount=source=dir/a,target=/one,rw echo changed > /one && cat /one >> /after\n",
        &[],
    );
    assert_eq!(added(&image), ["after", "listed", "read", "w"]);
    let text = |path: &str| env.ok(&["run", "--rm", "made", "cat", path]);
    assert_eq!(text("/listed"), "a\nsub\nnew\nout\ns\n");
    assert_eq!((text("/read").as_str(), text("/after").as_str()), ("21", "a\nchanged\n"));
    assert_eq!(std::fs::read_to_string(env.work().join("c/dir/a")).unwrap(), "1");
    // Keyed by what is shown, not by what is beside it.
    let line = "FROM busybox\nRUN --mount=source=dir/sub,target=/m cat /m/b > /x\n";
    said(&env, line, &[]);
    env.write("c/dir/a", "other");
    assert!(said(&env, line, &[]).contains("CACHED"));
    env.write("c/dir/sub/b", "other");
    assert!(!said(&env, line, &[]).contains("CACHED"));
    assert_eq!(env.ok(&["run", "--rm", "made", "cat", "/x"]), "other");
}

#[test]
fn binds_that_make_no_sense_are_refused() {
    let env = TestEnv::new().with_busybox();
    for (mount, text) in [
        ("target=/", "invalid mount target"),
        ("type=bind", "invalid mount target \"/\""),
        ("source=nosuch,target=/m", "nosuch"),
        (
            "from=later,target=/m",
            "cannot mount from stage \"later\" to \"/m\", stage needs to be defined before",
        ),
        ("from=$X,target=/m", "'from' doesn't support variable expansion"),
        ("from=nosuchimage,target=/m", "nosuchimage"),
        ("typ=bind,target=/m", "unexpected key 'typ' in 'typ=bind' (did you mean type?)"),
        ("type=bnd,target=/m", "unsupported mount type \"bnd\" (did you mean bind?)"),
        ("type=cache,target=/m,sharing=lock", "unsupported sharing value \"lock\""),
        ("type=tmpfs,target=/m,size=big", "invalid value for size: big"),
    ] {
        fails(
            &env,
            &format!("FROM busybox AS here\nRUN --mount={mount} true\nFROM busybox AS later\n"),
            &["--target=here"],
            text,
        );
    }
}

#[test]
fn caches_are_kept_and_told_apart() {
    let env = TestEnv::new().with_busybox();
    env.write("c/seed/s", "seed");
    let count = |mount: &str, args: &[&str]| -> usize {
        let file = format!(
            "FROM busybox\nRUN --mount=type=cache,{mount} date +%N >> /c/log; wc -l < /c/log | tee /n\n"
        );
        let image = built(&env, &file, &[&["--no-cache"], args].concat());
        assert_eq!(added(&image), ["n"], "{mount}");
        env.ok(&["run", "--rm", "made", "cat", "/n"]).trim().parse().unwrap()
    };
    assert_eq!((count("target=/c", &[]), count("target=/c", &[])), (1, 2));
    // The id is the cleaned target unless one is given; another owner is another cache.
    assert_eq!(count("target=/c/.", &[]), 3);
    assert_eq!(count("id=/c,target=/c", &[]), 4);
    assert_eq!(count("id=other,target=/c", &[]), 1);
    assert_eq!(count("target=/c,uid=5", &[]), 1);
    assert_eq!(count("target=/c,mode=0700", &[]), 1);
    assert_eq!(count("target=/c", &["--build-arg", "BUILDKIT_CACHE_MOUNT_NS=mine"]), 1);
    assert_eq!(count("target=/c,sharing=locked", &[]), 5);
    assert_eq!(count("target=/c,sharing=private", &[]), 6);
    assert!(env.ok(&["builder", "prune", "-af"]).lines().count() > 1);
    assert_eq!(count("target=/c", &[]), 1);
}

#[test]
fn a_cache_begins_with_what_it_is_asked_to() {
    let env = TestEnv::new().with_busybox();
    env.write("c/seed/s", "seed");
    let text = |file: &str, args: &[&str]| {
        built(&env, &format!("{file} | tee /n\n"), args);
        env.ok(&["run", "--rm", "made", "cat", "/n"])
    };
    // The last stage runs anew. A base that ran anew is another one as soon as the second on its
    // files is, so it's kept.
    let again = ["--no-cache-filter", "last"];
    let stage = "FROM busybox AS base\nRUN mkdir -p /d/e && echo one > /d/e/f && chown 7:8 /d/e/f\nFROM busybox AS last\n";
    let file = format!(
        "{stage}RUN --mount=type=cache,from=base,source=/d/e,target=/c stat -c '%u:%g %n' /c/*; echo more >> /c/f; cat /c/f"
    );
    assert_eq!(text(&file, &again), "one\nmore\n");
    assert_eq!(text(&file, &again), "one\nmore\nmore\n");
    // Another base is another cache.
    assert_eq!(text(&file.replace("echo one", "echo two"), &again), "two\nmore\n");
    assert_eq!(text(&file, &again), "one\nmore\nmore\nmore\n");
    let file = format!(
        "{stage}RUN --mount=type=cache,from=base,source=/d,target=/c,uid=9 stat -c '%u:%g' /c /c/e/f"
    );
    // What comes from a base has its owners.
    assert_eq!(text(&file, &[]), "0:0\n7:8\n");
    let file = "FROM busybox\nRUN --mount=type=cache,from=named,target=/c cat /c/s";
    assert_eq!(text(file, &["--build-context", "named=c/seed"]), "seed");
    let file = "FROM busybox\nRUN --mount=type=cache,target=/c,mode=1770,uid=3,gid=4 stat -c '%a %u:%g' /c";
    assert_eq!(text(file, &[]), "1770 3:4\n");
    let file = "FROM busybox\nRUN --mount=type=cache,target=/c/ro,ro --mount=type=cache,target=/c/ro/deep touch /c/ro/deep/x && ! touch /c/ro/x 2>/dev/null && echo nested";
    fails(&env, &format!("{file}\n"), &[], "");
    let file = "FROM busybox\nRUN --mount=type=cache,target=/c,ro ! touch /c/x 2>/dev/null && echo read-only";
    assert_eq!(text(file, &[]), "read-only\n");
    let file = "FROM busybox\nRUN --mount=type=cache,target=/c --mount=type=cache,target=/c/deep touch /c/deep/x && ls /c/deep";
    assert_eq!(text(file, &[]), "x\n");
    // One cache in two places of one step, alone or not.
    let file = "FROM busybox\nRUN --mount=type=cache,id=i,target=/a,sharing=locked --mount=type=cache,id=i,target=/b,sharing=locked touch /a/x && ls /b";
    assert_eq!(text(file, &[]), "x\n");
    let link = "FROM busybox AS base\nRUN ln -s / /escape\nFROM busybox\n";
    fails(
        &env,
        &format!("{link}RUN --mount=type=cache,from=base,source=/escape/../../nosuch,target=/c true\n"),
        &[],
        "not found",
    );
}

#[test]
fn sharing_decides_who_waits() {
    let env = TestEnv::new().with_busybox();
    // Two stages side by side: each notes when it begins and ends. Where none has to wait for the other, each stays until
    // the other has come.
    let file = |sharing: &str| {
        let meet = match sharing {
            "locked" => "sleep 1",
            _ => "until [ -e /m/a ] && [ -e /m/b ]; do sleep 0.05; done",
        };
        let stage = |name: &str| {
            format!(
                "FROM busybox AS {name}\nRUN --mount=type=cache,id={sharing},target=/c,sharing={sharing} \
                 --mount=type=cache,id=meet-{sharing},target=/m \
                 echo + >> /c/log; touch /m/{name}; {meet}; echo - >> /c/log; cp /c/log /{name}\n"
            )
        };
        format!("{}{}FROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n", stage("a"), stage("b"))
    };
    let logs = |sharing: &str| {
        built(&env, &file(sharing), &[]);
        let mut logs: Vec<String> = ["/a", "/b"]
            .iter()
            .map(|path| env.ok(&["run", "--rm", "made", "cat", path]).replace('\n', ""))
            .collect();
        logs.sort();
        logs
    };
    assert_eq!(logs("locked"), ["+-", "+-+-"]);
    assert_eq!(logs("private"), ["+-", "+-"]);
    let shared = logs("shared");
    assert!(shared.iter().all(|log| log.starts_with("++-")), "{shared:?}");
}

#[test]
fn waiting_for_a_locked_cache_can_be_stopped() {
    let env = TestEnv::new().with_busybox();
    env.write(
        "c/Dockerfile",
        "FROM busybox\nRUN --mount=type=cache,target=/c,sharing=locked echo got it; sleep 300\n",
    );
    let start = || {
        env.skiff(&["build", "--no-cache", "--progress=plain", "c"]).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut first = start();
    let mut stderr = first.stderr.take().unwrap();
    let mut said = String::new();
    while !said.contains("got it\n") || !said.contains("0.") {
        let mut buffer = [0; 1024];
        let count = stderr.read(&mut buffer).unwrap();
        assert!(count > 0, "{said}");
        said.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    let mut second = start();
    // It takes signals as soon as it says something, and comes to the lock soon after.
    let mut byte = [0];
    second.stderr.as_mut().unwrap().read_exact(&mut byte).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let signal = |child: &std::process::Child| {
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    };
    let began = Instant::now();
    signal(&second);
    let second = second.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(200));
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(second.status.code() == Some(130) && !text.contains("0.1 got it"), "{:?} {text}", second.status);
    signal(&first);
    std::io::copy(&mut stderr, &mut std::io::sink()).unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(130));
}

#[test]
fn tmpfs_is_memory_of_the_size_that_is_asked_for() {
    let env = TestEnv::new().with_busybox();
    let image = built(
        &env,
        "FROM busybox\nRUN --mount=type=tmpfs,target=/t,size=2m grep ' /t tmpfs' /proc/mounts > /n; \
         dd if=/dev/zero of=/t/x bs=1M count=3 2>/dev/null || echo full >> /n; ls /t\n\
         RUN --mount=type=tmpfs,target=/tmp/deep/er touch /tmp/deep/er/x\n",
        &[],
    );
    assert_eq!(added(&image), ["n"]);
    assert!(!image.tree.contains_key("tmp/deep"));
    let text = env.ok(&["run", "--rm", "made", "cat", "/n"]);
    assert!(text.contains("size=2048k") && text.contains("nosuid") && text.ends_with("full\n"), "{text}");
}

#[test]
fn secrets_are_seen_and_leave_no_trace() {
    let env = TestEnv::new().with_busybox();
    env.write("secret", "hunter2");
    let file = "FROM busybox\n\
        RUN --mount=type=secret,id=s set -e; cat /run/secrets/s | md5sum > /sum; stat -c '%a %u:%g' /run/secrets/s > /st\n\
        RUN --mount=type=secret,id=s,target=/deep/er/f,mode=0444,uid=5,gid=6 stat -c '%a %u:%g' /deep/er/f >> /st; \
            grep ' /deep/er/f ' /proc/mounts | cut -d' ' -f4 > /options\n\
        RUN --mount=type=secret,id=s,env=TOKEN printf %s \"$TOKEN\" | md5sum >> /sum; ls /run/secrets 2>&1 >> /st || true\n\
        RUN --mount=type=secret,id=s,env=TOKEN,target=/both printf %s \"$TOKEN\" | cmp - /both\n\
        RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent\n\
        RUN --mount=type=secret,id=absent,env=NONE test \"[${NONE-unset}]\" = \"[]\"\n\
        RUN --mount=type=secret,target=/x/s md5sum /x/s >> /sum\n\
        RUN --mount=type=secret,source=s md5sum /run/secrets/s >> /sum\n";
    let args = ["--secret", "id=s,src=secret"];
    let image = built(&env, file, &args);
    assert_eq!(added(&image), ["options", "st", "sum"]);
    let text = |path: &str| env.ok(&["run", "--rm", "made", "cat", path]);
    let sums = text("/sum");
    assert_eq!(sums.matches("2ab96390c7dbe3439de74d0c9b0b1767").count(), 4, "{sums}");
    assert_eq!(text("/st"), "400 0:0\n444 5:6\n");
    let options = text("/options");
    assert!(
        ["ro", "nosuid", "nodev", "noexec"].iter().all(|o| options.trim().split(',').any(|x| x == *o)),
        "{options}"
    );
    // The value is in no key, log, config, history, record or layer.
    env.write("secret", "another");
    let again = said(&env, file, &args);
    assert_eq!(again.matches("CACHED").count(), 8, "{again}");
    let store = Command::new("grep").args(["-rlE", "hunter2|another"]).arg(env.store()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&store.stdout), "");
    fails(&env, "FROM busybox\nRUN --mount=type=secret,id=no,required true\n", &[], "secret no: not found");
    fails(&env, "FROM busybox\nRUN --mount=type=secret true\n", &[], "one of source, target required");
    let shown = said(
        &env,
        "FROM busybox\nENV T=plain\nRUN --mount=type=secret,id=s,env=T echo ${T} >/dev/null\n",
        &args,
    );
    assert!(shown.contains("RUN --mount=type=secret,id=s,env=T echo ****"), "{shown}");
}

#[test]
fn secrets_come_from_files_and_variables() {
    let env = TestEnv::new().with_busybox();
    let file = "FROM busybox\nRUN --mount=type=secret,id=S,env=V printf %s \"$V\" | od -An -tx1 | tr -d ' \\n' | tee /n\n";
    env.write("S", "file");
    env.write("c/Dockerfile", file);
    let hex = |secret: &str, variables: &[(&str, &std::ffi::OsStr)]| {
        let args = ["build", "--no-cache", "--progress=plain", "-t", "made", "--secret", secret, "c"];
        let ran = env.skiff(&args).envs(variables.iter().copied()).output().unwrap();
        assert!(ran.status.success(), "{secret}: {}", String::from_utf8_lossy(&ran.stderr));
        env.ok(&["run", "--rm", "made", "cat", "/n"])
    };
    use std::os::unix::ffi::OsStrExt as _;
    let value = std::ffi::OsStr::new("v");
    assert_eq!(hex("id=S", &[]), "66696c65");
    assert_eq!(hex("id=S", &[("S", value)]), "76");
    assert_eq!(hex("id=S,type=file", &[("S", value)]), "66696c65");
    assert_eq!(hex("id=S,env=W", &[("W", value)]), "76");
    assert_eq!(hex("type=env,id=S,src=W", &[("W", value)]), "76");
    assert_eq!(hex("id=S,source=S", &[]), "66696c65");
    assert_eq!(hex("id=S,env=W", &[("W", std::ffi::OsStr::from_bytes(b"\xff\xfe\n\x01"))]), "fffe0a01");
    env.write("zero", b"a\0b");
    fails(&env, file, &["--no-cache", "--secret", "id=S,src=zero"], "holds a zero byte");
    env.write("large", vec![b'x'; (500 << 10) + 1]);
    fails(&env, file, &["--no-cache", "--secret", "id=S,src=large"], "secret S: more than 500 KiB");
    for (secret, text) in [
        ("src=S", "id is missing"),
        ("id=S,src=nosuch", "nosuch"),
        ("id=S,tpye=env", "unexpected key 'tpye'"),
        ("id=S,type=vault", "type"),
        ("S", "invalid field 'S' must be a key=value pair"),
    ] {
        fails(&env, file, &["--secret", secret], text);
    }
}

/// A socket that answers every connection with what it was sent, in capitals.
fn echo(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut text = String::new();
            let _ = stream.read_to_string(&mut text);
            let _ = stream.write_all(text.to_uppercase().as_bytes());
        }
    });
}

#[test]
fn agents_are_forwarded() {
    let env = TestEnv::new().with_debian();
    let socket = env.work().join("socket");
    echo(&socket);
    let ask = "perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!; \
               print $s \"hello\"; $s->flush; shutdown($s, 1); print <$s>'";
    let file = format!(
        "FROM debian:bookworm\n\
         RUN --mount=type=ssh {ask} $SSH_AUTH_SOCK > /a; echo \" $SSH_AUTH_SOCK\" >> /a; stat -c '%a %u:%g' $SSH_AUTH_SOCK >> /a\n\
         RUN --mount=type=ssh,id=two,target=/sock/et,mode=0666,uid=3,gid=4 {ask} /sock/et > /b; stat -c ' %a %u:%g' /sock/et >> /b\n\
         RUN --mount=type=ssh --mount=type=ssh,id=two ls /run/buildkit >> /b\n\
         RUN --mount=type=ssh,id=none test -z \"$SSH_AUTH_SOCK\"\n\
         ENV SSH_AUTH_SOCK=/mine\nRUN --mount=type=ssh test $SSH_AUTH_SOCK = /mine\n"
    );
    env.write("c/Dockerfile", &file);
    let two = format!("two={}", socket.display());
    let args = ["build", "-t", "made", "--ssh", "default", "--ssh", &two, "c"];
    env.run_with(&args, &[("SSH_AUTH_SOCK", socket.to_str().unwrap())]).success();
    assert_eq!(
        env.ok(&["run", "--rm", "made", "cat", "/a", "/b"]),
        "HELLO /run/buildkit/ssh_agent.0\n600 0:0\nHELLO 666 3:4\nssh_agent.0\nssh_agent.1\n"
    );
    env.ok(&["save", "-o", "made.tar", "made"]);
    let image = support::image::read(&env.work().join("made.tar"));
    assert!(!image.tree.keys().any(|path| path.starts_with("run/buildkit") || path.starts_with("sock")));
    fails(
        &env,
        "FROM debian:bookworm\nRUN --mount=type=ssh,required true\n",
        &[],
        "forwarded from the client",
    );
    fails(&env, "FROM debian:bookworm\n", &["--ssh", "default"], "make sure SSH_AUTH_SOCK is set");
    env.write("text", "no key");
    fails(&env, "FROM debian:bookworm\n", &["--ssh", "default=text"], "no private key found");
    fails(&env, "FROM debian:bookworm\n", &["--ssh", "default=nosuch"], "nosuch");
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says why")]
fn keys_make_an_agent() {
    if Command::new("ssh-keygen").arg("-?").stderr(Stdio::null()).status().is_err() {
        eprintln!("skipped: there is no ssh-keygen");
        return;
    }
    let env = TestEnv::new().with_debian();
    let mut listed = Vec::new();
    for (name, options) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("rsa-pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("rsa-pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa384-pem", &["-t", "ecdsa", "-b", "384", "-m", "PEM"]),
        ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
        ("ecdsa256-pkcs8", &["-t", "ecdsa", "-b", "256", "-m", "PKCS8"]),
    ] {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-C", name, "-f", name])
            .args(options)
            .current_dir(env.work())
            .status();
        assert!(made.unwrap().success(), "{name}");
        let public = std::fs::read_to_string(env.work().join(format!("{name}.pub"))).unwrap();
        listed.push((name, public.split(' ').nth(1).unwrap().to_owned()));
    }
    // Lists the agent's keys in base64, and has the first one sign.
    let ask = "use IO::Socket::UNIX; use MIME::Base64; my $s = IO::Socket::UNIX->new(Peer => $ENV{SSH_AUTH_SOCK}) or die $!;\n\
        sub ask { my $m = shift; print $s pack('N/a*', $m); $s->flush; read($s, my $l, 4) == 4 or die; read($s, my $b, unpack('N', $l)); $b }\n\
        my $list = ask(chr 11); my ($type, $count, $rest) = unpack('CNa*', $list); die unless $type == 12;\n\
        my $signed = 0;\n\
        for (1..$count) { my ($key, $comment); ($key, $comment, $rest) = unpack('N/a* N/a* a*', $rest);\n\
          print encode_base64($key, ''), \"\\n\"; my $answer = ask(chr(13) . pack('N/a* N/a* N', $key, 'data', 4));\n\
          $signed++ if ord($answer) == 14 }\n\
        print \"signed $signed\\n\"; print 'refused ', ord(ask(chr 19)), \"\\n\";\n";
    env.write("c/ask.pl", ask);
    env.write(
        "c/Dockerfile",
        "FROM debian:bookworm\nRUN --mount=type=ssh --mount=target=/c perl /c/ask.pl > /n\n",
    );
    let keys: Vec<&str> = listed.iter().map(|(name, _)| *name).collect();
    let ssh = format!("default={}", keys.join(","));
    env.run(&["build", "--progress=plain", "-t", "made", "--ssh", &ssh, "c"]).success();
    let expected: String = listed.iter().map(|(_, public)| format!("{public}\n")).collect();
    assert_eq!(env.ok(&["run", "--rm", "made", "cat", "/n"]), format!("{expected}signed 8\nrefused 5\n"));
    Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "hunter2", "-f", "locked"])
        .current_dir(env.work())
        .status()
        .unwrap();
    fails(&env, "FROM debian:bookworm\n", &["--ssh", "default=locked"], "passphrase protected");
    fails(&env, "FROM debian:bookworm\n", &["--ssh", "default=locked.pub"], "no private key found");
}
