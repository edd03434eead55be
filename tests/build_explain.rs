//! `build --explain`: why steps run, by name and value; `--explain=FILE`: what an edit would run again.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use support::TestEnv;

const FILE: &str = "\
FROM busybox AS build
ARG V=1
ENV MODE=dev
COPY req /req
RUN cat /req
COPY src /src
RUN --mount=type=bind,source=tools,target=/t ls /t; echo $V > /out
FROM busybox
COPY --from=build /out /out
RUN echo $MODE; cat /out
CMD [\"sh\"]
";

struct App {
    env: TestEnv,
    context: String,
}

impl App {
    fn new() -> Self {
        let env = TestEnv::new().with_busybox();
        for (path, text) in [
            ("app/Dockerfile", FILE),
            ("app/req", "r\n"),
            ("app/src/a", "a\n"),
            ("app/src/b", "b\n"),
            ("app/tools/t", "t\n"),
            ("app/.dockerignore", "*.log\n"),
        ] {
            env.write(path, text);
        }
        let context = env.work().join("app").display().to_string();
        let app = Self { env, context };
        app.build(&[]);
        app
    }

    fn build(&self, flags: &[&str]) -> support::Ran {
        let words = [&["build", "--progress=quiet"], flags, &[self.context.as_str()]].concat();
        self.env.run(&words).success()
    }

    /// The explanation of the step whose line holds `name`, its lines without indent.
    fn explained(&self, name: &str, flags: &[&str]) -> Vec<String> {
        let text = self.build(&[&["--explain"], flags].concat()).stderr;
        let mut lines = text.lines().skip_while(|line| !line.contains(name) || line.starts_with(' '));
        let head = lines.next().unwrap_or_else(|| panic!("no {name} in\n{text}"));
        let rest = lines.take_while(|line| line.starts_with("    ")).map(str::trim);
        std::iter::once(head.split("  ").next().unwrap_or_default()).chain(rest).map(str::to_owned).collect()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        std::path::Path::new(&self.context).join(name)
    }
}

#[test]
fn nothing_changed_is_a_hit_for_every_step() {
    let app = App::new();
    let text = app.build(&["--explain"]).stderr;
    let steps: Vec<&str> = text.lines().collect();
    assert_eq!(steps.len(), 6, "{text}");
    assert!(steps.iter().all(|line| line.starts_with("hit   [")), "{text}");
}

#[test]
fn a_copy_names_changed_new_and_gone_files() {
    let app = App::new();
    fs::write(app.path("src/a"), "longer\n").expect("writable");
    fs::write(app.path("src/new"), "n").expect("writable");
    fs::remove_file(app.path("src/b")).expect("there");
    let told = app.explained("COPY src", &[]);
    assert_eq!(told[0], "miss");
    assert!(told[1].starts_with("file a: size was 2, is 7; content was "), "{told:?}");
    assert!(told[2].starts_with("file new: new, file 0644 0:0, 1 bytes, "), "{told:?}");
    assert!(told[3].starts_with("file b: gone, was file 0644 0:0, 2 bytes, "), "{told:?}");
    assert_eq!(told.len(), 4, "{told:?}");
}

#[test]
fn a_mode_is_told_with_both_values_and_a_run_names_the_step_below_it() {
    let app = App::new();
    fs::set_permissions(app.path("req"), fs::Permissions::from_mode(0o755)).expect("ours");
    let words = ["build", "--progress=quiet", "--explain", &app.context];
    let text = app.env.run(&words).success().stderr;
    assert!(text.contains("        file req: mode was 0644, is 0755\n"), "{text}");
    let parent = "        parent: [build 2/5] COPY req /req gives something else: was ";
    assert!(text.contains(parent), "{text}");
}

#[test]
fn a_run_names_variables_and_files_of_mounts() {
    let app = App::new();
    assert_eq!(app.explained("RUN cat", &["--build-arg", "V=2"])[1], r#"env V: was "1", is "2""#);
    let told = app.explained("RUN cat", &[]);
    assert_eq!(told, ["hit"]);
    fs::write(app.path("tools/t"), "other\n").expect("writable");
    let told = app.explained("RUN --mount", &[]);
    assert!(told[1].starts_with("mount 0 file t: size was 2, is 6; content was "), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn a_command_and_an_unknown_step_are_told() {
    let app = App::new();
    fs::write(app.path("Dockerfile"), FILE.replace("cat /req", "wc /req")).expect("writable");
    assert_eq!(app.explained("RUN wc", &[])[1], r#"command 2: was "cat /req", is "wc /req""#);
    fs::write(app.path("Dockerfile"), FILE.replace("FROM busybox\n", "FROM busybox\nWORKDIR /new/place\n"))
        .expect("writable");
    let told = app.explained("WORKDIR", &["--no-cache-filter", "nothing"]);
    assert_eq!(told[0], "miss");
    let told = app.explained("RUN cat", &["--no-cache"]);
    assert_eq!(told, ["miss", "it was to run whatever is known (--no-cache)"]);
}

#[test]
fn explanations_are_data_too() {
    let app = App::new();
    fs::write(app.path("src/a"), "longer\n").expect("writable");
    let ran = app.build(&["--explain", "--explain-format=json"]);
    let steps: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(steps.len(), 6, "{}", ran.stdout);
    let copy = steps.iter().find(|one| one["step"] == "[build 4/5] COPY src /src").expect("the copy");
    assert_eq!((&copy["cached"], &copy["reason"]), (&false.into(), &"differs".into()), "{copy}");
    assert_eq!(copy["parent"], "[build 3/5] RUN cat /req");
    let fields = copy["differences"].as_array().expect("a list");
    let file = fields.iter().find(|one| one["field"] == "file a").expect("the file");
    assert!(file["before"].as_str().is_some_and(|text| text.starts_with("file 0644 0:0 2 ")), "{file}");
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
}

/// The words in front of the steps of the prediction.
fn words(text: &str) -> Vec<&str> {
    let steps = text.lines().filter(|line| line.starts_with("  ") && line.contains("  ["));
    steps.map(|line| line.trim().split(' ').next().unwrap_or_default()).collect()
}

#[test]
fn an_edit_of_a_file_is_predicted_and_comes_true() {
    let app = App::new();
    let file = app.path("src/a").display().to_string();
    let told = app.env.ok(&["build", &format!("--explain={file}"), &app.context]);
    assert!(told.starts_with("edit of src/a\n"), "{told}");
    assert_eq!(words(&told), ["cached", "cached", "again", "again", "maybe", "maybe"], "{told}");
    // Nothing ran: all is a hit still.
    assert!(!app.build(&["--explain"]).stderr.contains("miss"));
    fs::write(app.path("src/a"), "edited\n").expect("writable");
    let text = app.build(&["--explain"]).stderr;
    let came: Vec<&str> = text.lines().filter(|l| !l.starts_with(' ')).map(|l| &l[..4]).collect();
    // What the command makes is the same as before, so the other stage stays known.
    assert_eq!(came, ["hit ", "hit ", "miss", "miss", "hit ", "hit "], "{text}");
}

#[test]
fn files_that_no_step_uses_run_nothing() {
    let app = App::new();
    for (name, head) in [
        ("src/x.log", "edit of src/x.log (not there yet)\n  no step runs again\n"),
        ("x.log", "edit of x.log (left out by the ignore file)\n  no step runs again\n"),
        ("other", "edit of other (not there yet)\n  no step runs again\n"),
    ] {
        let told = app.env.ok(&["build", &format!("--explain={name}"), &app.context]);
        let known = told.starts_with(head) || (name == "src/x.log" && words(&told)[2] == "again");
        assert!(known, "{name}: {told}");
    }
    let ran = app.env.run(&["build", "--explain=/etc/hostname", &app.context]).fails_with(1);
    assert!(
        ran.stderr.contains("/etc/hostname is neither the Dockerfile nor in the context"),
        "{}",
        ran.stderr
    );
}

#[test]
fn edits_of_the_dockerfile_are_predicted_by_line() {
    let app = App::new();
    let file = app.path("Dockerfile").display().to_string();
    for (line, steps) in [
        (1, &["again", "again", "again", "again", "maybe", "maybe"][..]),
        (2, &["again", "maybe", "again", "maybe", "maybe"]),
        (7, &["again", "maybe", "maybe"]),
        (8, &["again", "again"]),
        (10, &["again"]),
        (11, &[]),
    ] {
        let told = app.env.ok(&["build", &format!("--explain={file}:{line}"), &app.context]);
        assert!(told.starts_with(&format!("edit of Dockerfile:{line}: ")), "{told}");
        assert_eq!(words(&told), steps, "{told}");
    }
    let all = app.env.ok(&["build", "--explain=Dockerfile", "--explain-format=json", &app.context]);
    let edits: Value = serde_json::from_str(&all).expect("a list");
    assert_eq!(edits.as_array().map(Vec::len), Some(11), "{all}");
    let ran = app.env.run(&["build", &format!("--explain={file}:99"), &app.context]).fails_with(1);
    assert!(ran.stderr.contains("no instruction at line 99"), "{}", ran.stderr);
}
