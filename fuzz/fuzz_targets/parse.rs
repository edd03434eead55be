//! Any bytes: no panic, errors lie within the file, and what parses survives printing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skiff_fuzz::parser::instruction::InstructionKind;
use skiff_fuzz::parser::{Source, detect_syntax, excerpt, parse, parse_trigger, print, words};

fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = Source::from_bytes("Dockerfile", bytes) else { return };
    let _ = detect_syntax(source.text());
    let file = match parse(&source) {
        Ok(file) => file,
        Err(error) => {
            if let Some(span) = error.span {
                assert!(1 <= span.first && span.first <= span.last && span.last <= source.line_count());
                assert!(excerpt(&source, span).contains(">>>"));
            }
            return;
        }
    };
    for instruction in &file.instructions {
        match &instruction.kind {
            InstructionKind::Onbuild(text) => drop(parse_trigger(text)),
            InstructionKind::Run(run) => {
                for mount in &run.mounts {
                    let mut expand = |word: &str| Ok(words::expand(word, '\\', &|_| None)?.value);
                    let _ = mount.resolve(instruction.span, &mut expand);
                }
            }
            _ => {}
        }
    }
    let printed = print(&file);
    let again = parse(&Source::new("printed", &*printed)).expect("printed text parses");
    assert_eq!(again.directives.escape, file.directives.escape);
    assert_eq!(again.instructions.len(), file.instructions.len(), "{printed}");
    for (old, new) in file.instructions.iter().zip(&again.instructions) {
        assert_eq!(old.kind, new.kind, "{printed}");
        assert_eq!(old.comments, new.comments, "{printed}");
    }
});
