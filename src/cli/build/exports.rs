//! All outputs of one build, checked against each other before anything is built.

use super::super::error::CliError;
use super::annotations;
use super::args::BuildArgs;
use super::outputs::{Dest, ImageAttributes, Output};
use crate::builder::export::Annotation;

/// The outputs of a build and what they have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Exports {
    /// The outputs in order.
    pub outputs: Vec<Output>,
    /// `--annotation`
    pub annotations: Vec<Annotation>,
    /// `--reproducible`
    pub reproducible: bool,
}

impl Exports {
    /// Reads `--output`, `--load`, `--push`, `--annotation` and `--reproducible`.
    ///
    /// # Errors
    /// An output is malformed, or they contradict each other; texts that docker has are docker's.
    pub fn of(args: &BuildArgs) -> Result<Self, CliError> {
        let mut outputs =
            args.output.iter().map(|text| Output::parse(text)).collect::<Result<Vec<_>, _>>()?;
        if args.push {
            add_push(&mut outputs);
        }
        let is_stored = |output: &Output| matches!(output, Output::Image(image) if image.store);
        if outputs.is_empty() || (args.load && !outputs.iter().any(is_stored)) {
            outputs.push(Output::Image(ImageAttributes::default()));
        }
        args.habits.outputs.shape(&mut outputs)?;
        let exports = Self {
            outputs,
            annotations: annotations::flags(&args.annotation)?,
            reproducible: args.reproducible,
        };
        exports.check(args)?;
        Ok(exports)
    }

    /// Whether standard output belongs to an output.
    pub fn use_stdout(&self) -> bool {
        self.outputs.iter().any(to_stdout)
    }

    fn check(&self, args: &BuildArgs) -> Result<(), CliError> {
        let fail = |text: &str| Err(CliError::new(format!("ERROR: {text}")));
        if self.outputs.iter().filter(|output| to_stdout(output)).count() > 1 {
            return fail("failed to build: multiple outputs configured to write to stdout");
        }
        let is_files = |output: &Output| matches!(output, Output::Local { .. } | Output::Tar { .. });
        if args.iidfile.is_some() && self.outputs.iter().any(is_files) {
            return fail("local and tar exporters are incompatible with image ID file");
        }
        let deletes = |output: &Output| matches!(output, Output::Local { delete: true, .. });
        if self.outputs.iter().any(deletes) && !args.allow.iter().any(|right| right == "buildx.local.delete")
        {
            return fail(
                "failed to build: mode=delete removes files of the destination: allow it with --allow buildx.local.delete",
            );
        }
        for output in &self.outputs {
            if let Output::Image(image) = output
                && image.push
                && args.tag.is_empty()
                && image.names.is_empty()
            {
                return fail("failed to build: tag is needed when pushing to registry");
            }
        }
        Ok(())
    }
}

fn to_stdout(output: &Output) -> bool {
    matches!(output, Output::Tar { dest: Dest::Stdout, .. } | Output::Archive { dest: Dest::Stdout, .. })
}

/// `--push`: images that are outputs anyway are pushed, else there is one more output.
fn add_push(outputs: &mut Vec<Output>) {
    let mut found = false;
    for output in outputs.iter_mut() {
        if let Output::Image(image) = output {
            image.push = true;
            found = true;
        }
    }
    if !found {
        outputs.push(Output::Image(ImageAttributes { push: true, ..ImageAttributes::default() }));
    }
}
