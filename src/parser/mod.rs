//! Dockerfile text to typed instructions; pure, with a span on everything.

mod directive;
mod error;
mod excerpt;
pub mod heredoc;
pub mod instruction;
mod pattern;
pub mod source;
mod suggest;
pub mod words;

pub use error::{ParseError, WordError};
pub use excerpt::excerpt;
pub use instruction::{Dockerfile, Instruction, InstructionKind};
pub use source::{Source, Span};
pub use suggest::suggestion;
