//! Whole builds in a store of their own, on a busybox root, with the real executor.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::builder::context::{DirectoryTree, PatternMatcher, Tree};
use crate::builder::{
    BuildEnv, BuildError, BuildOptions, BuildOutcome, Cancel, Explanation, ImageSource, ImageSourceError,
    ResolvedImage, build,
};
pub use crate::causes::chain;
use crate::fs::Root;
use crate::image::manifest::media_type;
use crate::image::{Descriptor, ImageConfig, Manifest, Platform, Reference};
use crate::layers::{Entry, EntryKind, LayerSink, Metadata, Mtime, SinkOptions, TarReader};
use crate::parser::Source;
use crate::progress::{Event, RecordingReporter};
use crate::run::NamespaceExecutor;
use crate::store::{LayerForm, Store, StoreOptions};

/// A store, a context, and what the last build said.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub store: Store,
    pub events: Vec<Event>,
    pub told: Vec<Explanation>,
    pub cancel: Cancel,
}

/// Files of an image: path to type, mode, owner and text.
pub type Files = BTreeMap<String, (char, u32, (u32, u32), String)>;

impl Bench {
    /// Returns an empty store with `busybox` in it, in one form of layers or the other.
    pub fn with_form(form: Option<LayerForm>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { form, ..StoreOptions::default() };
        let store = Store::open(&dir.path().join("store"), &options).unwrap();
        std::fs::create_dir(dir.path().join("context")).unwrap();
        let bench = Self { dir, store, events: Vec::new(), told: Vec::new(), cancel: Cancel::new() };
        bench.add_busybox();
        bench
    }

    pub fn new() -> Self {
        Self::with_form(None)
    }

    /// Returns another handle on a store that is there, with a context of its own.
    pub fn on(store: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(store, &StoreOptions::default()).unwrap();
        std::fs::create_dir(dir.path().join("context")).unwrap();
        Self { dir, store, events: Vec::new(), told: Vec::new(), cancel: Cancel::new() }
    }

    fn add_busybox(&self) {
        let draft = self.store.begin_layer().unwrap();
        let index = self.store.form().unwrap().0 == LayerForm::Index;
        let mut sink = LayerSink::create(draft.root(), SinkOptions { index }).unwrap();
        let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
        let mut add = |path: &str, kind: EntryKind, mode: u32, bytes: &[u8]| {
            let meta =
                Metadata { mode, mtime: Mtime { seconds: 1_700_000_000, nanos: 0 }, ..Metadata::default() };
            let entry = Entry { path: path.as_bytes().to_vec(), kind, meta };
            sink.append_bytes(&entry, bytes).unwrap();
        };
        add("bin", EntryKind::Directory, 0o755, b"");
        add("bin/busybox", EntryKind::File { size: busybox.len() as u64 }, 0o755, &busybox);
        for applet in [
            "sh", "echo", "cat", "true", "false", "ls", "mkdir", "rm", "id", "env", "stat", "touch", "test",
            "sleep", "grep", "find", "hostname", "ip", "chmod", "ln", "mv", "wc", "head", "seq", "printf",
            "nc", "mount",
        ] {
            add(&format!("bin/{applet}"), EntryKind::Symlink { target: b"busybox".to_vec() }, 0o777, b"");
        }
        add("etc", EntryKind::Directory, 0o755, b"");
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1001:u:/home/user:/bin/sh\n";
        add(
            "etc/group",
            EntryKind::File { size: 34 },
            0o644,
            b"root:x:0:\nusers:x:1001:\nmore:x:5:u\n".get(..34).unwrap(),
        );
        add("etc/passwd", EntryKind::File { size: passwd.len() as u64 }, 0o644, passwd);
        add("root", EntryKind::Directory, 0o700, b"");
        add("tmp", EntryKind::Directory, 0o1777, b"");
        let written = sink.finish().unwrap();
        draft.commit(written.diff_id, written.size).unwrap();
        let mut config = ImageConfig::scratch(&Platform::host());
        config.config.cmd = Some(vec!["sh".to_owned()]);
        config.rootfs.diff_ids = vec![written.diff_id];
        let bytes = config.to_json();
        let descriptor = Descriptor::new(media_type::OCI_CONFIG, config.id().as_digest(), bytes.len() as u64);
        let layer = Descriptor::new(media_type::OCI_LAYER, written.diff_id.as_digest(), written.size);
        let (manifest, digest) = Manifest::oci(descriptor, vec![layer]).to_json();
        self.store.put_image(&bytes, &manifest).unwrap();
        self.store.tag(&Reference::parse("busybox").unwrap(), digest).unwrap();
    }

    /// Writes a file of the context.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join("context").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn context(&self) -> Arc<dyn Tree> {
        let path = self.dir.path().join("context");
        let root = Root::open(&path).unwrap();
        let index = self.store.context_index(&root, &path).unwrap();
        Arc::new(DirectoryTree::context(root, PatternMatcher::default(), Some(index)))
    }

    pub fn options(&self, dockerfile: &str) -> BuildOptions {
        let mut options = BuildOptions::new(Source::new("Dockerfile", dockerfile), self.context());
        options.scope = "test".to_owned();
        options
    }

    pub fn try_build(&mut self, options: &BuildOptions) -> Result<BuildOutcome, BuildError> {
        let reporter = RecordingReporter::default();
        let told = Mutex::new(Vec::new());
        let explain = |explanation| told.lock().unwrap().push(explanation);
        let executor = NamespaceExecutor::new();
        let env = BuildEnv {
            store: &self.store,
            executor: &executor,
            images: &Stored(&self.store),
            reporter: &reporter,
            cancel: &self.cancel,
            shared: None,
            explain: Some(&explain),
        };
        let result = build(options, env);
        self.events = reporter.events();
        self.told = told.into_inner().unwrap();
        result
    }

    #[track_caller]
    pub fn build(&mut self, dockerfile: &str) -> BuildOutcome {
        let options = self.options(dockerfile);
        let result = self.try_build(&options);
        result.unwrap_or_else(|error| panic!("{}\n{}\n{dockerfile}", chain(&error), self.log()))
    }

    #[track_caller]
    pub fn fail(&mut self, dockerfile: &str) -> BuildError {
        let options = self.options(dockerfile);
        self.try_build(&options).expect_err(dockerfile)
    }

    /// Returns all output of all steps.
    pub fn log(&self) -> String {
        let mut text = Vec::new();
        for event in &self.events {
            if let Event::VertexLog { data, .. } = event {
                text.extend_from_slice(data);
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Returns how many steps were answered from the cache.
    pub fn cached(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::VertexCached { .. })).count()
    }

    pub fn config(&self, outcome: &BuildOutcome) -> ImageConfig {
        ImageConfig::from_json(&outcome.config).unwrap()
    }

    /// Returns what one layer of an image holds.
    pub fn layer(&self, outcome: &BuildOutcome, number: usize) -> Files {
        let id = self.config(outcome).rootfs.diff_ids[number];
        let layer = self.store.layer(id).unwrap().expect("an image's layers are there");
        let mut tar = TarReader::new(layer.tar().unwrap());
        let mut files = Files::new();
        while let Some((entry, _)) = tar.next_entry().unwrap() {
            let (kind, text) = match &entry.kind {
                EntryKind::File { .. } => {
                    let mut text = String::new();
                    let mut bytes = Vec::new();
                    tar.read_to_end(&mut bytes).unwrap();
                    text += &String::from_utf8_lossy(&bytes);
                    ('-', text)
                }
                EntryKind::Directory => ('d', String::new()),
                EntryKind::Symlink { target } => ('l', String::from_utf8_lossy(target).into_owned()),
                EntryKind::Whiteout => ('w', String::new()),
                other => ('?', format!("{other:?}")),
            };
            let path = String::from_utf8_lossy(&entry.path).into_owned();
            files.insert(path, (kind, entry.meta.mode, (entry.meta.uid, entry.meta.gid), text));
        }
        files
    }

    /// Returns the names in a layer.
    pub fn names(&self, outcome: &BuildOutcome, number: usize) -> Vec<String> {
        self.layer(outcome, number).into_keys().collect()
    }
}

/// Images of the store.
struct Stored<'a>(&'a Store);

impl ImageSource for Stored<'_> {
    fn resolve(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        _: bool,
    ) -> Result<ResolvedImage, ImageSourceError> {
        let image = self.0.find_image(&reference.to_string(), platform)?;
        let (config, _) = self.0.config(image.id)?;
        Ok(ResolvedImage {
            name: reference.to_string(),
            manifest: image.manifest,
            id: image.id,
            diff_ids: config.rootfs.diff_ids.clone(),
            config,
        })
    }
}

/// Whether processes can be started here at all; says why not.
pub fn can_run() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        #[expect(clippy::print_stderr, reason = "a skipped test says why")]
        {
            eprintln!("skipped: starting processes without a user namespace needs root");
        }
    }
    root && Path::new("/bin/busybox").exists()
}
