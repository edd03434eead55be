//! A path on the first line, an ignore file behind it: no panic, one verdict however it is asked.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skiff_fuzz::builder::context::ignore::PatternMatcher;
use skiff_fuzz::builder::context::path::{ancestors, clean};

fuzz_target!(|text: &str| {
    let (path, patterns) = text.split_once('\n').unwrap_or(("", text));
    let Ok(matcher) = PatternMatcher::parse(patterns) else { return };
    let path = clean(&format!("/{path}"));
    let path = path.trim_start_matches('/').as_bytes();
    if path.is_empty() {
        return;
    }
    let verdict = matcher.verdict_of(path);
    assert_eq!(verdict, matcher.verdict_of(path));
    if matcher.is_empty() {
        assert!(!verdict.is_match());
    }
    // A walk must reach what is brought back from an excluded directory.
    if !verdict.is_match() {
        for dir in ancestors(path) {
            let above = matcher.verdict_of(dir);
            assert!(!above.is_match() || matcher.may_reinclude_below(dir), "{dir:?}");
        }
    }
});
