use std::time::Instant;

use super::support::{Bench, can_run, chain};
use crate::builder::{Input, Reason};
use crate::image::Reference;
use crate::progress::{Event, Outcome};
use crate::store::LayerForm;

#[test]
fn a_first_build_from_nothing() {
    let mut bench = Bench::new();
    bench.write("a", "one\n");
    let outcome = bench.build("FROM scratch\nCOPY a /x/\nENV k=v\nCMD [\"/x/a\"]\n");
    let config = bench.config(&outcome);
    assert_eq!(bench.names(&outcome, 0), ["x", "x/a"]);
    assert_eq!(config.config.cmd, Some(vec!["/x/a".to_owned()]));
    assert_eq!(config.history.len(), 3);
    assert!(config.created.is_some() && config.created == config.history[0].created);
    assert_eq!(bench.store.image(outcome.image).unwrap().unwrap().manifest, outcome.manifest);
}

#[test]
fn both_forms_of_layers_give_the_same_image() {
    if !can_run() {
        return;
    }
    let text = "ARG SOURCE_DATE_EPOCH=1700000000\nFROM busybox\nCOPY . /in\nWORKDIR /w/v\nRUN cat /in/a > b && rm /in/a\nFROM busybox\nCOPY --from=0 /w /x\n";
    let mut results = Vec::new();
    for form in [LayerForm::Index, LayerForm::Directory] {
        let mut bench = Bench::with_form(Some(form));
        if form == LayerForm::Index && bench.store.support().unwrap().erofs.is_err() {
            return;
        }
        bench.write("a", "text\n");
        bench.write("d/b", "more\n");
        let outcome = bench.build(text);
        results.push((bench.layer(&outcome, 1), bench.config(&outcome).history));
    }
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0].0["x/v/b"].3, "text\n");
}

#[test]
fn a_second_build_does_nothing_and_gives_the_same_image() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    bench.write("a", "1");
    let text = "FROM busybox AS b\nRUN echo hi > /f\nWORKDIR /w\nFROM busybox\nCOPY a /\nCOPY --from=b /f /g\nRUN cat /g\n";
    let first = bench.build(text);
    assert_eq!(bench.cached(), 0);
    let second = bench.build(text);
    assert_eq!(bench.cached(), 5);
    assert_eq!(first, second);
    assert!(bench.log().is_empty());
    assert!(bench.told.iter().all(|told| told.reason == Reason::Cached));
    let done = |event: &&Event| matches!(event, Event::VertexDone { outcome: Outcome::Done, .. });
    assert!(bench.events.iter().filter(done).count() >= 2);
}

#[test]
fn what_does_not_matter_changes_nothing_and_what_matters_is_explained() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    bench.write("d/a", "1");
    bench.write("d/b", "2");
    bench.build("FROM busybox\nRUN true\nCOPY d /d\nRUN ls /d\n");
    bench.write("d/a", "1");
    bench.build("FROM busybox\n# a comment\nLABEL l=1\nRUN true\nCOPY d /d/\nEXPOSE 1\nRUN ls /d\n");
    // `/d` and `/d/` mean the same here, but are two destinations.
    assert_eq!(bench.cached(), 1, "{:?}", bench.told);
    bench.build("FROM busybox\nRUN true\nCOPY d /d\nRUN ls /d\n");
    assert_eq!(bench.cached(), 3);
    bench.write("d/b", "3");
    bench.write("d/c", "4");
    bench.build("FROM busybox\nRUN true\nCOPY d /d\nRUN ls /d\n");
    assert_eq!(bench.cached(), 1);
    let reasons: Vec<&Reason> = bench.told.iter().map(|told| &told.reason).collect();
    assert_eq!(reasons[0], &Reason::Cached);
    let Reason::Differs(found) = reasons[1] else { panic!("{reasons:?}") };
    let fields: Vec<&str> = found.iter().map(|difference| difference.field.as_str()).collect();
    assert_eq!(fields, ["content", "file b", "file c"]);
    let Reason::Differs(found) = reasons[2] else { panic!("{reasons:?}") };
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].field, "parent");
}

#[test]
fn an_equal_result_cuts_the_rest_off() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    let text =
        |how: &str| format!("FROM busybox AS a\nRUN {how}\nFROM busybox\nCOPY --from=a /f /f\nRUN cat /f\n");
    bench.build(&text("echo x > /f"));
    bench.build(&text("printf 'x\\n' > /f"));
    assert_eq!(bench.cached(), 2, "the copy and what follows it");
}

#[test]
fn no_cache_runs_everything_or_one_stage() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    let text = "FROM busybox AS a\nRUN echo 1 > /f\nFROM busybox AS b\nRUN true\nCOPY --from=a /f /\n";
    bench.build(text);
    let mut options = bench.options(text);
    options.no_cache = true;
    bench.try_build(&options).unwrap();
    assert_eq!(bench.cached(), 0);
    options.no_cache = false;
    options.no_cache_filter = vec!["A".to_owned()];
    bench.try_build(&options).unwrap();
    assert_eq!(bench.cached(), 2);
}

#[test]
fn names_are_given_and_moved() {
    let mut bench = Bench::new();
    let mut options = bench.options("FROM busybox\nLABEL a=1\n");
    options.tags = vec![Reference::parse("x").unwrap(), Reference::parse("y:2").unwrap()];
    options.labels = vec![("a".to_owned(), "2".to_owned())];
    let outcome = bench.try_build(&options).unwrap();
    assert_eq!(bench.store.find("x").unwrap().target, outcome.manifest);
    assert_eq!(bench.store.find("y:2").unwrap().target, outcome.manifest);
    let config = bench.config(&outcome);
    assert_eq!(config.config.labels["a"], "2");
    assert_eq!(config.history.last().unwrap().created_by, "LABEL a=1");
}

#[test]
fn directories_are_made_for_the_user_and_kept_as_they_are() {
    let mut bench = Bench::new();
    bench.write("a", "");
    let outcome = bench.build(
        "FROM busybox\nUSER user\nWORKDIR /w/v\nUSER 7\nWORKDIR x\nWORKDIR /tmp\nWORKDIR /\nCOPY a .\nWORKDIR /bin\nCOPY a b\n",
    );
    let layer = bench.layer(&outcome, 1);
    assert_eq!(layer["w"], ('d', 0o755, (1000, 1001), String::new()));
    assert_eq!(layer["w/v"].2, (1000, 1001));
    assert_eq!(bench.layer(&outcome, 2)["w/v/x"].2, (7, 7));
    assert_eq!(bench.layer(&outcome, 2)["w/v"].2, (1000, 1001));
    assert!(bench.names(&outcome, 3).is_empty(), "an existing directory");
    assert_eq!(bench.names(&outcome, 4), ["a"]);
    assert_eq!(bench.names(&outcome, 6), ["bin", "bin/b"]);
    assert_eq!(bench.config(&outcome).config.working_dir, "/bin");
}

#[test]
fn sources_have_every_origin() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    bench.write("f", "from context");
    let text = "FROM scratch AS a\nCOPY f /sub/f\nFROM scratch\nCOPY --from=a /sub /a\nCOPY --from=busybox /etc/passwd /b\nCOPY --from=files f /c\nCOPY <<X /d\nn=$n\nX\nCOPY --link f /e/f\nADD --chmod=600 f /g\n";
    let mut options = bench.options(text);
    options.named_contexts.insert("files".to_owned(), Input::Tree(bench.context()));
    let outcome = bench.try_build(&options).map_err(|error| chain(&error)).unwrap();
    assert_eq!(bench.layer(&outcome, 0)["a/f"].3, "from context");
    assert!(bench.layer(&outcome, 1)["b"].3.starts_with("root:"));
    assert_eq!(bench.layer(&outcome, 2)["c"].3, "from context");
    assert_eq!(bench.layer(&outcome, 3)["d"].3, "n=\n");
    assert_eq!(bench.names(&outcome, 4), ["e", "e/f"]);
    assert_eq!(bench.layer(&outcome, 5)["g"].1, 0o600);
    bench.try_build(&options).unwrap();
    assert_eq!(bench.cached(), 7);
}

#[test]
fn a_failure_keeps_what_went_before() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    let error = bench.fail("FROM busybox\nRUN echo kept > /k\nRUN echo one; echo two >&2; exit 3\n");
    assert_eq!(
        error.to_string(),
        "process \"/bin/sh -c echo one; echo two >&2; exit 3\" did not complete successfully: exit code: 3"
    );
    assert_eq!(error.place.unwrap().span.first, 3);
    let step = error.step.unwrap();
    assert_eq!(step.name, "[3/3] RUN echo one; echo two >&2; exit 3");
    assert_eq!(step.output.len(), 2);
    bench.build("FROM busybox\nRUN echo kept > /k\nRUN true\n");
    assert_eq!(bench.cached(), 1);
}

#[test]
fn errors_of_steps_name_the_thing_and_the_line() {
    let mut bench = Bench::new();
    for (text, line, expected) in [
        (
            "FROM busybox\nCOPY nosuch /x\n",
            2,
            "failed to compute cache key: failed to calculate checksum of ref context: \"/nosuch\": not found",
        ),
        (
            "FROM busybox AS a\nFROM busybox\nCOPY --from=a /nosuch /x\n",
            3,
            "failed to compute cache key: failed to calculate checksum of ref a: \"/nosuch\": not found",
        ),
        (
            "FROM busybox\nRUN --mount=from=busybox,source=/nope,target=/x true\n",
            2,
            "failed to compute cache key",
        ),
        ("FROM busybox\nRUN --mount=type=secret,id=s,required=true true\n", 2, "secret s: not found"),
        (
            "FROM busybox\nRUN --mount=type=ssh,required=true true\n",
            2,
            "no SSH key \"default\" forwarded from the client",
        ),
        (
            "FROM busybox\nUSER nobody\nRUN true\n",
            3,
            "process \"/bin/sh -c true\" did not complete successfully: unable to find user nobody",
        ),
        (
            "FROM scratch\nRUN true\n",
            2,
            "process \"/bin/sh -c true\" did not complete successfully: exec: \"/bin/sh\"",
        ),
        ("FROM busybox\nWORKDIR /etc/passwd/x\n", 2, ""),
        (
            "# syntax=other/frontend\nFROM busybox\n",
            1,
            "the frontend image other/frontend cannot be run: the Dockerfile language itself is built in; --ignore-syntax",
        ),
        (
            "FROM busybox\nRUNN x\n",
            2,
            "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)",
        ),
    ] {
        let error = bench.fail(text);
        assert!(chain(&error).starts_with(expected), "{text}: {}", chain(&error));
        assert_eq!(error.place.map(|place| place.span.first), Some(line), "{text}");
    }
}

#[test]
fn twenty_known_steps_take_no_time() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    let mut text = "FROM busybox\nENV a=1\n".to_owned();
    for n in 0..10 {
        bench.write(&format!("f{n}"), "x");
        text += &format!("COPY f{n} /f{n}\nRUN echo {n} > /r{n}\n");
    }
    bench.build(&text);
    let mut best = u128::MAX;
    for _ in 0..5 {
        let options = bench.options(&text);
        let began = Instant::now();
        bench.try_build(&options).unwrap();
        best = best.min(began.elapsed().as_micros());
        assert_eq!(bench.cached(), 20);
    }
    // Without optimisation and beside other tests; a release build takes a fraction of it.
    assert!(best < 500_000, "{best} microseconds");
}

#[test]
fn an_epoch_dates_what_is_new() {
    let mut bench = Bench::new();
    bench.write("a", "");
    let mut options = bench.options("FROM scratch\nWORKDIR /w\nCOPY a .\nLABEL a=1\n");
    options.build_args.insert("SOURCE_DATE_EPOCH".to_owned(), "1000000000".to_owned());
    let outcome = bench.try_build(&options).unwrap();
    let config = bench.config(&outcome);
    assert!(config.history.iter().all(|entry| entry.created.as_deref() == Some("2001-09-09T01:46:40Z")));
    let mut other = Bench::new();
    other.write("a", "");
    std::fs::File::options()
        .write(true)
        .open(other.dir.path().join("context/a"))
        .unwrap()
        .set_modified(std::fs::metadata(bench.dir.path().join("context/a")).unwrap().modified().unwrap())
        .unwrap();
    let again = other.try_build(&options).unwrap();
    assert_eq!(outcome.image, again.image, "another store, the same image");
}

#[test]
fn two_builds_of_one_thing_run_it_once() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let text = "FROM busybox\nRUN sleep 0.3; cat /proc/sys/kernel/random/uuid > /u\n";
    let path = bench.store.path().to_owned();
    let ids: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut own = Bench::on(&path);
                    own.build(text).image
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn what_a_stopped_build_had_done_is_not_done_again() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    let cancel = bench.cancel.clone();
    // Nobody else sleeps for so long.
    let seconds = format!("3{:08}", std::process::id());
    let text = format!("FROM busybox\nRUN echo a > /a\nRUN sleep {seconds}\n");
    let thread = std::thread::spawn(move || {
        let sleeps = || {
            let lines = std::fs::read_dir("/proc").unwrap().flatten();
            let mut lines = lines.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
            lines.any(|line| line.windows(seconds.len()).any(|part| part == seconds.as_bytes()))
        };
        let limit = Instant::now() + std::time::Duration::from_secs(60);
        while !sleeps() && Instant::now() < limit {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        cancel.cancel();
    });
    let error = bench.fail(&text);
    thread.join().unwrap();
    assert!(error.is_cancelled());
    bench.cancel = crate::builder::Cancel::new();
    bench.build("FROM busybox\nRUN echo a > /a\nRUN true\n");
    assert_eq!(bench.cached(), 1);
}
