//! What an unchanged context costs: `cargo test --release --lib measure -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use super::*;
use crate::builder::context::DirectoryTree;
use crate::layers::{LayerSink, SinkOptions};
use crate::store::{Store, StoreOptions};

fn big_context(files: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for group in 0..files / 100 {
        let sub = dir.path().join(format!("src/module{}/part{}", group % 20, group));
        std::fs::create_dir_all(&sub).expect("directories");
        for file in 0..100 {
            let text = format!("file {group} {file}\n").repeat(20 + file * 3);
            std::fs::write(sub.join(format!("file{file}.rs")), text).expect("a file");
        }
    }
    dir
}

struct Times {
    open: Duration,
    select: Duration,
    digest: Duration,
    write: Duration,
    save: Duration,
    /// Processor time until the key was known.
    key_processor: Duration,
}

/// Processor time of this process so far, user and system.
fn processor() -> Duration {
    use nix::sys::time::TimeValLike as _;
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).expect("it is ours");
    let total = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(total).expect("time is positive"))
}

fn pass(dir: &Path, store: &Store, scratch: &Path, ignore: &[&str]) -> (Times, [u8; 32]) {
    let (start, began) = (Instant::now(), processor());
    let root = Root::open(dir).expect("it exists");
    let index = store.context_index(&root, dir).expect("readable");
    let matcher = PatternMatcher::new(ignore).expect("good");
    let directory = Arc::new(DirectoryTree::context(root, matcher, Some(index)));
    let tree: Arc<dyn Tree> = Arc::clone(&directory) as Arc<dyn Tree>;
    let opened = start.elapsed();
    let request = request(&tree, &["."], "/app/");
    let selection = select(&request).expect("readable");
    let selected = start.elapsed();
    let digest = content_digest(&selection).expect("readable").digest;
    let digested = start.elapsed();
    let key_processor = processor() - began;
    let out = tempfile::tempdir_in(scratch).expect("a temporary directory");
    let spool = Root::open(out.path()).expect("it exists");
    let mut sink = LayerSink::create(&spool, SinkOptions { index: true }).expect("it is empty");
    write(&request, &selection, None, &spool, &mut sink).expect("it works");
    sink.finish().expect("it works");
    let written = start.elapsed();
    directory.save_index();
    let times = Times {
        open: opened,
        select: selected - opened,
        digest: digested - selected,
        write: written - digested,
        save: start.elapsed() - written,
        key_processor,
    };
    (times, digest)
}

#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "figures are for whoever runs it")]
fn twenty_thousand_files() {
    let context = big_context(20_000);
    let place = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&place.path().join("store"), &StoreOptions::default()).expect("a store");
    std::thread::sleep(Duration::from_millis(100));
    let ignore = ["**/*.pyc", "**/node_modules", ".git", "*.log", "!keep.log"];
    let mut digests = Vec::new();
    for (name, ignore) in [
        ("first", &[][..]),
        ("unchanged", &[]),
        ("unchanged", &[]),
        ("unchanged", &[]),
        ("unchanged", &[]),
        ("5 patterns", &ignore),
    ] {
        let (t, digest) = pass(context.path(), &store, place.path(), ignore);
        digests.push(digest);
        eprintln!(
            "{name}: open {:?}, select {:?}, digest {:?}, write layer {:?}, save index {:?}; key in {:?}, processor {:?}",
            t.open,
            t.select,
            t.digest,
            t.write,
            t.save,
            t.open + t.select + t.digest,
            t.key_processor
        );
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}
