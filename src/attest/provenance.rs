//! SLSA provenance, version 1 and 0.2, in the shape that BuildKit gives it.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::image::{Descriptor, Digest};

const BUILD_TYPE_V1: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
const BUILD_TYPE_V02: &str = "https://mobyproject.org/buildkit@v1";
const METADATA_V02: &str = "https://mobyproject.org/buildkit@v1#metadata";

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProvenanceMode {
    /// No build arguments, labels, secrets' names, steps, sources.
    #[default]
    Min,
    /// Everything but values of secrets.
    Max,
}

/// Which version of the predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProvenanceVersion {
    /// `https://slsa.dev/provenance/v1`
    #[default]
    V1,
    /// `https://slsa.dev/provenance/v0.2`
    V02,
}

impl ProvenanceVersion {
    /// Returns the predicate's type.
    pub fn predicate_type(self) -> &'static str {
        match self {
            Self::V1 => "https://slsa.dev/provenance/v1",
            Self::V02 => "https://slsa.dev/provenance/v0.2",
        }
    }
}

/// Something that went into the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// A package URL or a URL, without credentials.
    pub uri: String,
    /// Algorithm and hexadecimal digest; none where it is not known.
    pub digest: Option<(String, String)>,
}

/// A secret or an agent that steps may use, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Required {
    /// Its id.
    pub id: String,
    /// Whether the build goes on without it.
    pub optional: bool,
}

/// A step of the build.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it does.
    pub op: Value,
    /// Numbers of the steps that it needs.
    pub inputs: Vec<usize>,
    /// Its lines in the Dockerfile.
    pub range: Option<SourceRange>,
}

/// Lines of the Dockerfile, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRange {
    /// The first.
    pub first: usize,
    /// The last.
    pub last: usize,
}

/// The layers that a step's result has.
#[derive(Debug, Clone, PartialEq)]
pub struct Layers {
    /// The step's number.
    pub step: usize,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
}

/// The facts of a build.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provenance {
    /// Who built it: a URL, if there is one.
    pub builder_id: String,
    /// The Dockerfile's path in its source.
    pub dockerfile: String,
    /// The Dockerfile's text.
    pub text: String,
    /// Where the context comes from, unless it is a directory of the machine.
    pub source: Option<Dependency>,
    /// Flags of the build by BuildKit's names.
    pub args: BTreeMap<String, String>,
    /// Secrets that steps may use.
    pub secrets: Vec<Required>,
    /// Agents that steps may use.
    pub ssh: Vec<Required>,
    /// Directories of the machine that were read.
    pub locals: Vec<String>,
    /// The machine's platform.
    pub platform: String,
    /// What went in.
    pub dependencies: Vec<Dependency>,
    /// Whether `dependencies` is all that went in.
    pub complete: bool,
    /// Whether no step had a network.
    pub hermetic: bool,
    /// Whether someone vouches that building again gives the same.
    pub reproducible: bool,
    /// The steps.
    pub steps: Vec<Step>,
    /// The layers of the result.
    pub layers: Vec<Layers>,
    /// A name for the build; empty leaves it out.
    pub invocation: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// When it ended.
    pub finished: String,
    /// `vcs:` facts of the context's repository.
    pub vcs: BTreeMap<String, String>,
}

impl Provenance {
    /// Returns the predicate.
    pub fn predicate(&self, version: ProvenanceVersion, mode: ProvenanceMode) -> Value {
        match version {
            ProvenanceVersion::V1 => self.v1(mode),
            ProvenanceVersion::V02 => self.v02(mode),
        }
    }

    fn v1(&self, mode: ProvenanceMode) -> Value {
        let max = mode == ProvenanceMode::Max;
        let (args, whole) = self.shown_args(max);
        let mut internal = Map::new();
        if max {
            internal.insert("buildConfig".to_owned(), self.build_config());
        }
        internal.insert("builderPlatform".to_owned(), json!(self.platform));
        let mut metadata = self.buildkit_metadata(max);
        if !self.vcs.is_empty() {
            metadata.insert("vcs".to_owned(), json!(self.vcs));
        }
        let mut run = Map::new();
        if !self.invocation.is_empty() {
            run.insert("invocationId".to_owned(), json!(self.invocation));
        }
        run.insert("startedOn".to_owned(), json!(self.started));
        run.insert("finishedOn".to_owned(), json!(self.finished));
        run.insert("buildkit_metadata".to_owned(), Value::Object(metadata));
        if self.hermetic {
            run.insert("buildkit_hermetic".to_owned(), json!(true));
        }
        run.insert(
            "buildkit_completeness".to_owned(),
            json!({"request": whole, "resolvedDependencies": self.complete}),
        );
        if self.reproducible {
            run.insert("buildkit_reproducible".to_owned(), json!(true));
        }
        let mut request = self.request(args, max);
        request.insert("frontend".to_owned(), json!("dockerfile.v0"));
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE_V1,
                "externalParameters": {
                    "configSource": self.config_source("path"),
                    "request": request,
                },
                "internalParameters": internal,
                "resolvedDependencies": self.dependencies(),
            },
            "runDetails": {"builder": {"id": self.builder_id}, "metadata": run},
        })
    }

    fn v02(&self, mode: ProvenanceMode) -> Value {
        let max = mode == ProvenanceMode::Max;
        let (args, whole) = self.shown_args(max);
        let mut parameters = self.request(args, max);
        parameters.insert("frontend".to_owned(), json!("dockerfile.v0"));
        let mut metadata = Map::new();
        if !self.invocation.is_empty() {
            metadata.insert("buildInvocationID".to_owned(), json!(self.invocation));
        }
        metadata.insert("buildStartedOn".to_owned(), json!(self.started));
        metadata.insert("buildFinishedOn".to_owned(), json!(self.finished));
        metadata.insert(
            "completeness".to_owned(),
            json!({"parameters": whole, "environment": true, "materials": self.complete}),
        );
        metadata.insert("reproducible".to_owned(), json!(self.reproducible));
        if self.hermetic {
            metadata.insert("https://mobyproject.org/buildkit@v1#hermetic".to_owned(), json!(true));
        }
        let mut inner = self.buildkit_metadata(max);
        if !self.vcs.is_empty() {
            inner.insert("vcs".to_owned(), json!(self.vcs));
        }
        if !inner.is_empty() {
            metadata.insert(METADATA_V02.to_owned(), Value::Object(inner));
        }
        let mut predicate = Map::new();
        predicate.insert("builder".to_owned(), json!({"id": self.builder_id}));
        predicate.insert("buildType".to_owned(), json!(BUILD_TYPE_V02));
        predicate.insert("materials".to_owned(), self.dependencies());
        predicate.insert(
            "invocation".to_owned(),
            json!({
                "configSource": self.config_source("entryPoint"),
                "parameters": parameters,
                "environment": {"platform": self.platform},
            }),
        );
        if max {
            predicate.insert("buildConfig".to_owned(), self.build_config());
        }
        predicate.insert("metadata".to_owned(), Value::Object(metadata));
        Value::Object(predicate)
    }

    /// Returns the flags that are shown, and whether they are all.
    fn shown_args(&self, max: bool) -> (BTreeMap<&String, &String>, bool) {
        let hidden = |key: &str| key.starts_with("build-arg:") || key.starts_with("label:");
        let args: BTreeMap<&String, &String> =
            self.args.iter().filter(|(key, _)| max || !hidden(key)).collect();
        let whole = args.len() == self.args.len();
        (args, whole)
    }

    fn request(&self, args: BTreeMap<&String, &String>, max: bool) -> Map<String, Value> {
        let mut request = Map::new();
        if !args.is_empty() {
            request.insert("args".to_owned(), json!(args));
        }
        let list = |all: &[Required]| -> Value {
            let one = |one: &Required| match one.optional {
                true => json!({"id": one.id, "optional": true}),
                false => json!({"id": one.id}),
            };
            all.iter().map(one).collect()
        };
        if max && !self.secrets.is_empty() {
            request.insert("secrets".to_owned(), list(&self.secrets));
        }
        if max && !self.ssh.is_empty() {
            request.insert("ssh".to_owned(), list(&self.ssh));
        }
        if !self.locals.is_empty() {
            let locals: Vec<Value> = self.locals.iter().map(|name| json!({"name": name})).collect();
            request.insert("locals".to_owned(), Value::Array(locals));
        }
        request
    }

    fn config_source(&self, path: &str) -> Value {
        let mut source = Map::new();
        if let Some(from) = &self.source {
            source.insert("uri".to_owned(), json!(from.uri));
            if let Some((algorithm, digest)) = &from.digest {
                source.insert("digest".to_owned(), json!({algorithm.as_str(): digest}));
            }
        }
        source.insert(path.to_owned(), json!(self.dockerfile));
        Value::Object(source)
    }

    fn dependencies(&self) -> Value {
        let one = |one: &Dependency| match &one.digest {
            Some((algorithm, digest)) => json!({"uri": one.uri, "digest": {algorithm.as_str(): digest}}),
            None => json!({"uri": one.uri}),
        };
        self.dependencies.iter().map(one).collect()
    }

    /// Returns the steps, and behind them the one that stands for the result.
    fn build_config(&self) -> Value {
        let id = |number: usize| format!("step{number}");
        let mut mapping = BTreeMap::new();
        let mut steps = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            let mut entry = Map::new();
            entry.insert("id".to_owned(), json!(id(number)));
            entry.insert("op".to_owned(), step.op.clone());
            if !step.inputs.is_empty() {
                let inputs: Vec<String> = step.inputs.iter().map(|n| format!("step{n}:0")).collect();
                entry.insert("inputs".to_owned(), json!(inputs));
            }
            // What a step stands on is part of what it is.
            let bytes = serde_json::to_vec(&entry).expect("JSON serialises");
            mapping.insert(Digest::of(&bytes).to_string(), id(number));
            steps.push(Value::Object(entry));
        }
        json!({"llbDefinition": steps, "digestMapping": mapping})
    }

    fn buildkit_metadata(&self, max: bool) -> Map<String, Value> {
        let mut metadata = Map::new();
        if !max {
            return metadata;
        }
        let mut locations = BTreeMap::new();
        for (number, step) in self.steps.iter().enumerate() {
            if let Some(range) = step.range {
                let range = json!({"start": {"line": range.first}, "end": {"line": range.last}});
                locations.insert(format!("step{number}"), json!({"locations": [{"ranges": [range]}]}));
            }
        }
        let data = base64::engine::general_purpose::STANDARD.encode(&self.text);
        let info = json!({"filename": self.dockerfile, "language": "Dockerfile", "data": data});
        metadata.insert("source".to_owned(), json!({"locations": locations, "infos": [info]}));
        if !self.layers.is_empty() {
            let layers: BTreeMap<String, Value> =
                self.layers.iter().map(|one| (format!("step{}:0", one.step), json!([one.layers]))).collect();
            metadata.insert("layers".to_owned(), json!(layers));
        }
        metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Provenance {
        Provenance {
            dockerfile: "Dockerfile".to_owned(),
            text: "FROM scratch\n".to_owned(),
            args: [("build-arg:V", "2"), ("label:L", "1"), ("target", "x")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            secrets: vec![Required { id: "s".to_owned(), optional: true }],
            platform: "linux/amd64".to_owned(),
            steps: vec![Step {
                op: json!({}),
                inputs: vec![],
                range: Some(SourceRange { first: 1, last: 1 }),
            }],
            ..Provenance::default()
        }
    }

    #[test]
    fn the_short_form_says_nothing_of_arguments_and_secrets() {
        for version in [ProvenanceVersion::V1, ProvenanceVersion::V02] {
            let text = facts().predicate(version, ProvenanceMode::Min).to_string();
            for hidden in ["build-arg", "label", "\"s\"", "step0", "infos"] {
                assert!(!text.contains(hidden), "{hidden} in {text}");
            }
            assert!(text.contains("\"target\":\"x\""), "{text}");
            let text = facts().predicate(version, ProvenanceMode::Max).to_string();
            for shown in ["\"build-arg:V\":\"2\"", "\"optional\":true", "step0", "RlJPTSBzY3JhdGNoCg=="] {
                assert!(text.contains(shown), "{shown} not in {text}");
            }
        }
    }

    #[test]
    fn completeness_is_told() {
        let request =
            |mode| facts().v1(mode)["runDetails"]["metadata"]["buildkit_completeness"]["request"].clone();
        assert_eq!(request(ProvenanceMode::Min), json!(false));
        assert_eq!(request(ProvenanceMode::Max), json!(true));
        let v02 = facts().v02(ProvenanceMode::Min);
        assert_eq!(v02["invocation"]["configSource"]["entryPoint"], json!("Dockerfile"));
    }
}
