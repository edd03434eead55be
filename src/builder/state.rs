//! What a stage is at one of its instructions: environment, directory, config, history.

use std::sync::Arc;

use super::env::Env;
use super::graph::VertexIndex;
use crate::image::{History, ImageConfig, Platform};

/// Arguments that say what a bill of materials covers; no process and no expansion sees them.
const NO_VARIABLES: &[&str] = &["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// `PATH` where an image sets none.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Comment of history entries, as BuildKit's Dockerfile frontend writes it.
pub const COMMENT: &str = "buildkit.dockerfile.v0";

/// The state of a stage.
#[derive(Debug, Clone, Default)]
pub struct StageState {
    /// Config and platform; `history`, `rootfs`, `created` and the variables are empty.
    pub image: ImageConfig,
    /// The variables of the config: those of ENV alone.
    pub config_env: Env,
    /// The history so far.
    pub history: Vec<Arc<PlannedHistory>>,
    /// ENV and ARG values, as RUN and expansion see them.
    pub env: Env,
    /// Names that `ARG` declared, each once, in order; their values are in `env`.
    pub arguments: Env,
    /// The step whose result is the root; none is an empty one.
    pub vertex: Option<VertexIndex>,
    /// Whether this stage itself has set CMD.
    pub has_cmd: bool,
}

/// An entry of the history to be.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedHistory {
    /// The entry; new ones have no time yet.
    pub entry: History,
    /// The step whose layer it describes; base layers have none, like entries without layer.
    pub vertex: Option<VertexIndex>,
    /// Whether it came with the base image.
    pub from_base: bool,
}

impl StageState {
    /// Returns the state of `FROM scratch`.
    pub fn scratch(platform: &Platform) -> Self {
        let mut image = ImageConfig::scratch(platform);
        image.config.working_dir = "/".to_owned();
        let mut state = Self { image, ..Self::default() };
        state.begin();
        state
    }

    /// Returns the state of `FROM` an image, whose layers `vertex` brings.
    pub fn of_image(config: &ImageConfig, vertex: Option<VertexIndex>) -> Self {
        let mut image = config.clone();
        let history = std::mem::take(&mut image.history);
        image.rootfs = Default::default();
        image.created = None;
        image.config.on_build.clear();
        // What docker noted of the container that an image was committed from says nothing about the image.
        image.config.extra.clear();
        let planned = |entry| Arc::new(PlannedHistory { entry, vertex: None, from_base: true });
        let history = history.into_iter().map(planned).collect();
        let mut state = Self { image, history, vertex, ..Self::default() };
        state.begin();
        state
    }

    /// Returns the state of a stage that is built on this one.
    pub fn child(&self) -> Self {
        let mut state = Self { has_cmd: false, ..self.clone() };
        state.image.config.on_build.clear();
        state.begin();
        state
    }

    /// What happens at every `FROM`: a `PATH` where there is none, and the config's variables over all others.
    fn begin(&mut self) {
        let pairs = std::mem::take(&mut self.image.config.env);
        self.config_env.add_pairs(&pairs);
        if self.config_env.get("PATH").is_none() && self.image.os != "windows" {
            self.config_env.set("PATH", DEFAULT_PATH);
        }
        for (name, value) in self.config_env.iter() {
            self.env.set(name, value);
        }
    }

    /// Puts the variables into the config, where the image has them.
    pub fn finish(&mut self) {
        self.image.config.env = self.config_env.to_pairs();
    }

    /// Returns the directory in which instructions work; absolute.
    pub fn workdir(&self) -> String {
        match self.image.config.working_dir.as_str() {
            "" => "/".to_owned(),
            dir if dir.starts_with('/') => dir.to_owned(),
            dir => format!("/{dir}"),
        }
    }

    /// Returns the shell of shell forms.
    pub fn shell(&self) -> Vec<String> {
        match &self.image.config.shell {
            Some(shell) if !shell.is_empty() => shell.clone(),
            _ if self.image.os == "windows" => ["cmd", "/S", "/C"].map(str::to_owned).to_vec(),
            _ => ["/bin/sh", "-c"].map(str::to_owned).to_vec(),
        }
    }

    /// Returns the words of a shell form.
    pub fn with_shell(&self, text: &str) -> Vec<String> {
        let mut words = self.shell();
        words.push(text.to_owned());
        words
    }

    /// Declares an argument; without a value it changes nothing but the history of later RUNs.
    ///
    /// Arguments that only say what a bill of materials covers are never variables.
    pub fn declare(&mut self, name: &str, value: Option<&str>) {
        self.arguments.set(name, value.unwrap_or_default());
        if let Some(value) = value
            && !NO_VARIABLES.contains(&name)
        {
            self.env.set(name, value);
        }
    }

    /// Adds an entry without a layer.
    pub fn note(&mut self, created_by: String) {
        self.push(created_by, None);
    }

    /// Adds an entry with the layer of a step, which becomes the root.
    pub fn layer(&mut self, created_by: String, vertex: VertexIndex) {
        self.vertex = Some(vertex);
        self.push(created_by, Some(vertex));
    }

    fn push(&mut self, created_by: String, vertex: Option<VertexIndex>) {
        let entry = History {
            created_by,
            comment: COMMENT.to_owned(),
            empty_layer: vertex.is_none(),
            ..History::default()
        };
        self.history.push(Arc::new(PlannedHistory { entry, vertex, from_base: false }));
    }
}
