//! The files of some directories together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::CdiError;
use super::name::split;
use super::spec::{Edits, Spec};
use crate::fs::Root;

/// Longest file that is read.
const MAX_FILE: usize = 16 << 20;

/// What all files say.
#[derive(Debug, Default)]
pub struct Registry {
    specs: Vec<Spec>,
    /// Where each device is: its file, and its place there.
    devices: BTreeMap<String, Found>,
    /// Files that can't be used, and why.
    failures: Vec<String>,
}

#[derive(Debug)]
struct Found {
    spec: usize,
    device: usize,
    directory: usize,
    /// Two files of one directory have it.
    twice: bool,
}

impl Registry {
    /// Reads directories, later ones before earlier ones; what is not there is passed over, and what can't be used is
    /// remembered.
    pub fn read(directories: &[PathBuf]) -> Self {
        let mut registry = Self::default();
        for (number, directory) in directories.iter().enumerate() {
            let Ok(root) = Root::open(directory) else { continue };
            let entries = root.entries(".").unwrap_or_default();
            let mut names: Vec<String> = entries
                .iter()
                .map(|entry| String::from_utf8_lossy(&entry.name).into_owned())
                .filter(|name| name.ends_with(".json") || name.ends_with(".yaml"))
                .collect();
            names.sort();
            for name in names {
                registry.add(number, &root, Path::new(&name));
            }
        }
        registry
    }

    fn add(&mut self, directory: usize, root: &Root, name: &Path) {
        let text = root.read(name, MAX_FILE).map_err(|e| e.source.to_string());
        let text = text.and_then(|bytes| String::from_utf8(bytes).map_err(|e| e.to_string()));
        let json = name.extension().is_some_and(|extension| extension == "json");
        match text.and_then(|text| Spec::parse(&text, json)) {
            Ok(spec) => self.put(directory, spec),
            Err(why) => {
                let why = why.lines().next().unwrap_or_default().to_owned();
                self.failures.push(format!("{}: {why}", root.name().join(name).display()));
            }
        }
    }

    fn put(&mut self, directory: usize, spec: Spec) {
        let number = self.specs.len();
        for (device, one) in spec.devices.iter().enumerate() {
            let name = format!("{}={}", spec.kind, one.name);
            match self.devices.get_mut(&name) {
                Some(known) if known.directory == directory => known.twice = true,
                _ => {
                    let found = Found { spec: number, device, directory, twice: false };
                    self.devices.insert(name, found);
                }
            }
        }
        self.specs.push(spec);
    }

    /// Returns the qualified names of all devices, in order.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.devices.iter().filter(|(_, found)| !found.twice).map(|(name, _)| name.as_str())
    }

    /// Returns the names of the devices of a kind.
    pub(super) fn of_kind(&self, kind: &str) -> Vec<&str> {
        self.devices()
            .filter_map(|name| split(name))
            .filter(|(known, _)| *known == kind)
            .map(|(_, n)| n)
            .collect()
    }

    /// Returns what devices change of a container: what a file says for all of its own comes before its first one.
    ///
    /// # Errors
    /// One is not there.
    pub fn edits(&self, names: &[String]) -> Result<Edits, CdiError> {
        let find = |name: &String| self.devices.get(name).filter(|found| !found.twice);
        let missing: Vec<String> = names.iter().filter(|name| find(name).is_none()).cloned().collect();
        if !missing.is_empty() {
            return Err(CdiError::Unresolvable { names: missing, files: self.failures.clone() });
        }
        let mut edits = Edits::default();
        let mut begun = Vec::new();
        for found in names.iter().filter_map(find) {
            let spec = &self.specs[found.spec];
            if !begun.contains(&found.spec) {
                begun.push(found.spec);
                edits.extend(&spec.container_edits);
            }
            edits.extend(&spec.devices[found.device].container_edits);
        }
        Ok(edits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: &str, devices: &[(&str, &str)]) -> String {
        let list: Vec<String> = devices
            .iter()
            .map(|(name, value)| {
                format!("{{\"name\": \"{name}\", \"containerEdits\": {{\"env\": [\"A={value}\"]}}}}")
            })
            .collect();
        format!(
            "{{\"cdiVersion\": \"0.5.0\", \"kind\": \"{kind}\", \"containerEdits\": {{\"env\": [\"ALL=1\"]}}, \
             \"devices\": [{}]}}",
            list.join(", ")
        )
    }

    #[test]
    fn later_directories_count() {
        let dir = tempfile::tempdir().expect("a directory");
        let (first, second) = (dir.path().join("a"), dir.path().join("b"));
        for (path, text) in [
            (first.join("x.json"), spec("v/c", &[("one", "low"), ("two", "2"), ("three", "3")])),
            (second.join("x.json"), spec("v/c", &[("one", "high")])),
            (second.join("y.json"), spec("v/c", &[("three", "a")])),
            (second.join("z.json"), spec("v/c", &[("three", "b")])),
            (second.join("bad.yaml"), "kind: x\n".to_owned()),
            (second.join("no.txt"), "".to_owned()),
        ] {
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        }
        let registry = Registry::read(&[first, "/nowhere".into(), second.clone()]);
        assert_eq!(registry.devices().collect::<Vec<_>>(), ["v/c=one", "v/c=two"]);
        let env = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            registry.edits(&names).map(|edits| edits.env.join(" "))
        };
        assert_eq!(env(&["v/c=one"]).as_deref(), Ok("ALL=1 A=high"));
        assert_eq!(env(&["v/c=two", "v/c=one", "v/c=two"]).as_deref(), Ok("ALL=1 A=2 ALL=1 A=high A=2"));
        let said = env(&["v/c=one", "v/c=three", "x/y=z"]).expect_err("one is there twice").to_string();
        let begin = "CDI device injection failed: unresolvable CDI devices v/c=three, x/y=z (";
        assert!(said.starts_with(begin) && said.contains("b/bad.yaml: "), "{said}");
    }
}
