//! Files to one model: `include`, `extends`, merging, and paths as they are from here.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::super::load::{BakeFile, Options};
use super::interpolate::{LookUp, interpolate};
use super::merge::{canonical, merge_fields, settle};
use super::node::{self, Fields, Node};
use crate::paths;

/// What the files say together.
#[derive(Debug, Default)]
pub struct Model {
    /// Services by name, in one form.
    pub services: Fields,
    /// Secrets by name.
    pub secrets: Fields,
    /// The environment's variables, with those of `.env` and of the command line.
    pub environment: BTreeMap<String, String>,
    /// The variables of each service's `env_file`s.
    pub env_files: BTreeMap<String, BTreeMap<String, String>>,
    /// Variables that are not set and have no default.
    pub blank: Vec<String>,
}

/// Files that include each other, and services that extend each other, at most.
const MAX_DEPTH: usize = 32;

struct Loader<'a> {
    options: &'a Options,
    environment: BTreeMap<String, String>,
    blank: RefCell<BTreeSet<String>>,
}

/// Reads files.
///
/// # Errors
/// A sentence about the first thing that is wrong.
pub fn load(files: &[BakeFile], options: &Options) -> Result<Model, String> {
    let mut environment = options.environment.clone();
    let outside = |name: &str| options.environment.get(name).cloned();
    let dot_env = super::dotenv::parse(&options.dot_env, &outside, true);
    for (name, value) in dot_env.map_err(|why| format!("failed to read .env: {why}"))? {
        environment.entry(name).or_insert(value);
    }
    environment.extend(options.variables.clone());
    let loader = Loader { options, environment, blank: RefCell::default() };
    let mut all = Fields::new();
    for file in files {
        let fields = loader.file(file, "", 0)?;
        merge_fields(&mut all, fields, "")?;
    }
    let section = |all: &mut Fields, key: &str| match all.remove(key) {
        Some(Node::Map(fields)) => Ok(fields),
        None | Some(Node::Null) => Ok(Fields::new()),
        Some(other) => Err(format!("{key} must be a mapping, not {}", other.kind())),
    };
    let mut model = Model {
        services: section(&mut all, "services")?,
        secrets: section(&mut all, "secrets")?,
        ..Model::default()
    };
    if model.services.is_empty() && model.secrets.is_empty() {
        return Err("empty compose file".to_owned());
    }
    for fields in [&mut model.services, &mut model.secrets] {
        fields.values_mut().for_each(settle);
    }
    for (name, service) in &model.services {
        let variables = loader.env_files(name, service)?;
        model.env_files.insert(name.clone(), variables);
    }
    model.environment = loader.environment;
    model.blank = loader.blank.into_inner().into_iter().collect();
    Ok(model)
}

impl Loader<'_> {
    /// One file with what it includes; relative paths in it are below `directory`.
    fn file(&self, file: &BakeFile, directory: &str, depth: usize) -> Result<Fields, String> {
        if depth > MAX_DEPTH {
            return Err(format!("{}: files include each other more than {MAX_DEPTH} deep", file.name));
        }
        let mut all = Fields::new();
        for mut document in self.documents(file)? {
            let included = document.remove("include").unwrap_or(Node::Null);
            self.services(&mut document, file, directory, depth)?;
            self.rebase_secrets(&mut document, directory);
            self.include(included, &mut document, directory, depth)?;
            merge_fields(&mut all, document, "")?;
        }
        Ok(all)
    }

    fn documents(&self, file: &BakeFile) -> Result<Vec<Fields>, String> {
        let failed = |why: &str| format!("failed to parse {}: {why}", file.name);
        let text = std::str::from_utf8(&file.data).map_err(|_| failed("it is no UTF-8 text"))?;
        let mut found = Vec::new();
        for mut document in node::parse(text).map_err(|why| failed(&why))? {
            let value = |name: &str| self.environment.get(name).cloned();
            let blank = |name: &str| {
                self.blank.borrow_mut().insert(name.to_owned());
            };
            interpolate(&mut document, "", LookUp { value: &value, blank: &blank })?;
            match document {
                Node::Map(fields) => found.push(fields),
                Node::Null => {}
                _ => return Err(failed("top-level object must be a mapping")),
            }
        }
        Ok(found)
    }

    /// Reads another file; its name is as from here.
    fn read(&self, name: &str) -> Result<BakeFile, String> {
        let read = self.options.read.ok_or_else(|| format!("{name}: other files can't be read here"))?;
        Ok(BakeFile { name: name.to_owned(), data: read(name)? })
    }

    fn include(
        &self,
        included: Node,
        document: &mut Fields,
        directory: &str,
        depth: usize,
    ) -> Result<(), String> {
        let items = match included {
            Node::Null => return Ok(()),
            Node::List(items) => items,
            other => return Err(format!("include must be an array, not {}", other.kind())),
        };
        for item in items {
            let (paths, project) = include_paths(&item)?;
            let mut other = Fields::new();
            for path in &paths {
                let name = below(directory, path, &self.options.home);
                let base = project.as_ref().map(|project| below(directory, project, &self.options.home));
                let base = base.unwrap_or_else(|| parent(&name));
                let fields = self.file(&self.read(&name)?, &base, depth + 1)?;
                merge_fields(&mut other, fields, "")?;
            }
            for section in ["services", "secrets"] {
                let Some(Node::Map(theirs)) = other.remove(section) else { continue };
                let ours = document.entry(section.to_owned()).or_insert_with(|| Node::Map(Fields::new()));
                let Node::Map(ours) = ours else { continue };
                for (name, value) in theirs {
                    if ours.get(&name).is_some_and(|own| *own != value) {
                        return Err(format!("{section}.{name} conflicts with imported resource"));
                    }
                    ours.insert(name, value);
                }
            }
        }
        Ok(())
    }

    /// Brings the services of a document into one form.
    fn services(
        &self,
        document: &mut Fields,
        file: &BakeFile,
        directory: &str,
        depth: usize,
    ) -> Result<(), String> {
        let services = match document.get_mut("services") {
            None | Some(Node::Null | Node::Reset) => return Ok(()),
            Some(Node::Map(services)) => services,
            Some(other) => return Err(format!("services must be a mapping, not {}", other.kind())),
        };
        for (name, service) in services.iter_mut() {
            match service {
                Node::Map(fields) => {
                    canonical(fields);
                    self.rebase(fields, directory);
                }
                Node::Null => *service = Node::Map(Fields::new()),
                Node::Reset | Node::Override(_) => {}
                other => return Err(format!("services.{name} must be a mapping, not {}", other.kind())),
            }
        }
        let before = services.clone();
        for name in before.keys() {
            let mut trail = vec![(file.name.clone(), name.clone())];
            let extended = self.extended(name, &before, &file.name, directory, &mut trail, depth)?;
            services.insert(name.clone(), extended);
        }
        Ok(())
    }

    /// A service with what it extends.
    fn extended(
        &self,
        name: &str,
        services: &Fields,
        file: &str,
        directory: &str,
        trail: &mut Vec<(String, String)>,
        depth: usize,
    ) -> Result<Node, String> {
        let service = services.get(name).cloned().unwrap_or(Node::Null);
        let Node::Map(mut own) = service else { return Ok(service) };
        let (other, from) = match own.remove("extends") {
            None | Some(Node::Null | Node::Reset) => return Ok(Node::Map(own)),
            Some(Node::Text(other)) => (other, None),
            Some(Node::Map(fields)) => {
                let text = |key: &str| fields.get(key).and_then(Node::to_text);
                let other = text("service").ok_or(format!("extends.{name}.service is required"))?;
                (other, text("file"))
            }
            Some(_) => return Err(format!("services.{name}.extends must be a string or a mapping")),
        };
        let remote;
        let (services, file, directory) = match from {
            None => (services, file.to_owned(), directory.to_owned()),
            Some(path) => {
                let path = below(directory, &path, &self.options.home);
                remote = self.base(&path, depth)?;
                let directory = parent(&path);
                (&remote, path, directory)
            }
        };
        if !services.contains_key(&other) {
            return Err(format!("cannot extend service {name:?} in {file}: service {other:?} not found"));
        }
        let step = (file.clone(), other.clone());
        let again = trail.contains(&step);
        trail.push(step);
        if again || trail.len() > MAX_DEPTH {
            let steps: Vec<String> =
                trail.iter().map(|(file, service)| format!("{service} in {file}")).collect();
            return Err(format!("Circular reference:\n  {}", steps.join("\n  extends ")));
        }
        let base = self.extended(&other, services, &file, &directory, trail, depth)?;
        trail.pop();
        let Node::Map(mut base) = base else { return Ok(Node::Map(own)) };
        merge_fields(&mut base, own, &format!("services.{name}"))?;
        Ok(Node::Map(base))
    }

    /// The services of a file that others extend.
    fn base(&self, path: &str, depth: usize) -> Result<Fields, String> {
        if depth > MAX_DEPTH {
            return Err(format!("{path}: services extend each other more than {MAX_DEPTH} deep"));
        }
        let directory = parent(path);
        let mut services = Fields::new();
        for mut document in self.documents(&self.read(path)?)? {
            let Some(Node::Map(found)) = document.remove("services") else { continue };
            for (name, mut service) in found {
                if let Node::Map(fields) = &mut service {
                    canonical(fields);
                    self.rebase(fields, &directory);
                }
                services.insert(name, service);
            }
        }
        Ok(services)
    }

    /// Makes the paths of a service paths from here.
    fn rebase(&self, service: &mut Fields, directory: &str) {
        let home = &self.options.home;
        let place = |value: &mut Node| {
            if let Node::Text(text) = value
                && !is_remote(text)
            {
                *text = below(directory, text, home);
            }
        };
        if let Some(Node::List(files)) = service.get_mut("env_file") {
            for file in files {
                match file {
                    Node::Map(fields) => fields.get_mut("path").into_iter().for_each(place),
                    text => place(text),
                }
            }
        }
        let Some(Node::Map(build)) = service.get_mut("build") else { return };
        build.get_mut("context").into_iter().for_each(place);
        if let Some(Node::Map(contexts)) = build.get_mut("additional_contexts") {
            contexts.values_mut().for_each(place);
        }
        if let Some(Node::Map(keys)) = build.get_mut("ssh") {
            keys.values_mut().for_each(place);
        }
    }

    fn rebase_secrets(&self, document: &mut Fields, directory: &str) {
        let Some(Node::Map(secrets)) = document.get_mut("secrets") else { return };
        for secret in secrets.values_mut() {
            if let Node::Map(fields) = secret
                && let Some(Node::Text(file)) = fields.get_mut("file")
            {
                *file = below(directory, file, &self.options.home);
            }
        }
    }

    fn env_files(&self, name: &str, service: &Node) -> Result<BTreeMap<String, String>, String> {
        let mut found = BTreeMap::new();
        let Node::Map(fields) = service else { return Ok(found) };
        let files = match fields.get("env_file") {
            Some(Node::List(files)) if fields.contains_key("build") => files,
            _ => return Ok(found),
        };
        for file in files {
            let (path, required) = match file {
                Node::Map(fields) => {
                    if let Some(format) = fields.get("format").and_then(Node::to_text) {
                        return Err(format!(
                            "services.{name}.env_file: unsupported env_file format {format:?}"
                        ));
                    }
                    let required = fields.get("required").and_then(Node::to_text);
                    (fields.get("path").and_then(Node::to_text), required.as_deref() != Some("false"))
                }
                text => (text.to_text(), true),
            };
            let path = path.ok_or_else(|| format!("services.{name}.env_file must name files"))?;
            let data = match self.read(&path) {
                Ok(file) => file.data,
                Err(_) if !required => continue,
                Err(why) => return Err(format!("env file {path} not found: {why}")),
            };
            let text =
                String::from_utf8(data).map_err(|_| format!("failed to read {path}: no UTF-8 text"))?;
            let known = |name: &str| self.environment.get(name).cloned();
            let variables = super::dotenv::parse(&text, &known, false)
                .map_err(|why| format!("failed to read {path}: {why}"))?;
            found.extend(variables);
        }
        Ok(found)
    }
}

fn include_paths(item: &Node) -> Result<(Vec<String>, Option<String>), String> {
    let wrong = || "include must name files".to_owned();
    let Node::Map(fields) = item else {
        return Ok((vec![item.to_text().ok_or_else(wrong)?], None));
    };
    if fields.contains_key("env_file") {
        return Err("include with env_file is not available in this version".to_owned());
    }
    let paths = match fields.get("path") {
        Some(Node::List(paths)) => paths.iter().map(|path| path.to_text().ok_or_else(wrong)).collect(),
        Some(path) => path.to_text().map(|path| vec![path]).ok_or_else(wrong),
        None => Err(wrong()),
    };
    Ok((paths?, fields.get("project_directory").and_then(Node::to_text)))
}

/// What is no path of this machine.
fn is_remote(text: &str) -> bool {
    text.contains("://")
        || ["git@", "github.com/", "service:", "target:"].iter().any(|start| text.starts_with(start))
}

fn parent(path: &str) -> String {
    path.rsplit_once('/').map_or_else(String::new, |(directory, _)| directory.to_owned())
}

/// A path below a directory, with `~` for the home directory.
fn below(directory: &str, path: &str, home: &str) -> String {
    let path = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        _ => path.to_owned(),
    };
    if path.starts_with('/') || directory.is_empty() {
        return paths::clean(&path);
    }
    paths::clean(&format!("{directory}/{path}"))
}
