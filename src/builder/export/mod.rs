//! A solved build on its way out: documents of images, and the files of root file systems.
//!
//! ```text
//! Solved --compose--> configs, manifests --index--> Documents --> store | archive | registry
//!    \--files--> a directory or a tar
//! ```
//!
//! [`compose`] writes config and manifest of every platform in the wanted
//! [`ImageFormat`]: media types, compression, times, annotations. [`index`] puts
//! attestations beside them and, where there are several, an index on top. What
//! is done with the bytes is the caller's business; [`keep`] puts them into the store.
//!
//! Invariant: the same solved build in the same format gives the same bytes.

mod annotations;
mod compose;
mod directory;
mod files;
mod history;
mod index;
mod rewrite;
mod squash;
mod store;

pub use annotations::{Annotation, Annotations, Level};
pub use compose::{ImageFormat, WrittenImage, compose};
pub use directory::{DirectoryOptions, write_directory};
pub use files::{Extra, FileTimes, RootTree, trees, write_tar};
pub use index::{AttestationManifest, Documents, Statement, index};
pub use rewrite::Rewrite;
pub use store::{Kept, keep};

use std::time::SystemTime;

use super::build::Solved;
use crate::progress::{Event, Outcome, Reporter};

/// Says what an exporter does.
pub type Say<'a> = &'a dyn Fn(String);

/// Runs an exporter as a step of the build with a line of its own.
///
/// # Errors
/// Those of `work`.
pub fn exporting<T, E: std::fmt::Display>(
    solved: &Solved,
    reporter: &dyn Reporter,
    name: &str,
    work: impl FnOnce(Say<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let id = solved.ids.next();
    reporter.report(Event::VertexStarted { id, name: name.to_owned(), at: SystemTime::now() });
    let say = |text: String| {
        for done in [false, true] {
            reporter.report(Event::VertexStatus { id, text: text.clone(), done });
        }
    };
    let result = work(&say);
    let outcome = match &result {
        Ok(_) => Outcome::Done,
        Err(error) => Outcome::Failed(error.to_string()),
    };
    reporter.report(Event::VertexDone { id, at: SystemTime::now(), outcome });
    result
}
