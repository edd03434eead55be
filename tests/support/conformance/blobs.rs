//! Blobs: every way to push one, and to look at it afterwards.

use super::Suite;

/// The size of a chunk, if the registry asks for no larger one.
const CHUNK: usize = 1024;
/// Bytes that take three chunks.
pub const THREE_CHUNKS: usize = CHUNK * 3 - 5;

/// A way to push a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One POST with the digest and the bytes.
    Post,
    /// A POST, and a PUT with the bytes.
    PostPut,
    /// A POST, PATCHes that say where they belong, and a PUT.
    Chunks {
        /// The PUT brings the last chunk.
        put_last: bool,
        /// Before each chunk another one that does not belong there is tried.
        out_of_order: bool,
    },
    /// A POST, a PATCH of unknown length, and a PUT.
    Stream,
}

/// Chunks in their order, and a PUT without bytes.
const CHUNKS: Way = Way::Chunks { put_last: false, out_of_order: false };

/// All ways that send nothing wrong.
pub const WAYS: [Way; 5] =
    [Way::Post, Way::PostPut, CHUNKS, Way::Chunks { put_last: true, out_of_order: false }, Way::Stream];

/// A blob on its way.
pub struct Push<'a> {
    /// Repository.
    pub repository: &'a str,
    /// Digest.
    pub digest: &'a str,
    /// Bytes.
    pub bytes: &'a [u8],
    /// The bytes do not have the digest, and the registry has to say so.
    pub is_bad: bool,
}

impl Push<'_> {
    /// Pushes and follows the answer's location.
    pub fn by(&self, suite: &Suite, way: Way) {
        let end = match way {
            Way::Post => self.post(suite),
            Way::PostPut => self.begin(suite).and_then(|at| self.put(suite, &at, self.bytes)),
            Way::Stream => self.stream(suite),
            Way::Chunks { put_last, out_of_order } => self.chunks(suite, put_last, out_of_order),
        };
        let Some(location) = end.filter(|_| !self.is_bad) else { return };
        suite.ask("GET", &location).send(&[200]).holds(self.bytes);
    }

    fn uploads(&self) -> String {
        format!("/v2/{}/blobs/uploads/", self.repository)
    }

    fn begin(&self, suite: &Suite) -> Option<String> {
        suite.ask("POST", &self.uploads()).send(&[202]).location()
    }

    /// Sends the last request of a push and returns where the blob is.
    fn finish(&self, ask: super::Ask<'_>) -> Option<String> {
        let ask = ask.query("digest", self.digest).header("Content-Type", "application/octet-stream");
        if self.is_bad {
            ask.send(&[400]);
            return None;
        }
        ask.send(&[201]).has("Docker-Content-Digest", self.digest).location()
    }

    fn post(&self, suite: &Suite) -> Option<String> {
        self.finish(suite.ask("POST", &self.uploads()).body(self.bytes))
    }

    fn put(&self, suite: &Suite, at: &str, bytes: &[u8]) -> Option<String> {
        self.finish(suite.ask("PUT", at).body(bytes))
    }

    fn stream(&self, suite: &Suite) -> Option<String> {
        let at = self.begin(suite)?;
        let patch = suite.ask("PATCH", &at).header("Content-Type", "application/octet-stream");
        let patch = patch.stream(self.bytes).send(&[202]);
        self.put(suite, &patch.location()?, b"")
    }

    fn chunks(&self, suite: &Suite, put_last: bool, out_of_order: bool) -> Option<String> {
        let begun = suite.ask("POST", &self.uploads()).send(&[202]);
        let least: usize = begun.header("OCI-Chunk-Min-Length").parse().unwrap_or(0);
        let all = self.bytes.len();
        let size = (all / 3 + 1).max(least).max(CHUNK).min(all);
        let (mut location, mut from) = (begun.location()?, 0);
        while from < all {
            if out_of_order {
                location = self.stray(suite, &location, from, size, put_last)?;
            }
            let to = (from + size).min(all);
            let is_put = put_last && to == all;
            let ask = self.chunk(suite, if is_put { "PUT" } else { "PATCH" }, &location, from, to);
            if is_put {
                return self.finish(ask);
            }
            let answer =
                ask.header("Content-Type", "application/octet-stream").send(&[202]).has("Range", range(to));
            location = answer.location()?;
            from = to;
        }
        self.put(suite, &location, b"")
    }

    fn chunk<'s>(
        &self,
        suite: &'s Suite,
        method: &'static str,
        at: &str,
        from: usize,
        to: usize,
    ) -> super::Ask<'s> {
        suite
            .ask(method, at)
            .header("Content-Range", format!("{from}-{}", to - 1))
            .body(&self.bytes[from..to])
    }

    /// Sends a chunk that leaves one out, or one that is there already, and asks how far the upload is.
    fn stray(&self, suite: &Suite, at: &str, next: usize, size: usize, put_last: bool) -> Option<String> {
        let all = self.bytes.len();
        let from = if next + size < all { next + size } else { 0 };
        let to = (from + size).min(all);
        if put_last && to == all {
            self.chunk(suite, "PUT", at, from, to).query("digest", self.digest).send(&[416]);
        } else {
            self.chunk(suite, "PATCH", at, from, to).send(&[416]);
        }
        let state = suite.ask("GET", at).query("digest", self.digest).send(&[204]);
        let (said, known) = (state.header("Range"), range(next));
        let is_range = said.strip_prefix("0-").is_some_and(|last| last.parse::<usize>().is_ok());
        suite.holds(is_range && (next == 0 || said == known), format!("an upload's Range is {said:?}"));
        state.location()
    }
}

fn range(size: usize) -> String {
    format!("0-{}", size.saturating_sub(1))
}

/// Checks HEAD and GET of a blob that is there.
pub fn look(suite: &Suite, repository: &str, digest: &str, bytes: &[u8]) {
    let path = format!("/v2/{repository}/blobs/{digest}");
    let head = suite.ask("HEAD", &path).send(&[200]);
    head.has("Content-Length", bytes.len().to_string()).has("Docker-Content-Digest", digest);
    suite.ask("GET", &path).send(&[200]).holds(bytes).has("Docker-Content-Digest", digest);
}

/// Deletes a blob that is there; it is gone at once.
pub fn delete(suite: &Suite, repository: &str, digest: &str) {
    let path = format!("/v2/{repository}/blobs/{digest}");
    suite.ask("DELETE", &path).send(&[202]);
    gone(suite, &path);
    suite.ask("DELETE", &path).send(&[404]);
}

/// Checks that a path leads nowhere.
pub fn gone(suite: &Suite, path: &str) {
    suite.ask("HEAD", path).send(&[404]);
    suite.ask("GET", path).send(&[404]);
}
