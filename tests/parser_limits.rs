//! Hostile and huge Dockerfiles: refused or read in linear time, without depth on the stack.

use std::time::{Duration, Instant};

use skiff::parser::instruction::InstructionKind;
use skiff::parser::{ParseError, Problem, Source, Span, excerpt, parse, parse_trigger, print};

/// Parses in a thread with little stack and returns the result with the time it took.
fn timed(text: String) -> (Result<usize, ParseError>, Duration) {
    let work = move || {
        let source = Source::new("Dockerfile", text);
        let start = Instant::now();
        let result = parse(&source).map(|file| file.instructions.len());
        (result, start.elapsed())
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(work).expect("a thread");
    thread.join().expect("the parser does not panic")
}

/// Generous for a debug build on a loaded machine; quadratic work takes minutes.
const SOON: Duration = Duration::from_secs(30);

fn refused(text: String, problem: Problem, span: Option<Span>) {
    let (result, time) = timed(text);
    assert_eq!(result.map_err(|error| (error.problem, error.span)), Err((problem, span)));
    assert!(time < SOON, "{time:?}");
}

fn read(text: String, instructions: usize) {
    let (result, time) = timed(text);
    assert_eq!(result, Ok(instructions));
    assert!(time < SOON, "{time:?}");
}

#[test]
fn a_line_of_ten_megabytes_is_refused_at_its_line() {
    let line = "x".repeat(10 << 20);
    for text in [
        format!("FROM a\nRUN echo {line}\n"),
        format!("FROM a\n{line}"),
        format!("FROM a\n# {line}\n"),
        format!("FROM a\nRUN \\\n{line}\n").replacen("RUN \\\n", "RUN ", 1),
    ] {
        refused(text.clone(), Problem::LineTooLong, Some(Span::line(2)));
        let shown = excerpt(&Source::new("Dockerfile", text), Span::line(2));
        assert!(shown.len() < 5000, "{} bytes are shown", shown.len());
    }
    refused(format!("FROM a\nCOPY <<EOF /x\n{line}\nEOF\n"), Problem::LineTooLong, Some(Span::line(3)));
    let message = ParseError::new(Problem::LineTooLong, None).to_string();
    assert_eq!(message, "dockerfile line greater than max allowed size of 65535");
}

#[test]
fn the_longest_line_is_read_and_one_more_byte_is_not() {
    let line = |length: usize| format!("FROM a\nRUN {}\n", "y".repeat(length - 4));
    read(line(65_535), 2);
    refused(line(65_536), Problem::LineTooLong, Some(Span::line(2)));
}

#[test]
fn a_hundred_thousand_instructions_are_read() {
    read(format!("FROM a\n{}", "ENV a=b\n".repeat(100_000)), 100_001);
    read(format!("FROM a\n{}", "RUN --mount=type=cache,target=/x [\"a\", \"b\"]\n".repeat(100_000)), 100_001);
    read("FROM a AS b\n".repeat(100_000), 100_000);
    read(format!("FROM a\n{}", "COPY <<A <<B /x\nA\nB\n".repeat(100_000)), 100_001);
}

#[test]
fn a_logical_line_may_be_endless() {
    read(format!("FROM a\nENV {}\n", "k=v \\\n".repeat(200_000)), 2);
    read(format!("FROM a\nRUN x {}\n", "\\\n# comment\n\n".repeat(200_000)), 2);
    read(format!("FROM a\nRUN {}", "\\\n".repeat(200_000)), 2);
    read(format!("FROM a\nCOPY {} /d\n", "word \\\n".repeat(200_000)), 2);
    read(format!("FROM a\nRUN {} x\n", "--mount=target=/x \\\n".repeat(100_000)), 2);
    read(format!("{}FROM a\n", "# a comment\n".repeat(500_000)), 1);
}

#[test]
fn openers_without_end_are_refused() {
    let many = format!("FROM a\nRUN {}\n", "<<A \\\n".repeat(100_000));
    let lines = 100_002;
    refused(many, Problem::UnterminatedHeredoc, Some(Span { first: 2, last: lines }));
}

#[test]
fn depth_costs_no_stack() {
    read(format!("FROM a\nRUN {}\n", "[".repeat(60_000)), 2);
    refused(
        format!("FROM a\nRUN {}{}\n", "[".repeat(30_000), "]".repeat(30_000)),
        Problem::NotStrings,
        Some(Span::line(2)),
    );
    let deep = format!("FROM a\nRUN [{}\n", "{\"a\":\\\n".repeat(500_000));
    read(deep, 2);
    refused(
        format!("FROM a\n{}RUN x\n", "ONBUILD ".repeat(8_000)),
        Problem::ChainedOnbuild,
        Some(Span::line(2)),
    );
    assert!(parse_trigger(&"ONBUILD ".repeat(100_000)).is_err());
}

#[test]
fn instructions_beyond_a_line_survive_printing() {
    let words = "word # \\\\ \"quoted\" \\\n  ".repeat(20_000);
    let source = Source::new("Dockerfile", format!("FROM a\nRUN {words}end\n"));
    let file = parse(&source).expect("a long instruction");
    let again = parse(&Source::new("printed", print(&file))).expect("printed text parses");
    let kinds = |file: &skiff::parser::Dockerfile| -> Vec<InstructionKind> {
        file.instructions.iter().map(|i| i.kind.clone()).collect()
    };
    assert!(kinds(&file) == kinds(&again), "the long command changed");
}
