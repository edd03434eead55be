//! `COPY` and `ADD`.

use super::{Here, Lowering};
use crate::builder::context::{Checksum, GitSource};
use crate::builder::error::{BuildError, invalid};
use crate::builder::graph::{CopyOp, CopySourceOp, Op, Place};
use crate::builder::state::StageState;
use crate::parser::Instruction;
use crate::parser::instruction::{AddInstruction, CopyInstruction, Heredoc, SourceSpec, Transfer};

/// What the flags of `ADD` say about one source.
struct AddFlags<'a> {
    checksum: Option<&'a str>,
    keep_git_dir: Option<bool>,
    unpack: Option<bool>,
}

impl Lowering<'_> {
    pub(super) fn copy(
        &mut self,
        copy: &CopyInstruction,
        instruction: &Instruction,
        state: &mut StageState,
        here: &mut Here,
    ) -> Result<(), BuildError> {
        let place = match &copy.from {
            None => Place::Context,
            Some(from) => match self.stages.copied_from(from)? {
                Some(stage) => self.place_of(stage),
                None => self.outside(from)?,
            },
        };
        let paths = self.paths(&copy.transfer, state)?;
        let mut sources = Vec::new();
        for path in &paths {
            if GitSource::parse(path, false).is_ok_and(|git| git.is_some()) {
                return Err(invalid("source can't be a git ref for COPY"));
            }
            if is_url(path) {
                return Err(invalid("source can't be a URL for COPY"));
            }
            sources.push(CopySourceOp::Path { place: place.clone(), path: path.clone(), unpack: false });
        }
        self.transfer("COPY", &copy.transfer, copy.parents, (paths, sources), instruction, state, here)
    }

    pub(super) fn add(
        &mut self,
        add: &AddInstruction,
        instruction: &Instruction,
        state: &mut StageState,
        here: &mut Here,
    ) -> Result<(), BuildError> {
        let checksum = self.expander(state).option(add.checksum.as_ref())?.filter(|sum| !sum.is_empty());
        if checksum.is_some() && add.transfer.sources.len() > 1 {
            return Err(invalid("checksum can't be specified for multiple sources"));
        }
        let flags =
            AddFlags { checksum: checksum.as_deref(), keep_git_dir: add.keep_git_dir, unpack: add.unpack };
        let paths = self.paths(&add.transfer, state)?;
        let sources = paths.iter().map(|path| add_source(path, &flags)).collect::<Result<_, _>>()?;
        self.transfer("ADD", &add.transfer, false, (paths, sources), instruction, state, here)
    }

    /// Returns the sources that are no heredocs, expanded.
    fn paths(&self, transfer: &Transfer, state: &StageState) -> Result<Vec<String>, BuildError> {
        let words = transfer.sources.iter().filter_map(|source| match source {
            SourceSpec::Path(word) => Some(word),
            SourceSpec::Heredoc(_) => None,
        });
        words.map(|word| self.expander(state).word(word)).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "what COPY and ADD share, and where they stand")]
    fn transfer(
        &mut self,
        keyword: &str,
        transfer: &Transfer,
        parents: bool,
        (paths, mut sources): (Vec<String>, Vec<CopySourceOp>),
        instruction: &Instruction,
        state: &mut StageState,
        here: &mut Here,
    ) -> Result<(), BuildError> {
        let heredocs: Vec<&Heredoc> = transfer
            .sources
            .iter()
            .filter_map(|source| match source {
                SourceSpec::Heredoc(heredoc) => Some(heredoc),
                SourceSpec::Path(_) => None,
            })
            .collect();
        let expander = self.expander(state);
        for heredoc in &heredocs {
            let content = heredoc.content();
            let body = if heredoc.expand { expander.heredoc(&content)? } else { content.into_owned() };
            sources.push(CopySourceOp::Heredoc { name: heredoc.name.clone(), body });
        }
        let op = CopyOp {
            sources,
            destination: expander.word(&transfer.destination)?,
            workdir: state.workdir(),
            chown: expander.option(transfer.chown.as_ref())?.filter(|text| !text.is_empty()),
            chmod: expander.option(transfer.chmod.as_ref())?.filter(|text| !text.is_empty()),
            link: transfer.link,
            parents,
            excludes: transfer.excludes.clone(),
            epoch: self.epoch,
        };
        if let Some(chmod) = &op.chmod {
            // A bad mode is the instruction's fault, so it fails before anything runs.
            crate::builder::copy::Chmod::parse(chmod)?;
        }
        let text = history_text(keyword, &op, &paths, &heredocs);
        let name = self.shown(instruction, state, here, &[], "");
        let vertex = self.vertex(name, instruction, Op::Copy(Box::new(op)), state, here);
        state.layer(text, vertex);
        Ok(())
    }
}

fn history_text(keyword: &str, op: &CopyOp, paths: &[String], heredocs: &[&Heredoc]) -> String {
    let mut text = keyword.to_owned();
    if op.parents {
        text += " --parents";
    }
    for (flag, value) in [("chown", &op.chown), ("chmod", &op.chmod)] {
        if let Some(value) = value {
            text += &format!(" --{flag}={value}");
        }
    }
    for path in paths {
        text += &format!(" {path}");
    }
    for heredoc in heredocs {
        text += &format!(" <<{}", heredoc.name);
    }
    format!("{text} {} # buildkit", op.destination)
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn add_source(path: &str, flags: &AddFlags<'_>) -> Result<CopySourceOp, BuildError> {
    if let Some(git) = GitSource::parse(path, false)? {
        return git_source(path, git, flags);
    }
    if flags.keep_git_dir == Some(true) {
        return Err(invalid("keep-git-dir flag is only supported for git sources"));
    }
    if !is_url(path) {
        if flags.checksum.is_some() {
            return Err(invalid("checksum requires HTTP(S) or Git sources"));
        }
        let unpack = flags.unpack != Some(false);
        return Ok(CopySourceOp::Path { place: Place::Context, path: path.to_owned(), unpack });
    }
    let checksum = match flags.checksum {
        None => None,
        Some(text) => Some(text.parse::<Checksum>().map_err(|error| invalid(error.to_string()))?),
    };
    Ok(CopySourceOp::Url { url: path.to_owned(), checksum, unpack: flags.unpack == Some(true) })
}

fn git_source(path: &str, git: GitSource, flags: &AddFlags<'_>) -> Result<CopySourceOp, BuildError> {
    if let (Some(flag), Some(query)) = (flags.keep_git_dir, git.keep_git_dir)
        && flag != query
    {
        return Err(invalid("inconsistent keep-git-dir configuration"));
    }
    if let (Some(flag), Some(query)) = (flags.checksum, &git.checksum)
        && flag != query
    {
        return Err(invalid(format!("checksum mismatch \"{flag}\" != \"{query}\"")));
    }
    Ok(CopySourceOp::Git {
        url: path.to_owned(),
        checksum: flags.checksum.map(str::to_owned),
        keep_git_dir: flags.keep_git_dir.or(git.keep_git_dir).unwrap_or(false),
    })
}
