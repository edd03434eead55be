//! Dockerfile text to typed instructions; pure, with a span on everything.

pub mod heredoc;
pub mod instruction;
pub mod source;

pub use instruction::{Dockerfile, Instruction, InstructionKind};
pub use source::{Source, Span};
