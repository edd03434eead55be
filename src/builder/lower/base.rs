//! What a stage stands on: another stage, an image, files, nothing; and the triggers that come with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Here, Lowering, makes_step};
use crate::builder::error::{BuildError, ErrorKind, invalid};
use crate::builder::graph::{CopyOp, CopySourceOp, Op, Place, SourceOp, Vertex, VertexIndex};
use crate::builder::options::Input;
use crate::builder::quote::quoted;
use crate::builder::source::ResolvedImage;
use crate::builder::stages::Stage;
use crate::builder::state::{PlannedHistory, StageState};
use crate::image::{History, ImageConfig, Platform, Reference};
use crate::parser::Instruction;

/// Comment of history entries for layers that nothing describes, as BuildKit's exporter writes it.
const GAP_COMMENT: &str = "buildkit.exporter.image.v0";

/// Returns a name of a context as it is looked up: lowered, normalised as an image name, without `latest`.
pub fn context_name(name: &str) -> String {
    let lower = name.to_lowercase();
    match Reference::parse(&lower) {
        Ok(reference) => {
            let familiar = reference.or_latest().familiar();
            familiar.strip_suffix(":latest").map_or_else(|| familiar.clone(), str::to_owned)
        }
        Err(_) => lower,
    }
}

/// Returns the key under which a name's context was given, the one for the wanted platform first.
pub fn context_key<'a>(
    contexts: &'a BTreeMap<String, Input>,
    name: &str,
    wanted: &Platform,
) -> Option<&'a String> {
    if contexts.is_empty() || name == "scratch" {
        return None;
    }
    let name = context_name(name);
    let wanted = wanted.to_string();
    let fits = |key: &&String, platform: Option<&str>| match key.split_once("::") {
        Some((base, given)) => platform == Some(given) && context_name(base) == name,
        None => platform.is_none() && context_name(key) == name,
    };
    let find = |platform| contexts.keys().find(|key| fits(key, platform));
    find(Some(wanted.as_str())).or_else(|| find(None))
}

impl Lowering<'_> {
    /// Returns the named context of a name, the one for the wanted platform first.
    pub(super) fn named_context(&self, name: &str) -> Option<&Input> {
        self.named_key(name).map(|key| &self.options.named_contexts[key])
    }

    /// Returns the named context that replaces a stage as a whole; none replaces a stage called `context`.
    pub(super) fn replacement(&self, stage: &Stage<'_>) -> Option<&Input> {
        self.named_context(stage.name.as_deref().filter(|name| *name != "context")?)
    }

    /// Returns the key under which a name's context was given, however it was spelled.
    fn named_key(&self, name: &str) -> Option<&String> {
        context_key(&self.options.named_contexts, name, &self.stages.wanted)
    }

    /// Returns the state of a stage's beginning and the triggers that run in it.
    pub(super) fn base(&mut self, here: &mut Here) -> Result<(StageState, Vec<Instruction>), BuildError> {
        let stage = &self.stages.stages[here.index];
        if let Some(parent) = self.stages.earlier_named(&stage.base, here.index) {
            let parent = self.done[parent].as_ref().expect("stages are lowered in order");
            let triggers = triggers(&parent.image.config.on_build)?;
            let state = parent.child();
            here.total += count_steps(&triggers);
            self.trigger_needs(&triggers, here.index)?;
            return Ok((state, triggers));
        }
        let explicit = stage.platform.clone().or_else(|| self.options.platform.clone());
        if stage.base == "scratch" {
            let platform = explicit.unwrap_or_else(|| self.stages.wanted.clone());
            return Ok((StageState::scratch(&platform), Vec::new()));
        }
        match self.named_context(&stage.base).cloned() {
            Some(Input::Image(name)) => {
                if name == "scratch" {
                    return Ok((StageState::scratch(&self.stages.wanted), Vec::new()));
                }
                self.image_base(&name, explicit, here)
            }
            Some(Input::Tree(_) | Input::Git(_) | Input::Url(_)) => {
                let name = stage.base.clone();
                here.total += 1;
                Ok((self.tree_state(&name, here), Vec::new()))
            }
            None => self.image_base(&stage.base.clone(), explicit, here),
        }
    }

    fn image_base(
        &mut self,
        name: &str,
        platform: Option<Platform>,
        here: &mut Here,
    ) -> Result<(StageState, Vec<Instruction>), BuildError> {
        let image = self.resolve(name, platform.clone())?;
        let triggers = triggers(&image.config.config.on_build)?;
        here.total += 1 + count_steps(&triggers);
        let line = self.numbered(&format!("FROM {}", image.name), here);
        let vertex = self.source(name, platform.clone(), &image, line, Some(here));
        let mut state = self.of_image(&image.config, vertex);
        fill_gaps(&mut state.history, image.diff_ids.len());
        self.trigger_needs(&triggers, here.index)?;
        Ok((state, triggers))
    }

    /// Returns the state of a stage on an image, without the labels that are not to be taken from it.
    fn of_image(&self, config: &ImageConfig, vertex: Option<VertexIndex>) -> StageState {
        let extras = &self.options.extras;
        let mut state = StageState::of_image(config, vertex);
        let labels = &mut state.image.config.labels;
        labels.retain(|name, _| !extras.no_base_labels && !extras.unset_labels.contains(name));
        state
    }

    /// Lowers the stages that triggers name, which no text of this file does.
    fn trigger_needs(&mut self, triggers: &[Instruction], current: usize) -> Result<(), BuildError> {
        for trigger in triggers {
            let mut needs = Vec::new();
            self.instruction_needs(trigger, &mut needs)?;
            let stages: Vec<usize> = needs.iter().map(|need| need.stage).collect();
            for need in &needs {
                self.check_order(current, need)?;
            }
            for stage in stages {
                self.ensure(stage)?;
            }
        }
        Ok(())
    }

    /// Returns the state of a whole stage that a named context stands for.
    pub(super) fn replaced(
        &mut self,
        name: &str,
        input: &Input,
        index: usize,
    ) -> Result<StageState, BuildError> {
        let span = self.stages.stages[index].head.span;
        let mut here = Here { index, total: 1, counted: 0, position: 0, trigger: false, span };
        match input {
            Input::Tree(_) | Input::Git(_) | Input::Url(_) => Ok(self.tree_state(name, &mut here)),
            Input::Image(image) if image == "scratch" => Ok(StageState::scratch(&self.stages.wanted)),
            Input::Image(image) => {
                let platform = self.options.platform.clone();
                let resolved = self.resolve(image, platform.clone())?;
                let line = self.numbered(&format!("FROM {}", resolved.name), &mut here);
                let vertex = self.source(image, platform, &resolved, line, Some(&here));
                let mut state = self.of_image(&resolved.config, vertex);
                fill_gaps(&mut state.history, resolved.diff_ids.len());
                Ok(state)
            }
        }
    }

    /// Returns a root made of a named context's files.
    fn tree_state(&mut self, name: &str, here: &mut Here) -> StageState {
        let mut state = StageState::scratch(&self.stages.wanted);
        let op = CopyOp {
            sources: vec![CopySourceOp::Path {
                place: Place::Named(self.named_key(name).cloned().unwrap_or_default()),
                path: "/".to_owned(),
                unpack: false,
            }],
            destination: "/".to_owned(),
            workdir: String::new(),
            chown: None,
            chmod: None,
            link: true,
            parents: false,
            excludes: Vec::new(),
            epoch: self.epoch,
        };
        let line = self.numbered(&format!("FROM {name}"), here);
        let vertex = self.graph.add(Vertex {
            name: line,
            stage: self.stages.label(here.index),
            position: 0,
            text: format!("FROM {name}"),
            span: Some(here.span),
            parent: None,
            ignore_cache: self.options.no_cache,
            op: Op::Copy(Box::new(op)),
        });
        state.vertex = Some(vertex);
        state.history.push(gap(Some(vertex)));
        state
    }

    /// Finds an image's metadata, once for each name and platform.
    fn resolve(&mut self, name: &str, platform: Option<Platform>) -> Result<ResolvedImage, BuildError> {
        let key = (name.to_owned(), platform);
        if let Some((image, _)) = self.sources.get(&key) {
            return Ok(image.clone());
        }
        let failed = |name: String| move |source| BuildError::from(ErrorKind::Image { name, source });
        let image = if name.starts_with("oci-layout://") || name.starts_with("target:") {
            self.images.resolve_layout(name, key.1.as_ref()).map_err(failed(name.to_owned()))?
        } else {
            let reference = image_name(name)?.or_latest();
            self.images
                .resolve(&reference, key.1.as_ref(), self.options.pull)
                .map_err(failed(reference.to_string()))?
        };
        self.resolved.push(image.clone());
        self.sources.insert(key, (image.clone(), None));
        Ok(image)
    }

    /// Returns the vertex of an image's layers, none if it has no layers.
    fn source(
        &mut self,
        name: &str,
        platform: Option<Platform>,
        image: &ResolvedImage,
        line: String,
        here: Option<&Here>,
    ) -> Option<VertexIndex> {
        if image.diff_ids.is_empty() {
            return None;
        }
        let key = (name.to_owned(), platform);
        if let Some((_, Some(vertex))) = self.sources.get(&key) {
            return Some(*vertex);
        }
        let op =
            SourceOp { name: image.name.clone(), manifest: image.manifest, diff_ids: image.diff_ids.clone() };
        let vertex = self.graph.add(Vertex {
            name: line,
            stage: here.map(|here| self.stages.label(here.index)).unwrap_or_default(),
            position: 0,
            text: format!("FROM {name}"),
            span: here.map(|here| here.span),
            parent: None,
            ignore_cache: false,
            op: Op::Source(op),
        });
        self.sources.insert(key, (image.clone(), Some(vertex)));
        Some(vertex)
    }

    /// Returns the place that `--from` or a mount's `from` names when it is no stage: a context, else an image.
    pub(super) fn outside(&mut self, from: &str) -> Result<Place, BuildError> {
        let name = match self.named_context(from) {
            Some(Input::Tree(_) | Input::Git(_) | Input::Url(_)) => {
                return Ok(Place::Named(self.named_key(from).cloned().unwrap_or_default()));
            }
            Some(Input::Image(image)) => image.clone(),
            None => from.to_owned(),
        };
        if name == "scratch" {
            return Ok(Place::Scratch);
        }
        let platform = self.options.platform.clone();
        let image = self.resolve(&name, platform.clone())?;
        let line = format!("FROM {}", image.name);
        Ok(self.source(&name, platform, &image, line, None).map_or(Place::Scratch, Place::Vertex))
    }

    /// Returns the place of a stage's root.
    pub(super) fn place_of(&self, stage: usize) -> Place {
        let state = self.done[stage].as_ref().expect("stages are lowered in order");
        state.vertex.map_or(Place::Scratch, Place::Vertex)
    }
}

/// Reads the name of an image.
pub(super) fn image_name(name: &str) -> Result<Reference, BuildError> {
    Reference::parse(name)
        .map_err(|error| invalid(format!("failed to parse stage name {}: {error}", quoted(name))))
}

/// Reads triggers as instructions of the file that fires them.
fn triggers(texts: &[String]) -> Result<Vec<Instruction>, BuildError> {
    // Their own lines are in no file; the caller shows the FROM that fires them.
    let read = |text: &String| {
        crate::parser::parse_trigger(text)
            .map_err(|error| invalid(crate::parser::ParseError { named_line: false, ..error }.to_string()))
    };
    texts.iter().map(read).collect()
}

fn count_steps(triggers: &[Instruction]) -> usize {
    triggers.iter().filter(|trigger| makes_step(&trigger.kind)).count()
}

fn gap(vertex: Option<VertexIndex>) -> Arc<PlannedHistory> {
    let entry = History { comment: GAP_COMMENT.to_owned(), ..History::default() };
    Arc::new(PlannedHistory { entry, vertex, from_base: vertex.is_none() })
}

/// Gives every layer of a base an entry, and no entry a layer that is not there.
fn fill_gaps(history: &mut Vec<Arc<PlannedHistory>>, layers: usize) {
    let mut described = 0;
    for planned in history.iter_mut().filter(|planned| !planned.entry.empty_layer) {
        if described == layers {
            Arc::make_mut(planned).entry.empty_layer = true;
        } else {
            described += 1;
        }
    }
    history.extend((described..layers).map(|_| gap(None)));
}
