//! A RUN step that failed: a shell in its state, or its files as an image.

use std::cell::RefCell;

use super::Ops;
use super::run::{UPPER, WORK};
use crate::builder::error::BuildError;
use crate::builder::failed::{Aftermath, OnFailure};
use crate::builder::graph::{RunOp, VertexIndex};
use crate::builder::solve::Inputs;
use crate::image::manifest::media_type;
use crate::image::{Descriptor, History, ImageConfig, Manifest, Platform, Reference};
use crate::run::{Io, Output, ProcessSpec, Rootfs, Running, UpperDir};
use crate::store::LayerDraft;

/// Repository of the images that failed steps become.
const REPOSITORY: &str = "skiff-failed";
/// Label that names the step.
const LABEL: &str = "skiff.failed.step";
/// Shells that are used for looking around where they are the step's own.
const SHELLS: [&str; 5] = ["sh", "bash", "ash", "dash", "zsh"];

impl Ops<'_> {
    /// Offers the state of a failed step; nothing of it is left behind but the image that was wanted.
    pub(super) fn after_failure(
        &self,
        hook: &dyn OnFailure,
        (vertex, op): (VertexIndex, &RunOp),
        inputs: &Inputs,
        (draft, spec): (LayerDraft, ProcessSpec),
        error: &BuildError,
    ) {
        let name = &self.graph.vertices[vertex].name;
        let spec = RefCell::new(spec);
        let shell = |io: Io| self.shell(op, inputs, &draft, &mut spec.borrow_mut(), io);
        let after = hook.failed(name, error, &shell);
        drop(spec);
        if after == Aftermath::Keep {
            hook.kept(self.keep_failed(name, op, inputs, draft));
        }
    }

    fn shell(
        &self,
        op: &RunOp,
        inputs: &Inputs,
        draft: &LayerDraft,
        spec: &mut ProcessSpec,
        io: Io,
    ) -> Result<Box<dyn Running>, BuildError> {
        // An overlay that was mounted volatile is mounted again with a fresh directory of its own.
        draft.root().remove_tree(WORK)?;
        draft.root().create_dir(WORK, 0o700)?;
        let rootfs = Rootfs {
            lowers: self.env.store.trees(inputs.parent_layers())?,
            upper: Some(UpperDir { upper: draft.root().dir(UPPER)?, work: draft.root().dir(WORK)? }),
            read_only: false,
            userxattr: self.env.store.userxattr()?,
        };
        spec.args = vec![shell_of(op).into_bytes()];
        let has_term = spec.env.iter().any(|(name, _)| name == b"TERM");
        if matches!(io.output, Output::Terminal { .. }) && !has_term {
            spec.env.push((b"TERM".to_vec(), b"xterm".to_vec()));
        }
        super::process::start(self.env.executor, spec, rootfs, io)
    }

    /// Makes an image of what the step left, and names it after the step.
    fn keep_failed(
        &self,
        name: &str,
        op: &RunOp,
        inputs: &Inputs,
        draft: LayerDraft,
    ) -> Result<Reference, BuildError> {
        let platform = Platform::parse(&op.platform).unwrap_or_else(|_| Platform::host());
        let mut config = ImageConfig::scratch(&platform);
        config.rootfs.diff_ids = inputs.parent_layers().to_vec();
        config.config.env = op.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        config.config.working_dir = if op.cwd.is_empty() { "/".to_owned() } else { op.cwd.clone() };
        config.config.user.clone_from(&op.user);
        config.config.cmd = Some(vec![shell_of(op)]);
        config.config.labels.insert(LABEL.to_owned(), name.to_owned());
        // Without what it left, times of files among it, the same step has the same name when it fails again.
        let short: String = config.id().as_digest().hex().chars().take(12).collect();
        config.rootfs.diff_ids.extend(self.snapshot(draft, None)?);
        let mut layers = Vec::new();
        for id in &config.rootfs.diff_ids {
            let size = self.env.store.layer(*id)?.map_or(0, |layer| layer.size());
            layers.push(Descriptor::new(media_type::OCI_LAYER, id.as_digest(), size));
            config.history.push(History::default());
        }
        if let Some(last) = config.history.last_mut() {
            last.created_by = format!("RUN {}", op.args.join(" "));
            last.comment = "failed".to_owned();
        }
        let bytes = config.to_json();
        let descriptor = Descriptor::new(media_type::OCI_CONFIG, config.id().as_digest(), bytes.len() as u64);
        let (manifest, _) = Manifest::oci(descriptor, layers).to_json();
        let image = self.env.store.put_image(&bytes, &manifest)?;
        let reference = Reference::parse(&format!("{REPOSITORY}:{short}")).expect("digits are a tag");
        self.env.store.tag(&reference, image.manifest)?;
        Ok(reference)
    }
}

/// Returns the step's own shell, else the usual one.
fn shell_of(op: &RunOp) -> String {
    let first = op.args.first().map_or("", String::as_str);
    let known = SHELLS.contains(&first.rsplit('/').next().unwrap_or_default());
    if known && op.args.len() > 1 { first.to_owned() } else { "/bin/sh".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::NetworkMode;

    #[test]
    fn the_steps_own_shell_is_preferred() {
        for (args, expected) in [
            (&["/bin/bash", "-c", "x"][..], "/bin/bash"),
            (&["sh", "-e", "x"], "sh"),
            (&["/usr/bin/make"], "/bin/sh"),
            (&["/bin/powershell", "-c", "x"], "/bin/sh"),
            (&["/bin/bash"], "/bin/sh"),
        ] {
            let op = RunOp {
                args: args.iter().map(|word| (*word).to_owned()).collect(),
                env: Vec::new(),
                proxy_env: Vec::new(),
                cwd: String::new(),
                user: String::new(),
                hostname: String::new(),
                mounts: Vec::new(),
                script: None,
                network: NetworkMode::Default,
                insecure: false,
                platform: "linux/amd64".to_owned(),
            };
            assert_eq!(shell_of(&op), expected, "{args:?}");
        }
    }
}
