//! What an edit would run again, found out without running anything.
//!
//! An edit touches the steps that use what was edited: copies and mounts of a file, or the
//! steps that an instruction of the Dockerfile makes, which lowering the edited file shows.
//! From there it goes along the graph. What a step gives after an edit either differs for
//! certain (a copy of the edited file) or may come out the same (a command that ran again),
//! and with it what follows.

use std::sync::Arc;

use super::build::BuildEnv;
use super::context::{PatternMatcher, glob};
use super::error::BuildError;
use super::graph::{CopyOp, CopySourceOp, Graph, MountOp, Op, Place, Vertex, VertexIndex};
use super::lower::{Plan, lower_all};
use super::ops::Ops;
use super::options::BuildOptions;
use super::solve::{Ids, Inputs, Snapshot, Work as _};
use crate::image::Platform;
use crate::parser::instruction::{Command, InstructionKind};
use crate::parser::{Dockerfile, Instruction, Span, parse};
use crate::paths::below_root;

/// Whether a step runs again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rerun {
    /// It runs now already: nothing is known of it.
    Anyway,
    /// It does.
    Yes(String),
    /// It does if something before it comes out different.
    Maybe(String),
    /// It does not.
    No,
}

/// A step after an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicted {
    /// The step's line.
    pub name: String,
    /// Whether it runs again, and why.
    pub rerun: Rerun,
}

/// An edit and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is edited: a file of the context, or an instruction.
    pub what: String,
    /// The lines of the instruction.
    pub span: Option<Span>,
    /// Every step of the build but images.
    pub steps: Vec<Predicted>,
}

/// What an edit does to a step's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Same,
    MayDiffer,
    Differs,
}

/// Says what an edit of a file of the context runs again; `path` is relative to the context's root.
///
/// # Errors
/// The build is one that can't be planned.
pub fn predict_file(options: &BuildOptions, env: BuildEnv<'_>, path: &str) -> Result<Edit, BuildError> {
    let plan = super::build::plan(options, env.images)?;
    let known = known(&plan, options, env);
    let left_out = options.context.ignore().is_some_and(|patterns| patterns.leaves_out(path));
    let touched: Vec<bool> =
        plan.graph.vertices.iter().map(|vertex| !left_out && uses(&vertex.op, path)).collect();
    let there = options.context.stat(path.as_bytes()).is_ok_and(|node| node.is_some());
    let what = match (left_out, there) {
        (true, _) => format!("{path} (left out by the ignore file)"),
        (false, true) => path.to_owned(),
        (false, false) => format!("{path} (not there yet)"),
    };
    let why = format!("it uses {path}");
    Ok(Edit { what, span: None, steps: follow(&plan.graph, &touched, &known, (&why, Outcome::MayDiffer)) })
}

/// Says for each instruction of the Dockerfile, or for the one at `line`, what an edit of it runs again.
///
/// # Errors
/// The build is one that can't be planned.
pub fn predict_dockerfile(
    options: &BuildOptions,
    env: BuildEnv<'_>,
    line: Option<u32>,
) -> Result<Vec<Edit>, BuildError> {
    let plan = super::build::plan(options, env.images)?;
    let known = known(&plan, options, env);
    let source = Arc::new(options.source.clone());
    let file = parse(&source)?;
    let mut edits = Vec::new();
    for (index, instruction) in file.instructions.iter().enumerate() {
        if line.is_some_and(|line| !(instruction.span.first..=instruction.span.last).contains(&line)) {
            continue;
        }
        let touched = touched_by(&file, index, &plan, options, env);
        edits.push(Edit {
            what: instruction.text.clone(),
            span: Some(instruction.span),
            steps: match instruction.kind {
                InstructionKind::From(_) => {
                    follow(&plan.graph, &touched, &known, ("it stands on another base", Outcome::Differs))
                }
                _ => {
                    let why = "its instruction or a variable in it is edited";
                    follow(&plan.graph, &touched, &known, (why, Outcome::MayDiffer))
                }
            },
        });
    }
    Ok(edits)
}

/// Returns which steps have a known result as things stand.
fn known(plan: &Plan, options: &BuildOptions, env: BuildEnv<'_>) -> Vec<bool> {
    let ids = Ids::default();
    let silent = BuildEnv { reporter: &crate::progress::NullReporter, explain: None, ..env };
    let ops = Ops::new(plan, options, silent, &ids);
    let mut results: Vec<Option<Arc<Snapshot>>> = Vec::new();
    for (index, vertex) in plan.graph.vertices.iter().enumerate() {
        let result = |input: VertexIndex| results[input].clone();
        let all = vertex.inputs();
        let there = all.iter().all(|input| results[*input].is_some());
        let inputs = Inputs {
            parent: vertex.parent.and_then(result),
            all: all.into_iter().filter_map(|input| Some((input, result(input)?))).collect(),
        };
        let made = match &vertex.op {
            Op::Source(source) => {
                Some(super::solve::Made { layers: source.diff_ids.clone(), created: jiff::Timestamp::now() })
            }
            _ if !there || vertex.ignore_cache => None,
            // What goes wrong goes wrong in the build.
            _ => ops.key(index, &inputs).ok().flatten().and_then(|key| ops.look_up(index, &key).ok()?),
        };
        results.push(made.map(|made| Arc::new(Snapshot::extend(inputs.parent.as_deref(), &made))));
    }
    ops.close();
    results.iter().map(Option::is_some).collect()
}

/// Goes along the graph from the steps that an edit touches, for which reason, and with which outcome of a
/// step that is touched and is no copy.
fn follow(
    graph: &Graph,
    touched: &[bool],
    known: &[bool],
    (why, outcome): (&str, Outcome),
) -> Vec<Predicted> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut steps = Vec::new();
    for (index, vertex) in graph.vertices.iter().enumerate() {
        let parent = vertex.parent.map_or(Outcome::Same, |parent| outcomes[parent]);
        let others = vertex.inputs().into_iter().filter(|input| Some(*input) != vertex.parent);
        let source = others.max_by_key(|input| outcomes[*input]);
        let from = source.map_or(Outcome::Same, |source| outcomes[source]);
        let linked = matches!(&vertex.op, Op::Copy(copy) if copy.is_linked());
        let before = if linked { Outcome::Same } else { parent };
        let name = |index: Option<VertexIndex>| index.map_or("", |index| graph.vertices[index].name.as_str());
        let rerun = if !known[index] {
            Rerun::Anyway
        } else if touched[index] {
            Rerun::Yes(why.to_owned())
        } else if before == Outcome::Differs {
            Rerun::Yes(format!("it stands on {}", name(vertex.parent)))
        } else if from > Outcome::Same {
            Rerun::Maybe(format!("if what it takes of {} comes out different", name(source)))
        } else if before == Outcome::MayDiffer {
            Rerun::Maybe(format!("if {} gives something else", name(vertex.parent)))
        } else {
            Rerun::No
        };
        let own = match (&rerun, &vertex.op) {
            (Rerun::Yes(_), Op::Copy(_)) if touched[index] => Outcome::Differs,
            (Rerun::Yes(_) | Rerun::Anyway, _) if touched[index] => outcome,
            (Rerun::Yes(_) | Rerun::Maybe(_), _) => Outcome::MayDiffer,
            _ => Outcome::Same,
        };
        outcomes.push(own.max(parent));
        if !matches!(vertex.op, Op::Source(_)) {
            steps.push(Predicted { name: vertex.name.clone(), rerun });
        }
    }
    steps
}

/// Whether a step reads a file of the main context.
fn uses(op: &Op, path: &str) -> bool {
    match op {
        Op::Copy(copy) => copy.sources.iter().any(|source| match source {
            CopySourceOp::Path { place: Place::Context, path: asked, .. } => copies(copy, asked, path),
            _ => false,
        }),
        Op::Run(run) => run.mounts.iter().any(|mount| match mount {
            MountOp::Bind { from: Place::Context, source, .. } => {
                below(&String::from_utf8_lossy(&below_root(source.as_bytes())), path).is_some()
            }
            _ => false,
        }),
        Op::Source(_) | Op::Workdir(_) => false,
    }
}

/// Whether a copy of `asked` takes `path`.
fn copies(copy: &CopyOp, asked: &str, path: &str) -> bool {
    let asked = String::from_utf8_lossy(&below_root(asked.replace("/./", "/").as_bytes())).into_owned();
    let excluded = |relative: &str| {
        !copy.excludes.is_empty()
            && PatternMatcher::new(&copy.excludes)
                .is_ok_and(|patterns| patterns.verdict_of(relative.as_bytes()).is_match())
    };
    if copy.parents && asked.contains("**") {
        return PatternMatcher::new(&[asked]).is_ok_and(|all| all.leaves_out(path)) && !excluded(path);
    }
    // A wildcard matches as many parts of the path as it has itself.
    let parts = if asked.is_empty() { 0 } else { asked.split('/').count() };
    let whole: Vec<&str> = path.split('/').collect();
    if whole.len() < parts {
        return false;
    }
    let head = whole[..parts].join("/");
    let fits = head == asked || glob::matches(asked.as_bytes(), head.as_bytes()).unwrap_or(false);
    let relative = whole[parts..].join("/");
    fits && (relative.is_empty() || !excluded(&relative))
}

/// Returns the part of `path` below `dir`.
fn below<'a>(dir: &str, path: &'a str) -> Option<&'a str> {
    match dir {
        "" => Some(path),
        dir if dir == path => Some(""),
        dir => path.strip_prefix(dir)?.strip_prefix('/'),
    }
}

/// Returns which steps an edited instruction changes: those that lowering the edited file makes different.
fn touched_by(
    file: &Dockerfile,
    index: usize,
    plan: &Plan,
    options: &BuildOptions,
    env: BuildEnv<'_>,
) -> Vec<bool> {
    let untouched = vec![false; plan.graph.vertices.len()];
    let instruction = &file.instructions[index];
    if let InstructionKind::From(from) = &instruction.kind {
        return on_base(file, index, from.name.as_deref(), &plan.graph);
    }
    let mut edited = file.clone();
    if !edit(&mut edited.instructions[index]) {
        return untouched;
    }
    let source = Arc::new(options.source.clone());
    match lower_all(&edited, &source, options, env.images, &Platform::host()) {
        Ok(other) if other.graph.vertices.len() == plan.graph.vertices.len() => {
            let pairs = plan.graph.vertices.iter().zip(&other.graph.vertices);
            pairs.map(|(now, then)| now.op != then.op).collect()
        }
        // Such an edit changes which steps there are: all of its stage are as good as new.
        _ => {
            let stage = plan.graph.vertices.iter().find(|one| one.span == Some(instruction.span));
            let stage = stage.map(|one| one.stage.clone());
            plan.graph.vertices.iter().map(|one| Some(&one.stage) == stage.as_ref()).collect()
        }
    }
}

/// Returns the steps of a stage that stand on its base.
fn on_base(file: &Dockerfile, index: usize, name: Option<&str>, graph: &Graph) -> Vec<bool> {
    let before = &file.instructions[..index];
    let number = before.iter().filter(|one| matches!(one.kind, InstructionKind::From(_))).count();
    let label = name.map_or_else(|| format!("stage-{number}"), str::to_owned);
    let is_base = |parent: VertexIndex| {
        let parent = &graph.vertices[parent];
        parent.stage != label || matches!(parent.op, Op::Source(_))
    };
    let on_it = |vertex: &Vertex| {
        vertex.stage == label && !matches!(vertex.op, Op::Source(_)) && vertex.parent.is_none_or(is_base)
    };
    graph.vertices.iter().map(on_it).collect()
}

/// Edits an instruction in some way that matters; false where no edit reaches a step.
fn edit(instruction: &mut Instruction) -> bool {
    const MORE: &str = "-edited";
    let more = |text: &mut String| text.push_str(MORE);
    match &mut instruction.kind {
        InstructionKind::Run(run) => {
            match (&mut run.command, run.heredocs.first_mut()) {
                (_, Some(heredoc)) => heredoc.body.push_str("# edited\n"),
                (Command::Shell(text), None) => text.push_str(" # edited"),
                (Command::Exec(words), None) => words.push(MORE.to_owned()),
            }
            true
        }
        InstructionKind::Copy(copy) => {
            more(&mut copy.transfer.destination);
            true
        }
        InstructionKind::Add(add) => {
            more(&mut add.transfer.destination);
            true
        }
        InstructionKind::Env(pairs) => {
            pairs.pairs.iter_mut().for_each(|(_, value)| more(value));
            true
        }
        InstructionKind::Arg(items) => {
            // Of an argument that has no default the value comes from elsewhere; a default gives it one.
            items.iter_mut().for_each(|item| more(item.default.get_or_insert_default()));
            true
        }
        InstructionKind::Workdir(word) | InstructionKind::User(word) => {
            more(word);
            true
        }
        InstructionKind::Shell(words) => {
            words.push(MORE.to_owned());
            true
        }
        _ => false,
    }
}
