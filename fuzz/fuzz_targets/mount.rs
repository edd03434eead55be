//! A value on the first line, a `--mount` behind it: no panic, and expansion cannot add options.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skiff_fuzz::parser::instruction::InstructionKind;
use skiff_fuzz::parser::{Source, parse, words};

fuzz_target!(|text: &str| {
    let (value, mount) = text.split_once('\n').unwrap_or(("", text));
    let env = |name: &str| name.starts_with(['a', 'v']).then(|| value.to_owned());
    let Ok(file) = parse(&Source::new("Dockerfile", format!("FROM a\nRUN --mount={mount} true\n"))) else {
        return;
    };
    for instruction in &file.instructions {
        let InstructionKind::Run(run) = &instruction.kind else { continue };
        for mount in &run.mounts {
            let mut expand = |word: &str| Ok(words::expand(word, '\\', &env)?.value);
            let _ = mount.resolve(instruction.span, &mut expand);
        }
    }
});
