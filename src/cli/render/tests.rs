//! Recorded events through the renderers.

use std::time::{Duration, SystemTime};

use super::plain::Plain;
use super::tail::Steps;
use super::{Renderer as _, clean};
use crate::progress::{Event, Outcome, Reporter as _, Stream};

fn events() -> Vec<Event> {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    let at = |millis: u64| start + Duration::from_millis(millis);
    let log =
        |id, text: &str, ms| Event::VertexLog { id, stream: Stream::Stdout, data: text.into(), at: at(ms) };
    vec![
        Event::Planned { total: 4 },
        Event::VertexCached { id: 1, name: "[1/3] FROM busybox".to_owned() },
        Event::VertexStarted { id: 2, name: "[2/3] RUN one".to_owned(), at: at(0) },
        Event::VertexStarted { id: 3, name: "[3/3] RUN two\nlines".to_owned(), at: at(100) },
        log(2, "first\nsec", 200),
        log(3, "other\n", 300),
        log(2, "ond\nunfinished", 400),
        Event::VertexDone { id: 2, at: at(500), outcome: Outcome::Done },
        Event::VertexDone { id: 3, at: at(600), outcome: Outcome::Failed("exit code: 1".to_owned()) },
    ]
}

#[test]
fn plain_lines_are_blocks_of_steps() {
    let plain = Plain::new(Vec::new(), super::Look::default());
    events().into_iter().for_each(|event| plain.report(event));
    plain.finish();
    let failed = plain.failed_logs().unwrap();
    assert_eq!(
        (failed.name.as_str(), failed.lines),
        ("[3/3] RUN two\nlines", vec!["0.200 other".to_owned()])
    );
    let text = String::from_utf8(plain.into_inner()).unwrap();
    assert_eq!(
        text,
        "#1 [1/3] FROM busybox\n#1 CACHED\n\n\
         #2 [2/3] RUN one\n#2 0.200 first\n#2 ...\n\n\
         #3 [3/3] RUN two lines\n#3 0.200 other\n#3 ...\n\n\
         #2 [2/3] RUN one\n#2 0.400 second\n#2 0.500 unfinished\n#2 DONE 0.5s\n\n\
         #3 [3/3] RUN two lines\n#3 ERROR: exit code: 1\n\n"
    );
}

#[test]
fn endless_output_is_clipped() {
    let mut steps = Steps::default();
    let now = SystemTime::now();
    steps.apply(Event::VertexStarted { id: 1, name: "x".to_owned(), at: now });
    let mut shown = 0;
    for _ in 0..100 {
        let data = vec![b'x'; 100_000];
        let event = Event::VertexLog { id: 1, stream: Stream::Stdout, data, at: now };
        if let super::tail::Change::Lines(_, lines) = steps.apply(event) {
            shown += lines.iter().map(|(_, line)| line.len()).sum::<usize>();
        }
    }
    assert!((2 << 20) - 200_000 < shown && shown < (2 << 20) + 1000, "{shown}");
}

#[test]
fn hostile_text_is_harmless() {
    for (bytes, shown) in [
        (&b"plain\ttext"[..], "plain\ttext"),
        (b"\x1b[2J\x1b[Hgone", "gone"),
        (b"\x1b]0;title\x07text", "text"),
        (b"\x1b]8;;http://x\x1b\\link", "link"),
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"10%\r20%\r", "20%"),
        (b"bad \xff utf", "bad \u{fffd} utf"),
        (b"bell\x07 back\x08 null\x00", "bell back null"),
        ("a\u{202e}b".as_bytes(), "ab"),
    ] {
        assert_eq!(clean::line(bytes, false), shown);
    }
    assert_eq!(clean::line(b"\x1b[31mred", true), "\x1b[31mred\x1b[0m");
}
