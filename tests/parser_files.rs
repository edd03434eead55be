//! Dockerfiles on disk: what is read from good ones, and what is said about bad ones.
//!
//! `SKIFF_BLESS=1` writes the expectations anew.

mod support;

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use skiff::parser::instruction::InstructionKind;
use skiff::parser::{
    Dockerfile, ParseError, Source, Span, WordError, excerpt, parse, parse_trigger, print, words,
};

/// The folders below `testdata/dockerfiles/KIND`, sorted.
fn cases(kind: &str) -> Vec<PathBuf> {
    let root = support::repository().join("testdata/dockerfiles").join(kind);
    let mut all: Vec<_> =
        fs::read_dir(root).expect("the cases are there").flatten().map(|entry| entry.path()).collect();
    all.retain(|path| path.is_dir());
    all.sort();
    all
}

fn name_of(case: &std::path::Path) -> String {
    case.file_name().expect("a folder").to_string_lossy().into_owned()
}

/// Compares with `expected.txt` of the case, or writes it.
fn check(case: &std::path::Path, got: &str) -> Result<(), String> {
    let path = case.join("expected.txt");
    if std::env::var_os("SKIFF_BLESS").is_some() {
        fs::write(&path, got).expect("expectations are writable");
        return Ok(());
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if expected == got {
        return Ok(());
    }
    Err(format!("== {}\n-- expected\n{expected}-- got\n{got}", name_of(case)))
}

/// What must survive printing and reading.
fn essence(file: &Dockerfile) -> impl PartialEq + std::fmt::Debug {
    let directives = &file.directives;
    let value = |directive: &Option<(String, Span)>| directive.as_ref().map(|(value, _)| value.clone());
    let instructions: Vec<_> =
        file.instructions.iter().map(|i| (i.keyword.clone(), i.comments.clone(), i.kind.clone())).collect();
    (value(&directives.syntax), value(&directives.check), directives.escape, instructions)
}

#[test]
fn good_files_are_read_and_printed() {
    let all = cases("parse");
    assert!(all.len() >= 40, "only {} cases", all.len());
    let mut wrong = Vec::new();
    for case in all {
        let bytes = fs::read(case.join("Dockerfile")).expect("a Dockerfile");
        let source = Source::from_bytes("Dockerfile", &bytes).expect("text");
        let file = parse(&source).unwrap_or_else(|error| panic!("{}: {error}", name_of(&case)));
        let printed = print(&file);
        let again = parse(&Source::new("printed", &*printed))
            .unwrap_or_else(|error| panic!("{}: {error}\n{printed}", name_of(&case)));
        assert_eq!(essence(&again), essence(&file), "{}\n{printed}", name_of(&case));
        assert_eq!(print(&again), printed, "{}", name_of(&case));
        let mut got = printed;
        for (_, span) in &file.blank_continuations {
            writeln!(got, "== blank line in the continuation that ends at line {}", span.first)
                .expect("a string");
        }
        wrong.extend(check(&case, &got).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Parses, prints, parses again: nothing may have changed.
fn survives_printing(name: &str, file: &Dockerfile) {
    let printed = print(file);
    let again =
        parse(&Source::new("printed", &*printed)).unwrap_or_else(|e| panic!("{name}: {e}\n{printed}"));
    assert_eq!(essence(&again), essence(file), "{name}\n{printed}");
    assert_eq!(print(&again), printed, "{name}");
}

#[test]
fn the_files_of_other_tests_survive_printing() {
    let (mut whole, mut all) = (0, 0);
    for kind in ["build", "refused", "check", "outline", "bad"] {
        for case in cases(kind) {
            // Some cases are about files of other names, some of the refused ones about their text.
            let Ok(bytes) = fs::read(case.join("Dockerfile")) else { continue };
            all += 1;
            match Source::from_bytes("Dockerfile", &bytes).and_then(|source| parse(&source)) {
                Ok(file) => {
                    whole += 1;
                    survives_printing(&name_of(&case), &file);
                }
                Err(_) if kind != "build" => {}
                Err(error) => panic!("{}: {error}", name_of(&case)),
            }
        }
    }
    assert!(all >= 300 && whole >= 250, "{whole} of {all} files parse");
}

/// What public projects write, in our own words: see the folder.
#[test]
fn constructs_seen_in_public_projects_survive_printing() {
    let folder = support::repository().join("testdata/dockerfiles/wild");
    let mut all: Vec<_> = fs::read_dir(folder).expect("the files are there").flatten().collect();
    all.sort_by_key(fs::DirEntry::file_name);
    assert!(all.len() >= 100, "only {} files", all.len());
    let mut keywords = std::collections::BTreeSet::new();
    for entry in all {
        let name = entry.file_name().to_string_lossy().into_owned();
        let bytes = fs::read(entry.path()).expect("a file");
        let file = Source::from_bytes(&name, &bytes).and_then(|source| parse(&source));
        let file = file.unwrap_or_else(|e| panic!("{name}: {e}"));
        survives_printing(&name, &file);
        mistake(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        keywords.extend(file.instructions.iter().map(|i| i.keyword.to_ascii_uppercase()));
    }
    assert_eq!(keywords.len(), 18, "every instruction is among them: {keywords:?}");
}

/// The text and its chain of causes, with the lines it speaks of.
fn diagnostic(source: &Source, error: &ParseError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        write!(text, ": {error}").expect("a string");
        cause = error.source();
    }
    let lines = error.span.map(|span| excerpt(source, span)).unwrap_or_default();
    format!("{text}\n{lines}")
}

/// The first mistake of a file: of its bytes, its text, or its mounts and triggers.
fn mistake(bytes: &[u8]) -> Result<(), ParseError> {
    let source = Source::from_bytes("Dockerfile", bytes)?;
    let file = parse(&source)?;
    let unset = |_: &str| None;
    let mut expand = |word: &str| -> Result<String, WordError> {
        Ok(words::expand(word, file.directives.escape, &unset)?.value)
    };
    for instruction in &file.instructions {
        match &instruction.kind {
            InstructionKind::Run(run) => {
                for mount in &run.mounts {
                    mount.resolve(instruction.span, &mut expand)?;
                }
            }
            InstructionKind::Onbuild(text) => {
                let at_trigger = |error| ParseError { span: Some(instruction.span), ..error };
                parse_trigger(text).map_err(at_trigger)?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[test]
fn bad_files_are_explained() {
    let all = cases("bad");
    assert!(all.len() >= 60, "only {} cases", all.len());
    let mut wrong = Vec::new();
    for case in all {
        let bytes = fs::read(case.join("Dockerfile")).expect("a Dockerfile");
        let Err(error) = mistake(&bytes) else {
            wrong.push(format!("== {}: nothing is wrong", name_of(&case)));
            continue;
        };
        let source = Source::from_bytes_lossy("Dockerfile", &bytes);
        wrong.extend(check(&case, &diagnostic(&source, &error)).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
