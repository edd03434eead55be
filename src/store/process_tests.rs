//! Many processes at once, death at any instant, a full disk.
//!
//! The other processes are this test binary, started with the one ignored
//! test [`worker`] and told by variables what to do.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::tests::{add_image, add_layer, name};
use super::*;
use crate::image::{Digest, ImageConfig, ManifestDigest};

const ROLE: &str = "SKIFF_TEST_ROLE";
const ROOT: &str = "SKIFF_TEST_ROOT";
const ROUNDS: &str = "SKIFF_TEST_ROUNDS";

fn open(path: &Path) -> Store {
    Store::open(path, &StoreOptions::default()).unwrap()
}

fn spawn(role: &str, root: &Path, rounds: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::process_tests::worker", "--ignored", "--nocapture", "--test-threads=1"])
        .envs([(ROLE, role), (ROUNDS, &rounds.to_string())])
        .env(ROOT, root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn random(below: u64) -> u64 {
    u64::from_str_radix(&file::random_id()[..8], 16).unwrap() % below
}

/// What another process does; runs only when it was started as one.
#[test]
#[ignore = "is the body of processes that other tests start"]
fn worker() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let root = std::env::var_os(ROOT).unwrap();
    let rounds: usize = std::env::var(ROUNDS).unwrap().parse().unwrap();
    let store = open(Path::new(&root));
    for _ in 0..rounds {
        match role.as_str() {
            "write" => write_something(&store).unwrap(),
            "collect" => collect(&store),
            other => panic!("no role {other}"),
        }
    }
}

/// One small build: layers, a record each, an image, a name.
fn write_something(store: &Store) -> Result<(), StoreError> {
    let _lease = store.lease()?;
    // Few different contents, so that processes meet on them.
    let contents: Vec<Vec<u8>> = (0..3).map(|_| vec![random(12) as u8; 3000]).collect();
    let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    for bytes in &contents {
        let key = CacheKey::from_bytes(*Digest::of(bytes).as_bytes());
        let _lock = store.key_lock(&key)?;
        if store.cache_get(&key)?.is_none() {
            let layer = add_layer(store, bytes);
            store.cache_put(&CacheRecord::new(key, "{}".into(), vec![layer], 1, StepId::default()))?;
        }
    }
    let image = add_image(store, &random(5).to_string(), &contents);
    let text = format!("app:{}", random(4));
    store.tag(&name(&text), image.manifest)?;
    let mount = store.cache_mount("shared", Sharing::Shared, |_| Ok::<(), StoreError>(()))?;
    drop(mount);
    Ok(())
}

fn collect(store: &Store) {
    let images = store.plan_image_prune(&ImagePolicy { all: random(4) == 0, ..ImagePolicy::default() });
    store.apply(&images.unwrap()).unwrap();
    let keep = Some(random(30_000));
    let policy = CachePolicy { all: random(2) == 0, keep_bytes: keep, ..CachePolicy::default() };
    store.apply(&store.plan_builder_prune(&policy).unwrap()).unwrap();
    match store.plan_remove(&format!("app:{}", random(4)), random(2) == 0, &[]) {
        Ok(plan) => drop(store.apply(&plan).unwrap()),
        Err(StoreError::NoImage(_) | StoreError::NoManifest(_)) => {}
        // Read without a lease: another process may have removed it in between.
        Err(other) => panic!("{other:?}"),
    }
}

/// Checks every name of a store against its content.
fn verify(path: &Path) -> usize {
    let store = open(path);
    let check = |bytes: &[u8], name: &str| assert_eq!(Digest::of(bytes).hex(), name);
    for entry in std::fs::read_dir(path.join("blobs/sha256")).unwrap() {
        let entry = entry.unwrap();
        check(&std::fs::read(entry.path()).unwrap(), &entry.file_name().to_string_lossy());
    }
    for entry in std::fs::read_dir(path.join("layers")).unwrap() {
        let entry = entry.unwrap();
        check(&std::fs::read(entry.path().join("layer.tar")).unwrap(), &entry.file_name().to_string_lossy());
    }
    let images = store.images().unwrap();
    let known: Vec<ManifestDigest> = images.iter().map(|image| image.manifest).collect();
    for image in &images {
        store.document(image.manifest).unwrap();
        let (config, _): (ImageConfig, _) = store.config(image.id).unwrap();
        assert_eq!(config.rootfs.diff_ids, image.layers);
        for layer in &image.layers {
            assert_eq!(store.layer(*layer).unwrap().unwrap().size(), 3000);
        }
    }
    for r in store.refs().unwrap() {
        assert!(known.contains(&r.target), "{r:?}");
    }
    for record in store.cache_records().unwrap() {
        store.cache_get(&record.key).unwrap();
    }
    images.len()
}

fn finish(child: &mut Child) {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
}

#[test]
fn many_processes_share_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let mut children: Vec<Child> = (0..4).map(|_| spawn("write", &root, 40)).collect();
    children.extend((0..2).map(|_| spawn("collect", &root, 25)));
    // Threads of this process join in, with handles of their own and with a shared one.
    let shared = open(&root);
    std::thread::scope(|scope| {
        for n in 0..3 {
            let (root, shared) = (&root, &shared);
            scope.spawn(move || {
                let own = open(root);
                for _ in 0..15 {
                    write_something(if n == 0 { &own } else { shared }).unwrap();
                }
            });
        }
    });
    children.iter_mut().for_each(finish);
    verify(&root);
    let left = |dir: &str| std::fs::read_dir(root.join(dir)).unwrap().count();
    assert_eq!((left("tmp"), left("locks")), (0, 2));
    assert!(left("leases") <= 9, "files are used again");
}

#[test]
fn a_killed_process_leaves_a_sound_store() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let start = Instant::now();
    let mut images = 0;
    for round in 0..100 {
        let mut children = vec![spawn("write", &root, 1_000_000)];
        if round % 3 == 2 {
            children.push(spawn("collect", &root, 1_000_000));
        }
        // The first rounds die while the store is being made.
        std::thread::sleep(Duration::from_micros(if round < 20 { random(20_000) } else { random(40_000) }));
        for mut child in children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        images = images.max(verify(&root));
        if round % 10 == 9 {
            collect(&open(&root));
            assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 0);
            assert_eq!(std::fs::read_dir(root.join("locks")).unwrap().count(), 2);
        }
        assert!(start.elapsed() < Duration::from_secs(300), "round {round}");
    }
    assert!(images > 0, "no round came far enough to store an image");
}

/// A tmpfs on a directory, taken off on drop.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: u64) -> Result<Self, crate::fs::mount::MountError> {
        let dir = tempfile::tempdir().unwrap();
        let mount = crate::fs::mount::tmpfs(Some(size), 0o700)?;
        crate::fs::mount::move_to(&mount, crate::fs::Root::open(dir.path()).unwrap())?;
        Ok(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_stops_writing_and_nothing_else() {
    let disk = match SmallDisk::new(3 << 20) {
        Ok(disk) => disk,
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => {
            let _ = writeln!(std::io::stderr(), "skipped: a tmpfs needs privileges");
            return;
        }
        Err(e) => panic!("{e}"),
    };
    let root = disk.0.path().join("store");
    let store = open(&root);
    let image = add_image(&store, "first", &[&[1; 3000]]);
    store.tag(&name("first"), image.manifest).unwrap();
    let full = |e: &StoreError| {
        let chain = std::iter::successors(Some(e as &dyn std::error::Error), |e| e.source());
        e.is_full() || chain.last().is_some_and(|e| e.to_string().contains("No space left"))
    };
    let fill = || {
        for n in 0..10_000u32 {
            if let Err(e) = store.put_blob(&n.to_le_bytes().repeat(10_000)) {
                return e;
            }
        }
        panic!("it never got full");
    };
    let error = fill();
    assert!(full(&error), "{error:?}");
    // Small things fit where large ones did not.
    let error = (0..10_000u32).find_map(|n| store.put_blob(&n.to_le_bytes()).err()).unwrap();
    assert!(full(&error), "{error:?}");
    let step = StepId::default();
    for n in 0..100_000u32 {
        let key = CacheKey::from_bytes(*Digest::of(&n.to_le_bytes()).as_bytes());
        let record = CacheRecord::new(key, "x".repeat(500), Vec::new(), 0, step.clone());
        if let Err(error) = store.cache_put(&record) {
            assert!(full(&error), "{error:?}");
            break;
        }
    }
    let _ = store.tag(&name("second"), image.manifest);
    verify(&root);
    drop(store);
    let store = open(&root);
    let removed = store.apply(&store.plan_image_prune(&ImagePolicy::default()).unwrap()).unwrap();
    assert!(removed.bytes > 2 << 20, "{removed:?}");
    store
        .apply(&store.plan_builder_prune(&CachePolicy { all: true, ..CachePolicy::default() }).unwrap())
        .unwrap();
    assert_eq!(store.find("first").unwrap().target, image.manifest);
    let second = add_image(&store, "second", &[&[2; 3000]]);
    store.tag(&name("second"), second.manifest).unwrap();
    drop(store);
    assert_eq!(verify(&root), 2);
}
