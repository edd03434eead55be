//! Bake files: HCL, JSON and compose files in, resolved build targets out.
//!
//! Owns the language of bake files and nothing else: [`load`] takes texts, gives a [`Config`], and
//! [`Config::plan`] gives the [`Target`]s that a command line asks for. No file is opened here but
//! in memory, no variable read, nothing printed; `cli` hands values in.
//!
//! Files are hostile until read: an evaluation has a budget of steps and bytes, a depth, and runs
//! on a stack of its own; a matrix, a range and a file have their largest sizes.
//!
//! | file | what |
//! |---|---|
//! | `syntax` | HCL and JSON to blocks and attributes |
//! | `eval`, `functions`, `value`, `number`, `kind` | expressions to values |
//! | `resolve` | variables, functions, matrices, blocks to targets |
//! | `compose` | compose files to targets |
//! | `target`, `entries`, `decode`, `overrides`, `config` | merging, inheritance, `--set` |

mod budget;
mod compose;
mod config;
mod decode;
mod entries;
mod error;
mod eval;
mod functions;
pub mod json;
mod kind;
mod load;
mod number;
mod overrides;
mod resolve;
mod source;
mod syntax;
mod target;
mod value;

pub use config::{Config, Group, Plan};
pub use entries::{Attest, Cache, Entry, Output, Secret, Ssh, parse_bool};
pub use error::BakeError;
pub use load::{BakeFile, Loaded, Options, ReadFile, load};
pub use resolve::Variable;
pub use target::{Settings, Target};
