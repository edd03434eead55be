//! What else is scanned beside the result: `BUILDKIT_SBOM_SCAN_CONTEXT` and `BUILDKIT_SBOM_SCAN_STAGE`.
//!
//! Both are arguments of the file or of the command line, true for all stages or a list of stages'
//! names; each stage and the context have a document of their own.

use std::collections::BTreeMap;

use super::super::outputs::boolean;
use crate::builder::Solved;
use crate::builder::graph::VertexIndex;
use crate::image::DiffId;
use crate::parser::instruction::InstructionKind;
use crate::parser::{Source, parse};

const CONTEXT: &str = "BUILDKIT_SBOM_SCAN_CONTEXT";
const STAGE: &str = "BUILDKIT_SBOM_SCAN_STAGE";

/// What is scanned besides.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scans {
    /// Whether the context is.
    pub(super) context: bool,
    /// The stages: name or number, and their first and last line.
    stages: Vec<(String, u32, u32)>,
}

/// A stage as its arguments are read.
struct Stage {
    name: String,
    first: u32,
    last: u32,
    own: BTreeMap<&'static str, String>,
}

impl Stage {
    /// Whether a value says this stage: yes or no, or names.
    fn said(&self, value: &str) -> bool {
        boolean(value).unwrap_or_else(|| value.split(',').any(|name| name.trim() == self.name))
    }

    /// Whether one of the two is asked for here: by the command line, the stage, or the file.
    fn asks(&self, key: &str, given: &BTreeMap<String, String>, globals: &BTreeMap<&str, String>) -> bool {
        let value = given.get(key).or_else(|| self.own.get(key)).or_else(|| globals.get(key));
        value.is_some_and(|value| self.said(value))
    }
}

impl Scans {
    /// Reads what a file and the build arguments ask for.
    pub(super) fn of(source: &Source, given: &BTreeMap<String, String>) -> Self {
        let Ok(file) = parse(source) else { return Self::default() };
        let (mut globals, mut stages) = (BTreeMap::new(), Vec::<Stage>::new());
        for instruction in &file.instructions {
            let (first, last) = (instruction.span.first, instruction.span.last);
            if let Some(stage) = stages.last_mut() {
                stage.last = last;
            }
            match &instruction.kind {
                InstructionKind::From(from) => {
                    let name = from.name.clone().unwrap_or_else(|| stages.len().to_string());
                    stages.push(Stage { name, first, last, own: BTreeMap::new() });
                }
                InstructionKind::Arg(args) => {
                    for arg in args {
                        let known = [CONTEXT, STAGE].into_iter().find(|key| arg.name == *key);
                        let (Some(key), Some(value)) = (known, &arg.default) else { continue };
                        let value = value.trim_matches(['"', '\'']).to_owned();
                        match stages.last_mut() {
                            Some(stage) => stage.own.insert(key, value),
                            None => globals.insert(key, value),
                        };
                    }
                }
                _ => {}
            }
        }
        let asked = |key: &'static str| {
            let (given, globals) = (&given, &globals);
            move |stage: &&Stage| stage.asks(key, given, globals)
        };
        Self {
            context: stages.iter().any(|stage| asked(CONTEXT)(&stage)),
            stages: stages
                .iter()
                .filter(asked(STAGE))
                .map(|stage| (stage.name.clone(), stage.first, stage.last))
                .collect(),
        }
    }

    /// Returns the layers of the stages that a target needs, but its own.
    pub(super) fn stages(&self, solved: &Solved, target: Option<VertexIndex>) -> Vec<(&str, Vec<DiffId>)> {
        let vertices = &solved.plan.graph.vertices;
        let wanted = solved.plan.graph.needed(target);
        let result = |first: u32, last: u32| {
            (0..vertices.len()).rev().find(|index| {
                let inside = |span: crate::parser::Span| span.first >= first && span.last <= last;
                wanted[*index] && vertices[*index].span.is_some_and(inside)
            })
        };
        let stages = self.stages.iter().filter_map(|(name, first, last)| {
            let vertex = result(*first, *last).filter(|vertex| Some(*vertex) != target)?;
            Some((name.as_str(), solved.snapshots[vertex].layers.clone()))
        });
        stages.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scans(text: &str, given: &[(&str, &str)]) -> String {
        let source = Source::new("Dockerfile", text.to_owned());
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let scans = Scans::of(&source, &given);
        let names: Vec<&str> = scans.stages.iter().map(|(name, ..)| name.as_str()).collect();
        format!("{} {}", scans.context, names.join(","))
    }

    #[test]
    fn arguments_say_what_is_scanned() {
        let file = "FROM a AS one\nRUN x\nFROM b\nRUN y\n";
        for (text, given, expected) in [
            (file.to_owned(), &[][..], "false "),
            (file.to_owned(), &[(CONTEXT, "true"), (STAGE, "true")][..], "true one,1"),
            (file.to_owned(), &[(STAGE, "1,other")], "false 1"),
            (format!("ARG {CONTEXT}=true\nARG {STAGE}=one\n{file}"), &[], "true one"),
            (format!("{file}FROM c AS last\nARG {STAGE}=true\n"), &[], "false last"),
            (format!("{file}FROM c AS last\nARG {STAGE}=true\n"), &[(STAGE, "false")], "false "),
        ] {
            assert_eq!(scans(&text, given), expected, "{text}{given:?}");
        }
    }
}
