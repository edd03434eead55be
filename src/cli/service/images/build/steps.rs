//! A Dockerfile as the numbered steps of builds before BuildKit: every instruction of every stage that counts.

use crate::parser::instruction::{Instruction, InstructionKind};
use crate::parser::{Source, parse};

/// What becomes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing happened yet.
    Waiting,
    /// It runs.
    Running,
    /// It is over.
    Done,
    /// It was known already.
    Cached,
}

/// One instruction.
#[derive(Debug)]
pub struct Step {
    /// The instruction on one line.
    pub text: String,
    /// Whether the build does something for it, of which it is told; others only change the image's config.
    pub works: bool,
    /// What becomes of it.
    pub state: State,
    /// Output that could not be told yet.
    pub pending: Vec<u8>,
    stage: usize,
}

/// The steps in order.
#[derive(Debug, Default)]
pub struct Steps {
    /// Those that count.
    pub all: Vec<Step>,
    /// What each stage is called where several are.
    labels: Vec<String>,
}

impl Steps {
    /// Takes the instructions of a file up to its target that the target needs. What a file that does not parse says
    /// is left to the build.
    pub fn of(source: &Source, target: Option<&str>) -> Self {
        let Ok(file) = parse(source) else { return Self::default() };
        let mut steps = Self::default();
        let mut needs: Vec<Vec<String>> = Vec::new();
        for instruction in &file.instructions {
            if let InstructionKind::From(from) = &instruction.kind {
                let index = steps.labels.len();
                steps.labels.push(from.name.clone().unwrap_or_else(|| format!("stage-{index}")));
                needs.push(Vec::new());
            }
            if let Some(needs) = needs.last_mut() {
                needs.extend(sources(instruction));
            }
            steps.all.push(Step {
                text: instruction.text.clone(),
                works: works(instruction),
                state: State::Waiting,
                pending: Vec::new(),
                // What stands before the first stage belongs to all.
                stage: steps.labels.len(),
            });
        }
        let needed = needed(&steps.labels, &needs, target);
        steps.all.retain(|step| step.stage == 0 || needed.get(step.stage - 1).is_none_or(|needed| *needed));
        steps
    }

    /// Returns which step a vertex's line, such as `[build 2/3] RUN make`, speaks of. What a base image's triggers do
    /// belongs to its FROM.
    pub fn find(&self, name: &str) -> Option<usize> {
        let (place, _) = name.strip_prefix('[')?.split_once("] ")?;
        let mut words = place.split(' ').rev();
        let (number, count) = words.next()?.split_once('/')?;
        let (number, count): (usize, usize) = (number.parse().ok()?, count.parse().ok()?);
        let last = self.all.last()?.stage;
        let stage = match words.next() {
            Some(label) => self.labels.iter().position(|known| known == label).map_or(last, |at| at + 1),
            None => last,
        };
        let own = || self.all.iter().enumerate().filter(|(_, step)| step.stage == stage && step.works);
        // Triggers stand between FROM and the stage's own steps.
        let behind = count.checked_sub(number)?;
        let index = own().count().checked_sub(behind + 1)?;
        own().nth(if number == 1 { 0 } else { index }).map(|(at, _)| at)
    }
}

/// Whether a build has a vertex for it.
fn works(instruction: &Instruction) -> bool {
    use InstructionKind::{Add, Copy, From, Run, Workdir};
    matches!(instruction.kind, From(_) | Run(_) | Copy(_) | Add(_) | Workdir(_))
}

/// Returns the names, some of them of stages, that an instruction takes something from.
fn sources(instruction: &Instruction) -> Vec<String> {
    match &instruction.kind {
        InstructionKind::From(from) => vec![from.image.clone()],
        InstructionKind::Copy(copy) => copy.from.iter().cloned().collect(),
        InstructionKind::Run(run) => run.mounts.iter().filter_map(|mount| mount.from.clone()).collect(),
        _ => Vec::new(),
    }
}

/// Returns which stages the target needs; a base that is a variable may be any stage before it.
fn needed(labels: &[String], needs: &[Vec<String>], target: Option<&str>) -> Vec<bool> {
    let mut needed = vec![false; labels.len()];
    let find = |name: &str, before: usize| {
        let by_name = labels[..before].iter().rposition(|label| label.eq_ignore_ascii_case(name));
        by_name.or_else(|| name.parse().ok().filter(|index: &usize| *index < before))
    };
    let target = target.filter(|name| !name.is_empty()).and_then(|name| find(name, labels.len()));
    let Some(target) = target.or(labels.len().checked_sub(1)) else { return needed };
    let mut todo = vec![target];
    while let Some(stage) = todo.pop() {
        if std::mem::replace(&mut needed[stage], true) {
            continue;
        }
        for name in &needs[stage] {
            match name.contains('$') {
                true => todo.extend(0..stage),
                false => todo.extend(find(name, stage)),
            }
        }
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str, target: Option<&str>) -> Steps {
        Steps::of(&Source::new("Dockerfile", text), target)
    }

    fn texts(steps: &Steps) -> Vec<&str> {
        steps.all.iter().map(|step| step.text.as_str()).collect()
    }

    const FILE: &str =
        "ARG V\nFROM a AS one\nRUN x\nFROM b AS two\nRUN y\nFROM c\nENV k=v\nCOPY --from=one /x .\nRUN z\n";

    #[test]
    fn stages_that_nobody_needs_do_not_count() {
        let whole = steps(FILE, None);
        let expected =
            ["ARG V", "FROM a AS one", "RUN x", "FROM c", "ENV k=v", "COPY --from=one /x .", "RUN z"];
        assert_eq!(texts(&whole), expected);
        assert_eq!(texts(&steps(FILE, Some("TWO"))), ["ARG V", "FROM b AS two", "RUN y"]);
        assert_eq!(texts(&steps("FROM a\nFROM $B\n", None)), ["FROM a", "FROM $B"]);
        assert!(texts(&steps("FROM a\nNOSUCH\n", None)).is_empty());
    }

    #[test]
    fn vertices_are_steps() {
        let whole = steps(FILE, None);
        let found = |name: &str| whole.find(name).map(|at| whole.all[at].text.as_str());
        for (name, expected) in [
            ("[one 1/2] FROM docker.io/library/a", Some("FROM a AS one")),
            ("[one 2/2] RUN x", Some("RUN x")),
            ("[stage-2 2/3] COPY --from=one /x .", Some("COPY --from=one /x .")),
            ("[stage-2 3/3] RUN z", Some("RUN z")),
            ("[linux/amd64 stage-2 3/3] RUN z", Some("RUN z")),
            // A trigger of the base image.
            ("[stage-2 2/4] RUN later", Some("FROM c")),
            ("[stage-2 3/4] COPY --from=one /x .", Some("COPY --from=one /x .")),
            ("[internal] load build context", None),
            ("exporting to image", None),
        ] {
            assert_eq!(found(name), expected, "{name}");
        }
        let one = steps("FROM a\nRUN x\n", None);
        assert_eq!(one.find("[2/2] RUN x"), Some(1));
    }
}
