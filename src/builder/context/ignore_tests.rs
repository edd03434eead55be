//! Moby's own cases by fact, the walk into excluded directories, and a slow oracle.

use proptest::prelude::*;

use super::*;

fn excluded(patterns: &[&str], path: &str) -> bool {
    PatternMatcher::new(patterns).expect("patterns are good").verdict_of(path.as_bytes()).is_match()
}

#[test]
fn matches_single_patterns_as_moby_does() {
    let table: &[(&str, &str, bool)] = &[
        ("**", "file", true),
        ("**/", "file", true),
        ("**", "dir/file", true),
        ("**/", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir/dir2/file", true),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/*", "dir/dir2/file/x", true),
        ("**/dir2/**", "dir/dir2/dir3/file", true),
        ("**file", "file", true),
        ("**file", "dir/file", true),
        ("**/file", "dir/file", true),
        ("**file", "dir/dir/file", true),
        ("**/file", "dir/dir/file", true),
        ("**/file*", "dir/dir/file", true),
        ("**/file*", "dir/dir/file.txt", true),
        ("**/file*txt", "dir/dir/file.txt", true),
        ("**/file*.txt", "dir/dir/file.txt", true),
        ("**/file*.txt*", "dir/dir/file.txt", true),
        ("**/**/*.txt", "dir/dir/file.txt", true),
        ("**/**/*.txt2", "dir/dir/file.txt", false),
        ("**/*.txt", "file.txt", true),
        ("**/**/*.txt", "file.txt", true),
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/file.txt", true),
        ("a**/*.txt", "a/dir/dir/file.txt", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt", "a/file.txt", true),
        ("a/*.txt**", "a/file.txt", true),
        ("a[b-d]e", "ae", false),
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcdef", false),
        ("abc.def", "abc.def", true),
        ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true),
        ("abc?def", "abcdef", false),
        ("a\\\\", "a\\", true),
        ("**/foo/bar", "foo/bar", true),
        ("**/foo/bar", "dir/foo/bar", true),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("abc/**", "abc", false),
        ("abc/**", "abc/def", true),
        ("abc/**", "abc/def/ghi", true),
        ("**/.foo", ".foo", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/def", true),
        ("a(b)c/def", "a(b)c/xyz", false),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true),
        ("*", "a/b/c", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "ab", false),
        ("a?b", "a☺b", true),
        ("a???b", "a☺b", false),
        ("a[^a]b", "a☺b", true),
        ("[a-ζ]*", "α", true),
        ("☺*", "☺x", true),
        ("a**b", "ab", true),
        ("a**b", "a/x/b", true),
        ("a**b", "ax/b", true),
        ("a**b", "axb", false),
        // Anchored, unlike in git.
        ("node_modules", "x/node_modules", false),
        ("**/node_modules", "x/node_modules/y", true),
        ("Foo", "foo", false),
        (".", "a", false),
        ("..", "a", false),
        ("../a", "a", false),
        ("a/../b", "b", true),
        ("a//b/.", "a/b", true),
    ];
    for (pattern, path, expected) in table {
        assert_eq!(excluded(&[pattern], path), *expected, "pattern {pattern:?}, path {path:?}");
    }
}

#[test]
fn the_last_match_wins() {
    let table: &[(&[&str], &str, bool)] = &[
        (&["!fileutils.go", "*.go"], "fileutils.go", true),
        (&["*.go", "!fileutils.go"], "fileutils.go", false),
        (&["docs", "!docs/README.md"], "docs/README.md", false),
        (&["docs/", "!docs/README.md"], "docs/README.md", false),
        (&["docs/*", "!docs/README.md"], "docs/README.md", false),
        (&["docs", "!docs/README.md"], "docs/other", true),
        (&["**", "!util/docker/web"], "util/docker/web/foo", false),
        (&["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", true),
        (&["**", "!dist/*.whl"], "dist/a.whl", false),
        (&["*", "!src"], "src/a/b", false),
        (&["*", "!src"], "other", true),
        (&["*", "!src", "src/**/*.log"], "src/x/y.log", true),
        (&["  a  ", "", "  !a/b "], "a/b", false),
        // Moby's walk: `!a` is not tried on `a`, which nothing had excluded yet.
        (&["a/b", "!a"], "a/b", true),
        (&["a", "a/b", "!a"], "a/b", false),
    ];
    for (patterns, path, expected) in table {
        assert_eq!(excluded(patterns, path), *expected, "patterns {patterns:?}, path {path:?}");
    }
}

#[test]
fn reads_ignore_files() {
    let text = "\u{feff}# comment\n  # not a comment\n\n /a/b/ \r\n! /c\n/\n!\n";
    assert_eq!(ignore_lines(text), ["# not a comment", "a/b", "!c", "/", "!"]);
    let error = PatternMatcher::parse("!\n").expect_err("a lone exception is refused");
    assert_eq!(error.to_string(), "illegal exclusion pattern: \"!\"");
    for bad in ["[", "a[", "[]a]", "\\", "[b-a]", "[a-b-c]"] {
        let error = PatternMatcher::parse(bad).expect_err("bad syntax is refused");
        assert!(matches!(error, ContextError::Pattern { .. }), "{bad}: {error}");
    }
    assert!(PatternMatcher::parse("#a\n\n").expect("fine").is_empty());
}

#[test]
fn knows_where_exceptions_may_reach() {
    let table: &[(&[&str], &str, bool)] = &[
        (&["a"], "a", false),
        (&["a", "!a/b"], "a", true),
        (&["a", "!b/c"], "a", false),
        (&["a", "!a"], "a", false),
        (&["a", "!ab/c"], "a", false),
        (&["*", "!a/b/c"], "a/b", true),
        (&["*", "!a/b/c"], "a/x", false),
        (&["*", "!**/keep"], "any/where", true),
        (&["*", "!a/*/c"], "a/b", true),
        (&["*", "!a*/c"], "b", false),
        (&["*", "!a*/c"], "abc", true),
        (&["*", "!a/**"], "a/b", true),
    ];
    for (patterns, dir, expected) in table {
        let matcher = PatternMatcher::new(patterns).expect("patterns are good");
        assert_eq!(matcher.may_reinclude_below(dir.as_bytes()), *expected, "{patterns:?} below {dir:?}");
    }
}

/// Matches one pattern by trying every way to read it; exponential, obvious.
fn slow(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*', '*', rest @ ..] => {
            let rest = rest.strip_prefix(&['/']).unwrap_or(rest);
            if rest.is_empty() {
                return true;
            }
            slow(rest, path) || (0..path.len()).any(|at| path[at] == '/' && slow(rest, &path[at + 1..]))
        }
        ['*', rest @ ..] => {
            let run = path.iter().take_while(|c| **c != '/').count();
            (0..=run).any(|at| slow(rest, &path[at..]))
        }
        ['?', rest @ ..] => path.first().is_some_and(|c| *c != '/') && slow(rest, &path[1..]),
        [c, rest @ ..] => path.first() == Some(c) && slow(rest, &path[1..]),
    }
}

/// Moby's suffix rule: `**x` without another wildcard is any path that ends in `x`.
fn slow_pattern(pattern: &str, path: &str) -> bool {
    let rest = pattern.strip_prefix("**");
    if let Some(suffix) = rest.filter(|r| !r.contains(['*', '?'])) {
        return path.ends_with(suffix) || suffix.strip_prefix('/').is_some_and(|name| name == path);
    }
    slow(&pattern.chars().collect::<Vec<_>>(), &path.chars().collect::<Vec<_>>())
}

fn slow_verdict(patterns: &[(String, bool)], path: &str, memo: &mut Vec<Vec<bool>>) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let mut out = false;
    let mut inherited = vec![false; patterns.len()];
    for end in 1..=parts.len() {
        let prefix = parts[..end].join("/");
        out = false;
        let mut now = vec![false; patterns.len()];
        for (at, (pattern, exception)) in patterns.iter().enumerate() {
            if inherited[at] || (*exception == out && slow_pattern(pattern, &prefix)) {
                now[at] = true;
                out = !exception;
            }
        }
        inherited = now.clone();
        memo.push(now);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_slow_oracle(
        patterns in prop::collection::vec("!?([ab☺]|\\*{1,2}|\\?|/){1,7}", 1..4),
        path in "[ab☺]{1,3}(/[ab☺]{1,3}){0,3}",
    ) {
        let cleaned: Vec<(String, bool)> = patterns
            .iter()
            .map(|p| split_exception(p.trim()))
            .filter(|(p, _)| !p.is_empty())
            .collect();
        prop_assume!(cleaned.len() == patterns.len());
        let matcher = PatternMatcher::new(&patterns).expect("no classes, no escapes");
        let expected = slow_verdict(&cleaned, &path, &mut Vec::new());
        prop_assert_eq!(matcher.verdict_of(path.as_bytes()).is_match(), expected);
    }

    #[test]
    fn never_skips_a_directory_with_an_exception_inside(
        patterns in prop::collection::vec("!?([ab]|\\*{1,2}|\\?|/){1,6}", 1..5),
        path in "[ab]{1,2}(/[ab]{1,2}){1,3}",
    ) {
        let Ok(matcher) = PatternMatcher::new(&patterns) else { return Ok(()) };
        if !matcher.verdict_of(path.as_bytes()).is_match() {
            for dir in crate::paths::ancestors(path.as_bytes()) {
                prop_assert!(
                    !matcher.verdict_of(dir).is_match() || matcher.may_reinclude_below(dir),
                    "{:?} hides {}", String::from_utf8_lossy(dir), path
                );
            }
        }
    }

    #[test]
    fn hostile_patterns_are_errors_or_answers(pattern in "\\PC{0,40}", path in "\\PC{1,40}") {
        if let Ok(matcher) = PatternMatcher::new(&[pattern]) {
            let _ = matcher.verdict_of(path.as_bytes());
        }
    }
}

#[test]
fn many_stars_cost_no_more_than_states_times_characters() {
    let pattern = "a*".repeat(200) + "b";
    let path = "a".repeat(4000);
    let before = std::time::Instant::now();
    assert!(!excluded(&[&pattern], &(path.clone() + "c")));
    assert!(excluded(&[&pattern], &(path + "b")));
    assert!(before.elapsed().as_secs() < 60);
}
