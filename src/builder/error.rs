//! What can go wrong in a build, with the lines it is about.

use std::fmt;
use std::sync::Arc;

use super::context::ContextError;
use super::copy::CopyError;
use super::options::Entitlement;
use super::source::ImageSourceError;
use crate::fs::FsError;
use crate::layers::LayerError;
use crate::parser::{Source, Span};
use crate::store::StoreError;

/// The lines of a Dockerfile that an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The Dockerfile.
    pub source: Arc<Source>,
    /// The lines.
    pub span: Span,
}

/// A step that failed, and the last of what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStep {
    /// Its line, e.g. `[build 2/3] RUN make`.
    pub name: String,
    /// The last lines of its output, each without its end.
    pub output: Vec<String>,
}

/// A failed build.
///
/// Displays as its [`ErrorKind`]; the sources follow as usual.
#[derive(Debug)]
pub struct BuildError {
    /// What happened.
    pub kind: Box<ErrorKind>,
    /// Where in the Dockerfile.
    pub place: Option<Place>,
    /// The step that failed, if one ran.
    pub step: Option<FailedStep>,
}

impl BuildError {
    /// Returns the error with its lines, unless it has some.
    #[must_use]
    pub fn at(mut self, source: &Arc<Source>, span: Span) -> Self {
        self.place.get_or_insert_with(|| Place { source: Arc::clone(source), span });
        self
    }

    /// Whether layers of a shared cache were gone.
    pub(super) fn is_shared_lost(&self) -> bool {
        matches!(*self.kind, ErrorKind::SharedLost(_))
    }

    /// Returns the text of the deepest cause.
    pub(super) fn root_cause(&self) -> String {
        let mut cause: &dyn std::error::Error = self;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        cause.to_string()
    }

    /// Whether the build was stopped rather than failed.
    pub fn is_cancelled(&self) -> bool {
        matches!(*self.kind, ErrorKind::Cancelled | ErrorKind::Context(ContextError::Cancelled))
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}

impl From<ErrorKind> for BuildError {
    fn from(kind: ErrorKind) -> Self {
        Self { kind: Box::new(kind), place: None, step: None }
    }
}

macro_rules! through_the_kind {
    ($($error:ty),*) => {
        $(impl From<$error> for BuildError {
            fn from(error: $error) -> Self {
                ErrorKind::from(error).into()
            }
        })*
    };
}

through_the_kind!(CopyError, ContextError, StoreError, LayerError, FsError, crate::fs::mount::MountError);

/// Returns an error that has docker's text and no source.
pub(super) fn invalid(text: impl Into<String>) -> BuildError {
    ErrorKind::Invalid(text.into()).into()
}

/// Returns the refusal of a thing that this version does not do.
pub(super) fn unsupported(what: impl Into<String>) -> BuildError {
    ErrorKind::Unsupported { what: what.into() }.into()
}

/// What happened; texts that docker has are docker's.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// The Dockerfile does not parse.
    #[error(transparent)]
    Parse(#[from] crate::parser::ParseError),
    /// A word does not expand.
    #[error("failed to process {}", super::quote::quoted(.word))]
    Word {
        /// The word as written.
        word: String,
        /// Why.
        source: crate::parser::WordError,
    },
    /// No `FROM`.
    #[error("dockerfile contains no stages to build")]
    NoStages,
    /// Something that has docker's text and no source.
    #[error("{0}")]
    Invalid(String),
    /// `--target` names no stage.
    #[error("target stage {name:?} could not be found{suggestion}")]
    UnknownTarget {
        /// As typed.
        name: String,
        /// ` (did you mean X?)`, if a name is close.
        suggestion: String,
    },
    /// `COPY --from` names a later stage.
    #[error("cannot copy from stage {from:?}, it needs to be defined before current stage {to:?}")]
    CopyFromLater {
        /// The later stage.
        from: String,
        /// The stage of the instruction.
        to: String,
    },
    /// `RUN --mount` names a later stage.
    #[error("cannot mount from stage {from:?} to {to:?}, stage needs to be defined before current command")]
    MountFromLater {
        /// The later stage.
        from: String,
        /// Where it would be mounted.
        to: String,
    },
    /// A stage needs itself.
    #[error("circular dependency detected on stage: {0}")]
    Circular(String),
    /// A right that the command line did not give.
    #[error("entitlement {0} is not allowed")]
    Entitlement(Entitlement),
    /// The `syntax` directive names a frontend that is not built in.
    #[error(
        "the frontend image {image} cannot be run: the Dockerfile language itself is built in; \
         --ignore-syntax reads the file as an ordinary Dockerfile"
    )]
    Frontend {
        /// The image.
        image: String,
    },
    /// A thing that this version does not do.
    #[error("{what} is not supported yet")]
    Unsupported {
        /// The thing, by its name in the Dockerfile.
        what: String,
    },
    /// An image cannot be had.
    #[error("failed to resolve source metadata for {name}")]
    Image {
        /// The image.
        name: String,
        /// Why.
        source: ImageSourceError,
    },
    /// A required secret was not given.
    #[error("secret {0}: not found")]
    SecretMissing(String),
    /// A secret has more bytes than any should.
    #[error("secret {0}: more than 500 KiB")]
    SecretTooLarge(String),
    /// A required ssh agent was not given.
    #[error("no SSH key {0:?} forwarded from the client")]
    SshMissing(String),
    /// A process ended badly.
    #[error("process {} did not complete successfully: {how}", super::quote::quoted(.command))]
    Process {
        /// Its words, joined.
        command: String,
        /// `exit code: N`, or the signal.
        how: String,
    },
    /// A process could not be started or waited for.
    #[error("process {} did not complete successfully", super::quote::quoted(.command))]
    Start {
        /// Its words, joined.
        command: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A process of another architecture could not be started.
    #[error("process {} could not be run: {what}", super::quote::quoted(.command))]
    Foreign {
        /// Its words, joined.
        command: String,
        /// What is missing, and how to get it.
        what: String,
        /// What the kernel said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Files of a mount are not there.
    #[error("failed to mount {target}: {path:?}: not found")]
    MountSource {
        /// Where it would be.
        target: String,
        /// What is missing.
        path: String,
    },
    /// `COPY` or `ADD` failed.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The context failed.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer could not be made.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A file below a root failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A mount failed.
    #[error(transparent)]
    Mount(#[from] crate::fs::mount::MountError),
    /// An operation of the system failed.
    #[error("{action}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Layers of a shared cache are not there any more.
    #[error("failed to fetch cached layers")]
    SharedLost(#[source] super::shared::SharedError),
    /// A shared cache could not be written.
    #[error("failed to export cache")]
    SharedExport(#[source] super::shared::SharedError),
    /// The build was stopped.
    #[error("context canceled")]
    Cancelled,
}

impl From<crate::parser::ParseError> for BuildError {
    fn from(error: crate::parser::ParseError) -> Self {
        ErrorKind::from(error).into()
    }
}
