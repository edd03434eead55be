//! The steps of a build as plain data: printable before anything runs, no I/O.

use std::fmt;

use super::options::NetworkMode;
use crate::image::{DiffId, ManifestDigest};
use crate::parser::Span;
use crate::parser::instruction::Sharing;

/// Which vertex of a [`Graph`].
pub type VertexIndex = usize;

/// All steps that the target needs; every vertex stands behind those that it needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// The steps.
    pub vertices: Vec<Vertex>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Vertex {
    /// Its line, e.g. `[build 2/3] RUN make`.
    pub name: String,
    /// The stage's name or number.
    pub stage: String,
    /// The number of the instruction in its stage.
    pub position: u32,
    /// The instruction as written.
    pub text: String,
    /// Its lines; none for what no instruction says.
    pub span: Option<Span>,
    /// The step whose result this one extends; none is an empty root.
    pub parent: Option<VertexIndex>,
    /// Whether an earlier result must not be used.
    pub ignore_cache: bool,
    /// What it does.
    pub op: Op,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The layers of an image.
    Source(SourceOp),
    /// A process.
    Run(Box<RunOp>),
    /// Files into a layer: `COPY` and `ADD`.
    Copy(Box<CopyOp>),
    /// A directory.
    Workdir(WorkdirOp),
}

/// The layers of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceOp {
    /// The image's name.
    pub name: String,
    /// Its manifest.
    pub manifest: ManifestDigest,
    /// Its layers, bottom first.
    pub diff_ids: Vec<DiffId>,
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// The main context.
    Context,
    /// A named context.
    Named(String),
    /// The result of a step.
    Vertex(VertexIndex),
    /// Nothing is there.
    Scratch,
}

/// A process.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOp {
    /// The words, shell included.
    pub args: Vec<String>,
    /// Variables, in order.
    pub env: Vec<(String, String)>,
    /// Proxy variables: the process sees them, nothing else does.
    pub proxy_env: Vec<(String, String)>,
    /// Working directory; empty is `/`.
    pub cwd: String,
    /// `USER` as written; empty is root.
    pub user: String,
    /// Host name.
    pub hostname: String,
    /// Mounts in order.
    pub mounts: Vec<MountOp>,
    /// A script that is mounted read-only at `/dev/pipes/NAME`.
    pub script: Option<(String, String)>,
    /// The network.
    pub network: NetworkMode,
    /// Whether all confinement is off.
    pub insecure: bool,
    /// `os/architecture` that it runs on.
    pub platform: String,
}

/// A mount of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountOp {
    /// Files of a context, a stage or an image.
    Bind {
        /// Where they come from.
        from: Place,
        /// Path there.
        source: String,
        /// Absolute target.
        target: String,
        /// Whether writes succeed; they are discarded.
        writable: bool,
    },
    /// A directory that outlives the build.
    Cache {
        /// Its name, prefix included.
        id: String,
        /// Absolute target.
        target: String,
        /// Who may use it at the same time.
        sharing: Sharing,
        /// What it holds at first.
        from: Place,
        /// Path there, absolute and clean.
        source: String,
        /// How it begins where `mode`, `uid` or `gid` are given for a whole root: empty, of this mode and owner.
        shape: Option<CacheShape>,
        /// Whether writes fail.
        read_only: bool,
    },
    /// Memory.
    Tmpfs {
        /// Absolute target.
        target: String,
        /// Bytes.
        size: Option<u64>,
    },
    /// A secret.
    Secret {
        /// Its id.
        id: String,
        /// Absolute target of the file, if it is a file.
        target: Option<String>,
        /// Variable, if it is one.
        env: Option<String>,
        /// Mode of the file.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Whether it must be there.
        required: bool,
    },
    /// An ssh agent's socket.
    Ssh {
        /// Its id.
        id: String,
        /// Absolute target.
        target: String,
        /// Mode of the socket.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Whether it must be there.
        required: bool,
    },
}

impl MountOp {
    /// Returns where the mount's files come from.
    pub fn from(&self) -> Option<&Place> {
        match self {
            Self::Bind { from, .. } | Self::Cache { from, .. } => Some(from),
            _ => None,
        }
    }
}

/// The first, empty directory of a cache mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheShape {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Files into a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOp {
    /// Sources in order.
    pub sources: Vec<CopySourceOp>,
    /// Destination, expanded.
    pub destination: String,
    /// Working directory of the stage.
    pub workdir: String,
    /// `--chown`, expanded.
    pub chown: Option<String>,
    /// `--chmod`, expanded.
    pub chmod: Option<String>,
    /// `--link`
    pub link: bool,
    /// `--parents`
    pub parents: bool,
    /// `--exclude`
    pub excludes: Vec<String>,
    /// Time of directories made on the way.
    pub epoch: Option<i64>,
}

impl CopyOp {
    /// Whether the layer does not depend on what it lies on.
    pub fn is_linked(&self) -> bool {
        self.link && self.chmod.is_none()
    }
}

/// A source of `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopySourceOp {
    /// A path or wildcard somewhere.
    Path {
        /// Where.
        place: Place,
        /// The path, expanded.
        path: String,
        /// Whether an archive is unpacked.
        unpack: bool,
    },
    /// A file whose text stands in the Dockerfile.
    Heredoc {
        /// Its name.
        name: String,
        /// Its text, expanded.
        body: String,
    },
    /// A download.
    Url {
        /// The URL.
        url: String,
        /// `--checksum`
        checksum: Option<super::context::Checksum>,
        /// Whether an archive is unpacked.
        unpack: bool,
    },
    /// A checkout.
    Git {
        /// The URL with its fragment and query.
        url: String,
        /// `--checksum`
        checksum: Option<String>,
        /// Whether `.git` stays.
        keep_git_dir: bool,
    },
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkdirOp {
    /// Absolute path as written.
    pub path: String,
    /// Its owner as `USER` says; empty is root.
    pub user: String,
    /// Its time.
    pub epoch: Option<i64>,
}

impl Vertex {
    /// Returns the vertices whose results this one needs, the parent first; a linked copy needs no parent.
    pub fn inputs(&self) -> Vec<VertexIndex> {
        let mut inputs: Vec<VertexIndex> = self.parent.into_iter().collect();
        let mut add = |place: &Place| {
            if let Place::Vertex(index) = place
                && !inputs.contains(index)
            {
                inputs.push(*index);
            }
        };
        match &self.op {
            Op::Source(_) | Op::Workdir(_) => {}
            Op::Run(run) => run.mounts.iter().filter_map(MountOp::from).for_each(&mut add),
            Op::Copy(copy) => copy.sources.iter().for_each(|source| {
                if let CopySourceOp::Path { place, .. } = source {
                    add(place);
                }
            }),
        }
        inputs
    }
}

impl Graph {
    /// Adds a vertex and returns its index.
    pub fn add(&mut self, vertex: Vertex) -> VertexIndex {
        debug_assert!(vertex.inputs().iter().all(|input| *input < self.vertices.len()));
        self.vertices.push(vertex);
        self.vertices.len() - 1
    }

    /// Returns, for each vertex, whether it is `target` or `target` needs it; without a target none is.
    pub fn needed(&self, target: Option<VertexIndex>) -> Vec<bool> {
        let mut needed = vec![false; self.vertices.len()];
        let mut todo: Vec<VertexIndex> = target.into_iter().collect();
        while let Some(vertex) = todo.pop() {
            if !std::mem::replace(&mut needed[vertex], true) {
                todo.extend(self.vertices[vertex].inputs());
            }
        }
        needed
    }

    /// Whether some step takes files from the main context.
    pub fn uses_context(&self) -> bool {
        self.vertices.iter().any(|vertex| match &vertex.op {
            Op::Run(run) => run.mounts.iter().any(|mount| mount.from() == Some(&Place::Context)),
            Op::Copy(copy) => copy
                .sources
                .iter()
                .any(|source| matches!(source, CopySourceOp::Path { place: Place::Context, .. })),
            _ => false,
        })
    }
}

impl fmt::Display for Graph {
    /// Writes a line a vertex: number, inputs, name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, vertex) in self.vertices.iter().enumerate() {
            let inputs: Vec<String> = vertex.inputs().iter().map(usize::to_string).collect();
            writeln!(f, "{index} <- [{}] {}", inputs.join(" "), vertex.name)?;
        }
        Ok(())
    }
}
