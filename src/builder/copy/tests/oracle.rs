//! Copies of random trees over random trees, against `cp -a`.

use std::collections::BTreeMap;
use std::process::Command;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Shape {
    Dir(u32, BTreeMap<String, Shape>),
    File(u32, String),
    Link(String),
}

fn tree() -> impl Strategy<Value = Shape> {
    let mode = prop::sample::select(vec![0o644, 0o600, 0o755, 0o711]);
    let leaf = prop_oneof![
        (mode.clone(), "[xyz]{0,3}").prop_map(|(mode, text)| Shape::File(mode, text)),
        "[abc]".prop_map(Shape::Link),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let children = prop::collection::btree_map("[abc]", inner, 0..3);
        (prop::sample::select(vec![0o755, 0o700, 0o711]), children).prop_map(|(m, c)| Shape::Dir(m, c))
    })
}

fn directory() -> impl Strategy<Value = BTreeMap<String, Shape>> {
    prop::collection::btree_map("[abc]", tree(), 0..4)
}

fn lines_of(prefix: &str, children: &BTreeMap<String, Shape>, into: &mut Vec<String>) {
    for (name, child) in children {
        let path = format!("{prefix}/{name}");
        match child {
            Shape::Dir(mode, below) => {
                into.push(format!("d {path} {mode:o}"));
                lines_of(&path, below, into);
            }
            Shape::File(mode, text) => into.push(format!("f {path} {mode:o} {text}")),
            Shape::Link(target) => into.push(format!("l {path} {target}")),
        }
    }
}

fn files(top: &str, children: &BTreeMap<String, Shape>) -> Files {
    let mut lines = vec![format!("d {top} 755")];
    lines_of(top, children, &mut lines);
    Files::new(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Everything below a directory, by path.
fn everything(files: &Files) -> BTreeMap<String, String> {
    let request = request(&files.context(), &["."], "/");
    by_path(super::run(&request, None).expect("readable").lines)
}

fn by_path(lines: Vec<String>) -> BTreeMap<String, String> {
    lines.into_iter().map(|line| (line.split(' ').nth(1).unwrap_or("").to_owned(), line)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_cp(source in directory(), destination in directory()) {
        let (from, to) = (files("s", &source), files("d", &destination));
        let ours = super::run(&request(&from.context(), &["s"], "/d"), Some(&to.stage()));
        let mut expected = everything(&to);
        let done = Command::new("cp")
            .args(["-a", "--remove-destination", "-T"])
            .args([from.0.path().join("s"), to.0.path().join("d")])
            .output()
            .expect("cp is installed");
        prop_assert_eq!(ours.is_ok(), done.status.success(), "{:?}", ours.err().map(|e| e.to_string()));
        if let Ok(recorder) = ours {
            // The layer on top of what was there is what cp made.
            expected.extend(by_path(recorder.lines));
            prop_assert_eq!(expected, everything(&to));
        }
    }
}
