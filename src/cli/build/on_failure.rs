//! `--on-failure`: a shell in the failed step, or its files as an image where there is no terminal.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::output;
use super::super::render::{Renderer, harmless};
use super::super::run::attach_terminal;
use crate::builder::{Aftermath, BuildError, OnFailure, StartShell};
use crate::causes::chain;
use crate::image::Reference;
use crate::run::{Input, Io, Output};

/// What `--on-failure` asks for.
pub struct FailureShell {
    renderer: Arc<dyn Renderer>,
    /// Whether there is a terminal, and a shell on it is wanted.
    interactive: bool,
    kept: Mutex<Vec<String>>,
    /// One shell at a time.
    turn: Mutex<()>,
}

impl FailureShell {
    /// Takes the flag's value: `shell`, or `keep`, which never asks.
    pub fn new(value: &str, renderer: Arc<dyn Renderer>) -> Self {
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        Self {
            renderer,
            interactive: value == "shell" && terminal,
            kept: Mutex::default(),
            turn: Mutex::default(),
        }
    }

    /// Returns what to say at the end, about the images that were kept.
    pub fn said(&self, program: &str) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |name: &String| match name.strip_prefix("!") {
            Some(why) => format!("\nthe failed step's files could not be kept: {why}"),
            None => format!(
                "\nthe failed step's files are kept as image {name}, without what was mounted; enter them with\n  {program} run -it --rm {name}"
            ),
        };
        kept.iter().map(line).collect()
    }
}

impl OnFailure for FailureShell {
    fn failed(&self, step: &str, error: &BuildError, shell: StartShell<'_>) -> Aftermath {
        if !self.interactive {
            return Aftermath::Keep;
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.renderer.finish();
        output::talk(&format!("------\n > {}:\nERROR: {}", harmless(step), chain(error)));
        let (rows, columns) = console::Term::stdout().size_checked().unwrap_or((0, 0));
        let io = Io { stdin: Input::Null, output: Output::Terminal { rows, columns } };
        match shell(io) {
            Ok(running) => {
                output::talk("A shell in this step's state; the build ends when you leave it (exit).");
                if let Err(error) = attach_terminal(running) {
                    output::talk(&error.text);
                }
                Aftermath::Drop
            }
            Err(error) => {
                output::talk(&format!("no shell could be started: {}", chain(&error)));
                Aftermath::Keep
            }
        }
    }

    fn kept(&self, image: Result<Reference, BuildError>) {
        let name = match image {
            Ok(reference) => reference.familiar(),
            Err(error) => format!("!{}", chain(&error)),
        };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }
}
