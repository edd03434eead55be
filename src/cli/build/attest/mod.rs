//! What is said about a build: the facts for [`crate::attest`], and the statements it makes of them.

mod flags;
mod scans;
mod steps;
mod vcs;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

pub use flags::AttestOptions;

use super::super::error::CliError;
use super::args::BuildArgs;
use crate::attest::{
    Dependency, Layers, Package, Provenance, ProvenanceMode, SPDX_PREDICATE, SpdxInput, Subject, image_purl,
    scan, spdx, statement, without_credentials,
};
use crate::builder::export::{Extra, Statement, WrittenImage};
use crate::builder::{BuildOptions, NetworkMode, Solved};
use crate::causes::chain;
use crate::fs::Root;
use crate::fs::walk::{Visit, walk};
use crate::image::{Digest, Platform, Reference};
use crate::layers::HashingReader;
use crate::store::Store;
use scans::Scans;
use steps::Steps;

/// Makes statements about one build.
pub struct Attest<'a> {
    /// What is wanted.
    pub wanted: &'a AttestOptions,
    /// The flags.
    pub args: &'a BuildArgs,
    /// What they came to.
    pub options: &'a BuildOptions,
    /// The store.
    pub store: &'a Store,
    /// The build's name; left out of what shall be the same every time.
    pub reference: &'a str,
    /// Whether nothing of time and place may be said.
    pub reproducible: bool,
}

fn failed(error: &dyn std::error::Error) -> CliError {
    CliError::new(format!("ERROR: failed to build: failed to solve: {}", chain(error)))
}

impl Attest<'_> {
    /// Whether anything is said about images.
    pub fn is_wanted(&self) -> bool {
        self.wanted.provenance.is_some() || self.wanted.sbom.is_some()
    }

    /// Returns the statements about an image.
    ///
    /// # Errors
    /// Its files can't be read.
    pub fn about_image(
        &self,
        solved: &Solved,
        number: usize,
        image: &WrittenImage,
        names: &[Reference],
    ) -> Result<Vec<Statement>, CliError> {
        let digest = image.digest.as_digest();
        let mut subjects: Vec<Subject> = names
            .iter()
            .map(|name| Subject { name: image_purl(name, Some(&image.platform)), digest })
            .collect();
        if subjects.is_empty() {
            subjects.push(Subject { name: "_".to_owned(), digest });
        }
        let mut statements = Vec::new();
        if self.wanted.sbom.is_some() {
            let name = names.first().map_or_else(|| "image".to_owned(), Reference::familiar);
            let predicate = self.sbom(solved, number, name, digest)?;
            let mut say = |predicate: &Value| {
                let bytes = statement(SPDX_PREDICATE, predicate, &subjects, false);
                statements.push(Statement { predicate_type: SPDX_PREDICATE.to_owned(), bytes });
            };
            say(&predicate);
            self.scans(solved, number)?.iter().for_each(|(_, predicate)| say(predicate));
        }
        if let Some(wanted) = &self.wanted.provenance {
            let mut facts = self.facts(solved, number);
            let layers = image.layers.iter().map(|(_, layer)| layer.clone()).collect();
            facts.layers = vec![Layers { step: facts.steps.len() - 1, layers }];
            let kind = wanted.version.predicate_type();
            let predicate = facts.predicate(wanted.version, wanted.mode);
            let bytes = statement(kind, &predicate, &subjects, false);
            statements.push(Statement { predicate_type: kind.to_owned(), bytes });
        }
        Ok(statements)
    }

    /// Returns the statements about a root file system, as files to be put beside it.
    ///
    /// # Errors
    /// Its files can't be read.
    pub fn about_files(&self, solved: &Solved, number: usize, prefix: &str) -> Result<Vec<Extra>, CliError> {
        let provenance = self.wanted.provenance.as_ref().filter(|wanted| !wanted.inline_only);
        let sbom = self.wanted.sbom.filter(|wanted| !wanted.inline_only);
        if provenance.is_none() && sbom.is_none() {
            return Ok(Vec::new());
        }
        let subjects = match self.root(solved, number)? {
            Some(root) => files(&root)?,
            None => Vec::new(),
        };
        let mut extra = Vec::new();
        if sbom.is_some() {
            let whole: String = subjects.iter().map(|one| format!("{} {}\n", one.digest, one.name)).collect();
            let digest = Digest::of(whole.as_bytes());
            let predicate = self.sbom(solved, number, "files".to_owned(), digest)?;
            let bytes = statement(SPDX_PREDICATE, &predicate, &subjects, true);
            extra.push((format!("{prefix}sbom.spdx.json"), bytes));
            for (name, predicate) in self.scans(solved, number)? {
                let bytes = statement(SPDX_PREDICATE, &predicate, &subjects, true);
                extra.push((format!("{prefix}sbom-{name}.spdx.json"), bytes));
            }
        }
        if let Some(wanted) = provenance {
            let predicate = self.facts(solved, number).predicate(wanted.version, wanted.mode);
            let bytes = statement(wanted.version.predicate_type(), &predicate, &subjects, true);
            extra.push((format!("{prefix}{}", wanted.filename), bytes));
        }
        Ok(extra)
    }

    /// Returns the predicates for the metadata file, by platform where there are several.
    pub fn for_metadata(&self, solved: &Solved) -> Vec<(Option<String>, Value)> {
        let mode = match std::env::var("BUILDX_METADATA_PROVENANCE").as_deref() {
            Ok("max") => ProvenanceMode::Max,
            Ok("disabled" | "false" | "0") => return Vec::new(),
            _ if self.wanted.no_provenance => return Vec::new(),
            _ => ProvenanceMode::Min,
        };
        let wanted = self.wanted.provenance.as_ref();
        let version = wanted.map(|wanted| wanted.version).unwrap_or_default();
        let several = solved.plan.targets().count() > 1;
        (0..solved.plan.targets().count())
            .map(|number| {
                let platform = several.then(|| solved.platform(number).to_string());
                (platform, self.facts(solved, number).predicate(version, mode))
            })
            .collect()
    }

    fn root(&self, solved: &Solved, number: usize) -> Result<Option<Root>, CliError> {
        let layers = solved.layers(number);
        if layers.is_empty() {
            return Ok(None);
        }
        self.store.mount(layers).map(Some).map_err(|e| failed(&e))
    }

    /// Returns what is found in further stages and the context, by their names.
    fn scans(&self, solved: &Solved, number: usize) -> Result<Vec<(String, Value)>, CliError> {
        let wanted = Scans::of(&self.options.source, &self.options.build_args);
        let target = solved.plan.targets().nth(number).and_then(|target| target.vertex);
        let mut found = Vec::new();
        for (name, layers) in wanted.stages(solved, target) {
            let packages = match layers.is_empty() {
                true => Vec::new(),
                false => scan(&self.store.mount(&layers).map_err(|e| failed(&e))?).map_err(|e| failed(&e))?,
            };
            found.push((name.to_owned(), packages));
        }
        if wanted.context {
            let path = Path::new(&self.args.context);
            if self.source().is_some() || !crate::fs::is_directory(path) {
                return Err(CliError::new(
                    "ERROR: failed to build: BUILDKIT_SBOM_SCAN_CONTEXT is available for contexts that are directories",
                ));
            }
            let mut packages = scan(&Root::open(path).map_err(|e| failed(&e))?).map_err(|e| failed(&e))?;
            // What the ignore file hides is no part of the context.
            let seen = |package: &Package| self.options.context.stat(package.found.as_bytes());
            packages.retain(|package| seen(package).is_ok_and(|node| node.is_some()));
            found.push(("context".to_owned(), packages));
        }
        let created = self.time(solved, solved.started);
        let tool = format!("skiff-{}", env!("CARGO_PKG_VERSION"));
        let document = |(name, packages): (String, Vec<Package>)| {
            let words: Vec<&str> = packages.iter().map(|package| package.purl.as_str()).collect();
            let digest = Digest::of(words.join("\n").as_bytes());
            let (created, tool) = (created.clone(), tool.clone());
            let input = SpdxInput { name: format!("sbom-{name}"), digest, created, tool };
            (name, spdx(&packages, &input))
        };
        Ok(found.into_iter().map(document).collect())
    }

    fn sbom(&self, solved: &Solved, number: usize, name: String, digest: Digest) -> Result<Value, CliError> {
        let packages = match self.root(solved, number)? {
            Some(root) => scan(&root).map_err(|e| failed(&e))?,
            None => Vec::new(),
        };
        let created = self.time(solved, solved.started);
        let tool = format!("skiff-{}", env!("CARGO_PKG_VERSION"));
        Ok(spdx(&packages, &SpdxInput { name, digest, created, tool }))
    }

    /// Returns a time as documents have it; the epoch's, where there is one, so that documents stay the same.
    fn time(&self, solved: &Solved, time: SystemTime) -> String {
        let epoch = solved.plan.epoch.or(self.reproducible.then_some(0));
        let time = match epoch.and_then(|epoch| jiff::Timestamp::from_second(epoch).ok()) {
            Some(epoch) => epoch,
            None => jiff::Timestamp::try_from(time).unwrap_or_default(),
        };
        time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn facts(&self, solved: &Solved, number: usize) -> Provenance {
        let target = solved.plan.targets().nth(number).and_then(|target| target.vertex);
        let steps = Steps::of(solved, target);
        let wanted = self.wanted.provenance.as_ref();
        let source = self.source();
        let mut locals = steps.contexts.clone();
        if source.is_none() {
            locals = vec!["context".to_owned(), "dockerfile".to_owned()];
            locals.extend(steps.contexts.iter().filter(|name| *name != "context").cloned());
        }
        let complete = locals.is_empty() && !steps.network && !steps.unknown;
        let mut dependencies = steps.dependencies;
        dependencies.extend(source.clone());
        Provenance {
            builder_id: wanted.map(|wanted| wanted.builder_id.clone()).unwrap_or_default(),
            dockerfile: self.options.source.name().to_owned(),
            text: self.options.source.text().to_owned(),
            source,
            args: self.request_args(),
            secrets: steps.secrets,
            ssh: steps.ssh,
            locals,
            platform: Platform::host().to_string(),
            dependencies,
            complete,
            hermetic: complete,
            reproducible: self.reproducible || wanted.is_some_and(|wanted| wanted.reproducible),
            steps: steps.steps,
            layers: Vec::new(),
            invocation: match self.reproducible {
                true => String::new(),
                false => self.reference.rsplit('/').next().unwrap_or_default().to_owned(),
            },
            started: self.time(solved, solved.started),
            finished: self.time(solved, SystemTime::now()),
            vcs: vcs::facts(&self.args.context),
        }
    }

    /// Returns where a context comes from that is no directory of the machine.
    fn source(&self) -> Option<Dependency> {
        let context = &self.args.context;
        let remote =
            context.contains("://") || context.starts_with("git@") || context.starts_with("github.com/");
        remote.then(|| Dependency { uri: without_credentials(context), digest: None })
    }

    /// Returns the flags by the names that BuildKit's frontend has for them.
    fn request_args(&self) -> BTreeMap<String, String> {
        let options = self.options;
        let mut args = BTreeMap::new();
        for (name, value) in &options.build_args {
            args.insert(format!("build-arg:{name}"), without_credentials(value));
        }
        for (name, value) in &options.labels {
            args.insert(format!("label:{name}"), value.clone());
        }
        let mut set = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                args.insert(key.to_owned(), value);
            }
        };
        set("target", options.target.clone());
        set("no-cache", options.no_cache.then(String::new));
        set("no-cache", (!options.no_cache_filter.is_empty()).then(|| options.no_cache_filter.join(",")));
        set("image-resolve-mode", options.pull.then(|| "pull".to_owned()));
        set(
            "force-network-mode",
            match options.network {
                NetworkMode::Default | NetworkMode::Bridge => None,
                NetworkMode::None => Some("none".to_owned()),
                NetworkMode::Host => Some("host".to_owned()),
            },
        );
        set("shm-size", options.shm_size.map(|size| size.to_string()));
        set("cgroup-parent", options.cgroup_parent.clone());
        args
    }
}

/// Returns every file below a root with its digest.
fn files(root: &Root) -> Result<Vec<Subject>, CliError> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut subjects = Vec::new();
    for file in walk(root, b"", |_| Visit::Take).map_err(|e| failed(&e))? {
        if !file.stat.is_file() {
            continue;
        }
        let opened =
            root.open_file_nofollow(std::ffi::OsStr::from_bytes(&file.path)).map_err(|e| failed(&e))?;
        let mut reader = HashingReader::new(opened.take(u64::MAX));
        std::io::copy(&mut reader, &mut std::io::sink())?;
        let name = String::from_utf8_lossy(&file.path).into_owned();
        subjects.push(Subject { name, digest: reader.finish() });
    }
    Ok(subjects)
}
