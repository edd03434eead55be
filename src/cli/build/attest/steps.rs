//! The steps of a solved build as provenance shows them: in the shape of BuildKit's operations.

use serde_json::{Map, Value, json};

use crate::attest::{Dependency, Required, SourceRange, Step, image_purl, without_credentials};
use crate::builder::NetworkMode;
use crate::builder::Solved;
use crate::builder::graph::{CopyOp, CopySourceOp, MountOp, Op, Place, RunOp, Vertex, VertexIndex};
use crate::image::{Platform, Reference};

/// What the steps of one target show.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// The steps, and behind them the one that stands for the result.
    pub(super) steps: Vec<Step>,
    /// Images and downloads that they use.
    pub(super) dependencies: Vec<Dependency>,
    /// Secrets that they may see.
    pub(super) secrets: Vec<Required>,
    /// Agents that they may use.
    pub(super) ssh: Vec<Required>,
    /// Whether a process had a network.
    pub(super) network: bool,
    /// Whether they read the main context, or a named one.
    pub(super) contexts: Vec<String>,
    /// Whether something has no digest.
    pub(super) unknown: bool,
}

impl Steps {
    /// Reads the steps that a target needs.
    pub(super) fn of(solved: &Solved, target: Option<VertexIndex>) -> Self {
        let vertices = &solved.plan.graph.vertices;
        let wanted = solved.plan.graph.needed(target);
        let mut steps = Self::default();
        let mut numbers = vec![0; vertices.len()];
        for (index, vertex) in vertices.iter().enumerate().filter(|(index, _)| wanted[*index]) {
            numbers[index] = steps.steps.len();
            let inputs = vertex.inputs().iter().map(|input| numbers[*input]).collect();
            let op = steps.op(vertex, solved);
            let range =
                vertex.span.map(|span| SourceRange { first: span.first as usize, last: span.last as usize });
            steps.steps.push(Step { op, inputs, range });
        }
        let inputs = target.map(|target| numbers[target]).into_iter().collect();
        steps.steps.push(Step { op: json!({"Op": {}}), inputs, range: None });
        steps.finish();
        steps
    }

    fn finish(&mut self) {
        self.secrets.sort();
        self.secrets.dedup();
        self.ssh.sort();
        self.ssh.dedup();
        self.contexts.sort();
        self.contexts.dedup();
        let mut seen = std::collections::HashSet::new();
        self.dependencies.retain(|one| seen.insert((one.uri.clone(), one.digest.clone())));
        self.unknown = self.dependencies.iter().any(|one| one.digest.is_none());
    }

    fn op(&mut self, vertex: &Vertex, solved: &Solved) -> Value {
        match &vertex.op {
            Op::Source(source) => {
                let image = solved.plan.images.iter().find(|image| image.manifest == source.manifest);
                let platform = image.map(|image| image.config.platform());
                self.image(&source.name, &source.manifest.to_string(), platform.as_ref());
                let identifier = format!("docker-image://{}@{}", source.name, source.manifest);
                platformed(json!({"Op": {"source": {"identifier": identifier}}}), platform.as_ref())
            }
            Op::Run(run) => self.run(run),
            Op::Copy(copy) => self.copy(copy),
            Op::Workdir(workdir) => json!({"Op": {"file": {"actions": [{"Action": {
                "mkdir": {"path": workdir.path, "mode": 0o755, "makeParents": true}
            }}]}}}),
        }
    }

    fn image(&mut self, name: &str, digest: &str, platform: Option<&Platform>) {
        let uri = match Reference::parse(name) {
            Ok(reference) => image_purl(&reference.or_latest(), platform),
            Err(_) => name.to_owned(),
        };
        let digest = digest.split_once(':').map(|(algorithm, hex)| (algorithm.to_owned(), hex.to_owned()));
        self.dependencies.push(Dependency { uri, digest });
    }

    fn run(&mut self, run: &RunOp) -> Value {
        self.network |= run.network != NetworkMode::None;
        let mut mounts = vec![json!({"dest": "/"})];
        for mount in &run.mounts {
            if let Some(place) = mount.from() {
                self.place(place);
            }
            mounts.push(self.mount(mount));
        }
        let env: Vec<String> = run.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut exec = Map::new();
        let cwd = if run.cwd.is_empty() { "/" } else { &run.cwd };
        let mut meta = json!({"args": run.args, "env": env, "cwd": cwd});
        if !run.user.is_empty() {
            meta["user"] = json!(run.user);
        }
        exec.insert("meta".to_owned(), meta);
        exec.insert("mounts".to_owned(), Value::Array(mounts));
        let network = match run.network {
            // A network of a name is one of the builder's own, as the default is for BuildKit.
            NetworkMode::Default | NetworkMode::Bridge => 0,
            NetworkMode::Host => 1,
            NetworkMode::None => 2,
        };
        if network != 0 {
            exec.insert("network".to_owned(), json!(network));
        }
        if run.insecure {
            exec.insert("security".to_owned(), json!(1));
        }
        platformed(json!({"Op": {"exec": exec}}), Platform::parse(&run.platform).ok().as_ref())
    }

    /// Returns a mount; of secrets and agents only their names are known here.
    fn mount(&mut self, mount: &MountOp) -> Value {
        match mount {
            MountOp::Bind { target, source, writable, .. } => {
                json!({"dest": target, "selector": source, "readonly": !writable})
            }
            MountOp::Cache { target, id, .. } => {
                json!({"dest": target, "mountType": 3, "cacheOpt": {"ID": id}})
            }
            MountOp::Tmpfs { target, size } => {
                json!({"dest": target, "mountType": 4, "tmpfsOpt": {"size": size.unwrap_or(0)}})
            }
            MountOp::Secret { id, target, env, mode, required, .. } => {
                let optional = !required;
                self.secrets.push(Required { id: id.clone(), optional });
                let dest = target.clone().or_else(|| env.clone()).unwrap_or_default();
                json!({"dest": dest, "mountType": 1, "secretOpt": {"ID": id, "mode": mode, "optional": optional}})
            }
            MountOp::Ssh { id, target, mode, required, .. } => {
                let optional = !required;
                self.ssh.push(Required { id: id.clone(), optional });
                json!({"dest": target, "mountType": 2, "SSHOpt": {"ID": id, "mode": mode, "optional": optional}})
            }
        }
    }

    fn copy(&mut self, copy: &CopyOp) -> Value {
        let mut actions = Vec::new();
        for source in &copy.sources {
            let from = match source {
                CopySourceOp::Path { place, path, .. } => {
                    self.place(place);
                    path.clone()
                }
                CopySourceOp::Heredoc { name, .. } => format!("<<{name}"),
                CopySourceOp::Url { url, checksum, .. } => {
                    let uri = without_credentials(url);
                    let digest = checksum.as_ref().and_then(|digest| {
                        let text = digest.to_string();
                        text.split_once(':').map(|(algorithm, hex)| (algorithm.to_owned(), hex.to_owned()))
                    });
                    self.dependencies.push(Dependency { uri: uri.clone(), digest });
                    uri
                }
                CopySourceOp::Git { url, checksum, .. } => {
                    let uri = without_credentials(url);
                    let digest = checksum.clone().map(|commit| ("sha1".to_owned(), commit));
                    self.dependencies.push(Dependency { uri: uri.clone(), digest });
                    uri
                }
            };
            let mut action = json!({"src": from, "dest": copy.destination, "createDestPath": true});
            for (key, value) in [("owner", &copy.chown), ("modeStr", &copy.chmod)] {
                if let Some(value) = value {
                    action[key] = json!(value);
                }
            }
            if !copy.excludes.is_empty() {
                action["excludePatterns"] = json!(copy.excludes);
            }
            actions.push(json!({"Action": {"copy": action}}));
        }
        json!({"Op": {"file": {"actions": actions}}})
    }

    fn place(&mut self, place: &Place) {
        match place {
            Place::Context => self.contexts.push("context".to_owned()),
            Place::Named(name) => self.contexts.push(name.clone()),
            Place::Vertex(_) | Place::Scratch => {}
        }
    }
}

fn platformed(mut op: Value, platform: Option<&Platform>) -> Value {
    if let Some(platform) = platform {
        op["platform"] = json!({"Architecture": platform.architecture, "OS": platform.os});
        if let Some(variant) = &platform.variant {
            op["platform"]["Variant"] = json!(variant);
        }
    }
    op
}
