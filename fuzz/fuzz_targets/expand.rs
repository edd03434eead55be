//! A value on the first line, a word behind it: no panic, bounded results.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skiff_fuzz::parser::words::{expand, expand_heredoc, expand_list};

fuzz_target!(|text: &str| {
    let (value, word) = text.split_once('\n').unwrap_or(("", text));
    let env = |name: &str| name.starts_with(['a', 'b', 'v']).then(|| value.to_owned());
    for escape in ['\\', '`'] {
        if let Ok(expanded) = expand(word, escape, &env) {
            assert!(expanded.value.len() <= (16 << 20) + word.len());
        }
        let _ = expand_list(word, escape, &env);
    }
    let _ = expand_heredoc(word, &env);
});
