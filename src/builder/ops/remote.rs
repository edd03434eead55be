//! What copies and named contexts take from servers: downloads and checkouts.
//!
//! Before anything is fetched it is pinned: a download by asking its server
//! whether the bytes of last time still hold, a repository by the commit that
//! its reference names now. What was learnt of a pinned source then serves
//! again, and an unchanged one costs one short answer.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Ops;
use crate::builder::cache_key::{Fields, StepKey};
use crate::builder::context::{
    Checksum, Download, DownloadOptions, GitOptions, GitSource, Tree, Validators, checkout, download,
    resolve_commit, revalidate,
};
use crate::builder::error::{BuildError, invalid};
use crate::builder::graph::{CopyOp, CopySourceOp};
use crate::builder::options::Input;
use crate::image::Digest;
use crate::layers::Mtime;
use crate::progress::TransferId;
use crate::store::{CacheRecord, StepId};

/// The name that a download has as a named context.
const CONTEXT_FILE: &str = "context";

/// What a source of a copy was when the build looked.
pub(super) enum Pin {
    /// Nothing to pin: it is at hand, or its own text pins it.
    None,
    /// A download's digest and time, and its body if that had to come.
    Url { digest: Digest, modified: Mtime, body: Option<Arc<Download>> },
    /// A repository's commit.
    Git { commit: String },
}

/// What is kept of a download.
#[derive(Serialize, Deserialize)]
struct Known {
    digest: Digest,
    modified: i64,
    validators: Validators,
}

/// A named context that is opened when a step first wants it.
#[derive(Default)]
pub(super) struct Opened(Mutex<Option<Arc<dyn Tree>>>);

impl Ops<'_> {
    /// Finds out what each source of a copy is now.
    pub(super) fn pins(&self, op: &CopyOp) -> Result<Vec<Pin>, BuildError> {
        let pin = |source: &CopySourceOp| match source {
            CopySourceOp::Url { url, checksum: None, .. } => self.pin_url(url),
            CopySourceOp::Git { .. } => {
                let lookup = |id: &str| self.secret(id).ok().flatten();
                let commit = resolve_commit(&git_source(source)?, &self.git_options(&lookup)?)?;
                Ok(Pin::Git { commit })
            }
            _ => Ok(Pin::None),
        };
        op.sources.iter().map(pin).collect()
    }

    fn pin_url(&self, url: &str) -> Result<Pin, BuildError> {
        let key = http_key(url);
        let known = self.cached(&key.key)?;
        let known = known.and_then(|record| serde_json::from_str::<Known>(&record.payload).ok());
        let lookup = |id: &str| self.secret(id).ok().flatten();
        let options = self.download_options(None, &lookup)?;
        let body = match &known {
            Some(known) => revalidate(url, &known.validators, &options)?,
            None => Some(download(url, &options)?),
        };
        let (body, known) = match (body, known) {
            (None, Some(Known { digest, modified, .. })) => {
                let modified = Mtime { seconds: modified, nanos: 0 };
                return Ok(Pin::Url { digest, modified, body: None });
            }
            (None, None) => (download(url, &options)?, None),
            (Some(body), known) => (body, known),
        };
        let now = Known {
            digest: body.digest,
            modified: body.modified().seconds,
            validators: body.validators.clone(),
        };
        if !now.validators.is_empty() || known.is_some() {
            let payload = serde_json::to_string(&now).expect("texts serialise");
            let mut record = CacheRecord::new(key.key, payload, Vec::new(), 0, StepId::default());
            record.kind = "internal".to_owned();
            record.description = format!("validators of {}", body.label());
            self.env.store.cache_put(&record)?;
        }
        Ok(Pin::Url { digest: body.digest, modified: body.modified(), body: Some(Arc::new(body)) })
    }

    /// Returns a download: the body that pinning brought, else a new one.
    pub(super) fn downloaded(
        &self,
        url: &str,
        checksum: Option<&Checksum>,
        pin: Option<&Pin>,
    ) -> Result<Arc<Download>, BuildError> {
        if let Some(Pin::Url { body: Some(body), .. }) = pin {
            return Ok(Arc::clone(body));
        }
        let lookup = |id: &str| self.secret(id).ok().flatten();
        Ok(Arc::new(download(url, &self.download_options(checksum.cloned(), &lookup)?)?))
    }

    /// Returns a checkout of a repository, of the commit that was pinned.
    pub(super) fn checked_out(
        &self,
        source: &CopySourceOp,
        pin: Option<&Pin>,
    ) -> Result<Arc<dyn Tree>, BuildError> {
        let mut source = git_source(source)?;
        if let Some(Pin::Git { commit }) = pin {
            source.checksum = Some(commit.clone());
        }
        let lookup = |id: &str| self.secret(id).ok().flatten();
        Ok(Arc::new(checkout(&source, &self.git_options(&lookup)?)?))
    }

    /// Returns a named context's files; one from a server is fetched once.
    pub(super) fn named_tree(&self, name: &str) -> Result<Arc<dyn Tree>, BuildError> {
        let unknown = || invalid(format!("named context {name} is no directory"));
        let input = self.options.named_contexts.get(name).ok_or_else(unknown)?;
        if let Input::Tree(tree) = input {
            return Ok(Arc::clone(tree));
        }
        let slot = self.named.get(name).ok_or_else(unknown)?;
        let mut slot = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = &*slot {
            return Ok(Arc::clone(tree));
        }
        let lookup = |id: &str| self.secret(id).ok().flatten();
        let tree: Arc<dyn Tree> = match input {
            Input::Git(source) => {
                let mut source = source.clone();
                source.keep_git_dir.get_or_insert(self.options.keep_git_dir());
                Arc::new(checkout(&source, &self.git_options(&lookup)?)?)
            }
            Input::Url(url) => {
                Arc::new(download(url, &self.download_options(None, &lookup)?)?.named(CONTEXT_FILE))
            }
            Input::Tree(_) | Input::Image(_) => return Err(unknown()),
        };
        Ok(Arc::clone(slot.insert(tree)))
    }

    fn download_options<'s>(
        &'s self,
        checksum: Option<Checksum>,
        secret: &'s (dyn Fn(&str) -> Option<Vec<u8>> + Sync),
    ) -> Result<DownloadOptions<'s>, BuildError> {
        let number = self.transfers.fetch_add(1, Ordering::Relaxed) as u64;
        Ok(DownloadOptions {
            checksum,
            secret,
            reporter: self.env.reporter,
            transfer: TransferId::Number(number),
            spool: self.spool()?,
            cancel: Some(self.env.cancel),
        })
    }

    fn git_options<'s>(
        &'s self,
        secret: &'s (dyn Fn(&str) -> Option<Vec<u8>> + Sync),
    ) -> Result<GitOptions<'s>, BuildError> {
        Ok(GitOptions {
            spool: self.spool()?,
            secret,
            ssh: self.options.ssh.get("default").map(|agent| agent.socket.clone()),
            allow_file: false,
            cancel: Some(self.env.cancel),
        })
    }
}

/// Adds what was pinned to the fields under which the content of a copy is remembered.
pub(super) fn add_pin(fields: &mut Fields, source: &CopySourceOp, pin: Option<&Pin>) -> bool {
    match (source, pin) {
        (CopySourceOp::Url { url, unpack, .. }, Some(Pin::Url { digest, modified, .. })) => {
            fields.add("url", url);
            fields.add("digest", digest.to_string());
            fields.add("modified", modified.seconds.to_string());
            fields.add("unpack", unpack.to_string());
        }
        (CopySourceOp::Git { url, keep_git_dir, .. }, Some(Pin::Git { commit })) => {
            fields.add("repository", url);
            fields.add("commit", commit);
            fields.add("keep git dir", keep_git_dir.to_string());
        }
        _ => return false,
    }
    true
}

fn http_key(url: &str) -> StepKey {
    let mut fields = Fields::new("validators of a download");
    fields.add("url", url);
    fields.finish()
}

fn git_source(source: &CopySourceOp) -> Result<GitSource, BuildError> {
    let CopySourceOp::Git { url, checksum, keep_git_dir } = source else {
        return Err(invalid("not a git source"));
    };
    let mut git =
        GitSource::parse(url, false)?.ok_or_else(|| invalid(format!("{url} is no git repository")))?;
    git.keep_git_dir = Some(*keep_git_dir);
    git.checksum = checksum.clone().or(git.checksum);
    Ok(git)
}
