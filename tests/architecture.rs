//! Holds the shape of the house: which module may name which, and who may open paths.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use support::repository;

/// Module, and the modules that it may name.
const MAY_USE: &[(&str, &[&str])] = &[
    ("causes", &[]),
    ("image", &[]),
    ("progress", &["image"]),
    ("fs", &[]),
    ("tls", &["fs"]),
    ("parser", &[]),
    ("layers", &["image", "fs"]),
    ("store", &["image", "progress", "fs", "layers"]),
    ("archive", &["image", "progress", "fs", "layers", "store"]),
    ("registry", &["causes", "image", "progress", "fs", "tls", "layers", "store"]),
    ("run", &["image", "fs"]),
    ("net", &["causes", "fs"]),
    ("cdi", &["fs"]),
    ("containers", &["causes", "image", "fs", "tls", "layers", "store", "run", "net", "cdi"]),
    ("attest", &["image", "fs"]),
    ("engine", &["image", "fs", "tls"]),
    ("shared_cache", &["causes", "image", "progress", "fs", "layers", "store", "registry", "builder"]),
    ("paths", &[]),
    ("bake", &["paths"]),
    ("lint", &["image", "parser"]),
    ("builder", &["image", "paths", "progress", "fs", "parser", "lint", "layers", "store", "run"]),
];

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("sources are readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Every source file below `src/`, as (path below `src/`, text without test modules and comments).
fn sources() -> BTreeMap<String, String> {
    let root = repository().join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    files
        .into_iter()
        .map(|path| (path.strip_prefix(&root).expect("below src").to_string_lossy().into_owned(), path))
        .filter(|(name, _)| !name.ends_with("tests.rs") && !name.contains("/tests/"))
        .map(|(name, path)| {
            let text = fs::read_to_string(&path).expect("sources are text");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            (name, code.join("\n"))
        })
        .collect()
}

fn module_of(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

#[test]
fn modules_name_only_what_they_may() {
    let mut broken = Vec::new();
    for (file, code) in sources() {
        let module = module_of(&file);
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            assert!(["cli", "lib", "main"].contains(&module), "{file}: the table does not know {module}");
            continue;
        };
        for part in code.split("crate::").skip(1) {
            let named: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let known = MAY_USE.iter().any(|(name, _)| *name == named) || named == "cli";
            if known && named != module && !allowed.contains(&named.as_str()) {
                broken.push(format!("{file} names {named}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Files that may open paths by name: trusted ones that an option gave, before a root exists.
const MAY_OPEN_PATHS: &[&str] = &["fs/"];

#[test]
fn only_the_path_module_opens_paths() {
    // The type `File` and the traits of `std::os::unix::fs` open nothing by themselves.
    let calls = [
        "use std::fs;",
        "fs::{self",
        "fs::read(",
        "fs::write(",
        "File::open(",
        "File::create(",
        "File::create_new(",
        "File::options(",
        "OpenOptions",
        "fs::hard_link(",
        "fs::soft_link(",
        "fs::symlink(",
        "fs::read_link(",
        "fs::set_permissions(",
        "fs::exists(",
        "DirBuilder",
        "rustix::fs::open(",
        "rustix::fs::openat(",
        "libc::open",
        "canonicalize(",
        "fs::create_dir",
        "fs::remove_",
        "fs::rename(",
        "fs::metadata(",
        "fs::symlink_metadata(",
        "fs::read_dir(",
        "fs::read_to_string(",
        "fs::copy(",
    ];
    let mut broken = Vec::new();
    for (file, code) in sources() {
        if MAY_OPEN_PATHS.iter().any(|allowed| file.starts_with(allowed)) {
            continue;
        }
        for (number, line) in code.lines().enumerate() {
            if calls.iter().any(|call| line.contains(call)) {
                broken.push(format!("{file} (code line {}): {}", number + 1, line.trim()));
            }
        }
    }
    assert!(broken.is_empty(), "paths are opened outside src/fs:\n{}", broken.join("\n"));
}
