//! Properties of the parser over random Dockerfiles.

use proptest::prelude::*;
use skiff::parser::instruction::{Dockerfile, InstructionKind};
use skiff::parser::{Source, Span, excerpt, parse, parse_trigger, print, words};

/// Pieces that lines are made of; those with a meaning stand beside those without.
const PIECES: &[&str] = &[
    "a",
    "b=c",
    "=",
    "$x",
    "${y:-z}",
    "${",
    "}",
    "\"",
    "'",
    "\\",
    "`",
    " ",
    "\t",
    "  ",
    "#",
    "# c",
    "[",
    "]",
    "\"q\"",
    ", ",
    "[\"a\", \"b\"]",
    "[1]",
    "<<A",
    "<<-B",
    "<<'C'",
    "3<<\"D\"",
    "<<",
    "<",
    "A",
    "B",
    "C",
    "--",
    "--from=",
    "--mount=type=cache,target=/x",
    "--link",
    "--chown=a:b",
    "--interval=5s",
    "--platform=",
    "AS",
    "as",
    "NONE",
    "CMD",
    "/",
    ".",
    "\u{a0}",
    "é",
    "\r",
    "\u{b}",
    "\u{85}",
    "-",
    "&&",
    "escape=`",
    "80/tcp",
];

const KEYWORDS: &[&str] = &[
    "FROM",
    "RUN",
    "CMD",
    "COPY",
    "ADD",
    "ENV",
    "LABEL",
    "ARG",
    "EXPOSE",
    "VOLUME",
    "USER",
    "WORKDIR",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ONBUILD",
    "ONBUILD RUN",
    "ONBUILD COPY",
    "SHELL",
    "ENTRYPOINT",
    "MAINTAINER",
    "run",
    "Copy",
    "#",
    "A",
    "B",
    "",
    "\tC",
];

fn line() -> impl Strategy<Value = String> {
    let keyword = prop::sample::select(KEYWORDS);
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 0..8);
    let end = prop::sample::select(&["\n", "\n", "\n", "\\\n", " \\ \n", "`\n", "\r\n", "\n\n"][..]);
    (keyword, pieces, any::<bool>(), end).prop_map(|(keyword, pieces, spaced, end)| {
        format!("{keyword} {}{end}", pieces.join(if spaced { " " } else { "" }))
    })
}

/// Texts of which some parse: a good start, random lines, and what ends their heredocs.
fn dockerfile() -> impl Strategy<Value = String> {
    let start =
        prop::sample::select(&["", "# escape=`\n", "# syntax=x\n", "\u{feff}# check=skip=all\n", "\n"][..]);
    let from = prop::sample::select(&["FROM x\n", "ARG a=1\nFROM $a AS b\n", "# d\nfrom x\n", ""][..]);
    let end = prop::sample::select(&["", "\nA\nB\nC\nD\n", "\nB\nA\n", "\nC\n"][..]);
    (start, from, prop::collection::vec(line(), 1..6), end)
        .prop_map(|(start, from, lines, end)| format!("{start}{from}{}{end}", lines.concat()))
}

/// One instruction that is likely to parse, so that most cases reach the printer.
fn instruction() -> impl Strategy<Value = String> {
    let word = "[a-zA-Z0-9_./:$\"' \\\\{}=<-]{1,12}";
    prop_oneof![
        word.prop_map(|w| format!("RUN {w}\n")),
        word.prop_map(|w| format!("CMD {w}\n")),
        (word, word).prop_map(|(a, b)| format!("ENV A={a} B='{b}\n")),
        (word, word).prop_map(|(a, b)| format!("ENV {a} {b}\n")),
        (word, word).prop_map(|(a, b)| format!("COPY {a} {b} /x\n")),
        (word, word).prop_map(|(a, b)| format!("COPY --chown={a} --exclude={b} y /x\n")),
        prop::collection::vec(any::<String>(), 0..4)
            .prop_map(|words| format!("ENTRYPOINT {}\n", serde_json::to_string(&words).expect("strings"))),
        prop::collection::vec(any::<String>(), 2..4)
            .prop_map(|words| format!("COPY {}\n", serde_json::to_string(&words).expect("strings"))),
        ("[A-Z' \"\\\\-]{1,5}", "[a-z\t\n$]{0,20}").prop_map(|(n, b)| format!("COPY <<{n} /x\n{b}\n{n}\n")),
        ("[A-Z]{1,3}", "[a-z\t\n$#]{0,20}").prop_map(|(n, b)| format!("RUN <<-{n} cat\n{b}\n\t{n}\n")),
        ("[a-z-]{1,5}", "[a-z-]{1,5}").prop_map(|(n, b)| format!("COPY <<\"{n} {b}\" /x\n{b}\n{n} {b}\n")),
        word.prop_map(|w| format!("USER {w}\n")),
        word.prop_map(|w| format!("VOLUME {w}\n")),
        word.prop_map(|w| format!("HEALTHCHECK --interval=1m CMD {w}\n")),
        word.prop_map(|w| format!("ONBUILD RUN {w}\n")),
        word.prop_map(|w| format!("LABEL {w}={w}\n")),
        word.prop_map(|w| format!("EXPOSE {w} 80\n")),
    ]
}

fn likely() -> impl Strategy<Value = String> {
    (any::<bool>(), prop::collection::vec(instruction(), 1..5)).prop_map(|(backtick, lines)| {
        format!("{}FROM x\n{}", if backtick { "# escape=`\n" } else { "" }, lines.concat())
    })
}

fn essence(file: &Dockerfile) -> impl PartialEq + std::fmt::Debug {
    let directives = &file.directives;
    let value = |directive: &Option<(String, Span)>| directive.as_ref().map(|(value, _)| value.clone());
    let instructions: Vec<_> =
        file.instructions.iter().map(|i| (i.keyword.clone(), i.comments.clone(), i.kind.clone())).collect();
    (value(&directives.syntax), value(&directives.check), directives.escape, instructions)
}

/// Holds for every text, good or bad.
fn check(text: &str) -> Result<(), TestCaseError> {
    let source = Source::new("Dockerfile", text);
    let lines = source.line_count();
    let file = match parse(&source) {
        Ok(file) => file,
        Err(error) => {
            if let Some(span) = error.span {
                prop_assert!(1 <= span.first && span.first <= span.last && span.last <= lines, "{span:?}");
                prop_assert!(excerpt(&source, span).contains(">>>"));
            }
            return Ok(());
        }
    };
    let mut line = 0;
    for instruction in &file.instructions {
        let span = instruction.span;
        prop_assert!(line < span.first && span.first <= span.last && span.last <= lines);
        line = span.last;
        prop_assert!(instruction.text.starts_with(&instruction.keyword));
        if let InstructionKind::Onbuild(text) = &instruction.kind {
            let _ = parse_trigger(text);
        }
    }
    let printed = print(&file);
    match parse(&Source::new("printed", &*printed)) {
        Err(error) => prop_assert!(false, "{error}\n{text:?}\n{printed:?}"),
        Ok(again) => {
            prop_assert_eq!(essence(&again), essence(&file), "{:?}\n{:?}", text, &printed);
            prop_assert_eq!(print(&again), printed);
        }
    }
    Ok(())
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_lines(text in dockerfile()) {
        check(&text)?;
    }

    #[test]
    fn likely_instructions(text in likely()) {
        check(&text)?;
    }

    #[test]
    fn any_text_at_all(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn any_bytes_at_all(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        match Source::from_bytes("Dockerfile", &bytes) {
            Ok(source) => check(source.text())?,
            Err(error) => prop_assert!(std::str::from_utf8(&bytes).is_err() && error.span.is_some()),
        }
    }

    #[test]
    fn words_without_specials_stay(text in "[a-zA-Z0-9 =:/._-]*", backtick in any::<bool>()) {
        let escape = if backtick { '`' } else { '\\' };
        let expanded = words::expand(&text, escape, &|_| None).expect("nothing to expand");
        prop_assert_eq!(&expanded.value, &text);
        prop_assert!(expanded.unset.is_empty());
        let list = words::expand_list(&text, escape, &|_| None).expect("nothing to expand").0;
        prop_assert_eq!(list, text.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn single_quotes_protect(text in "[^']*", value in any::<String>()) {
        let env = |_: &str| Some(value.clone());
        let expanded = words::expand(&format!("'{text}'"), '\\', &env).expect("quoted");
        prop_assert_eq!(expanded.value, text);
    }

    #[test]
    fn expansion_never_panics(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..20),
        value in prop::option::of("[a-z*?/\\\\]{0,8}"),
        modifier in "(:?[-+?#%/=^]|##|%%|//)[a-z*?\\\\/]{0,6}/?[a-z]{0,2}",
    ) {
        let env = |_: &str| value.clone();
        let text = pieces.concat();
        let _ = words::expand(&text, '\\', &env);
        let _ = words::expand_list(&text, '`', &env);
        let _ = words::expand_heredoc(&text, &env);
        let _ = words::expand(&format!("{text}${{v{modifier}}}"), '\\', &env);
    }

    #[test]
    fn prefix_and_suffix_of_a_value(value in "[ab]{0,8}", pattern in "[ab*?]{0,5}") {
        let env = |name: &str| (name == "v").then(|| value.clone());
        let expand = |word: String| words::expand(&word, '\\', &env).expect("a good pattern").value;
        let matches = |text: &str| glob(pattern.as_bytes(), text.as_bytes());
        let ends: Vec<usize> = (0..=value.len()).filter(|end| matches(&value[..*end])).collect();
        let starts: Vec<usize> = (0..=value.len()).filter(|start| matches(&value[*start..])).collect();
        let first = |all: &[usize]| all.first().copied();
        prop_assert_eq!(expand(format!("${{v#{pattern}}}")), &value[first(&ends).unwrap_or(0)..]);
        prop_assert_eq!(expand(format!("${{v##{pattern}}}")), &value[ends.last().copied().unwrap_or(0)..]);
        let whole = value.len();
        prop_assert_eq!(expand(format!("${{v%{pattern}}}")), &value[..starts.last().copied().unwrap_or(whole)]);
        prop_assert_eq!(expand(format!("${{v%%{pattern}}}")), &value[..first(&starts).unwrap_or(whole)]);
    }
}

/// The obvious matcher, for comparison.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        Some((b'?', rest)) => !text.is_empty() && glob(rest, &text[1..]),
        Some((c, rest)) => text.first() == Some(c) && glob(rest, &text[1..]),
    }
}
