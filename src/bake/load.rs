//! Texts of files to groups and targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::budget::{Budget, STACK};
use super::compose;
use super::config::Config;
use super::error::BakeError;
use super::functions::Host;
use super::resolve::{Surroundings, Variable, resolve};
use super::source::SourceFile;
use super::syntax;

/// A file that was read.
#[derive(Debug, Clone)]
pub struct BakeFile {
    /// The name as given.
    pub name: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// Reads a file by its name as from here; the error is a sentence.
pub type ReadFile = fn(&str) -> Result<Vec<u8>, String>;

/// What files are evaluated with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--var`: goes before the environment.
    pub variables: BTreeMap<String, String>,
    /// The environment's variables.
    pub environment: BTreeMap<String, String>,
    /// The text of `.env`, which compose files read.
    pub dot_env: String,
    /// Reads files that compose files name; none can be read without it.
    pub read: Option<ReadFile>,
    /// The context of the command line, `cwd://` or an address.
    pub command_context: String,
    /// What this machine runs, e.g. `linux/amd64`.
    pub local_platform: String,
    /// The user's home directory.
    pub home: String,
    /// Seconds since 1970.
    pub now: i64,
}

/// What files say.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Groups and targets.
    pub config: Config,
    /// Variables by name.
    pub variables: Vec<Variable>,
    /// Variables of compose files that are not set and have no default.
    pub blank: Vec<String>,
}

/// Reads and evaluates files; later ones change what earlier ones say.
///
/// # Errors
/// The first thing that is wrong in them.
pub fn load(files: &[BakeFile], options: &Options) -> Result<Loaded, BakeError> {
    // Expressions nest deeper than an ordinary thread's stack holds.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("bake".to_owned()).stack_size(STACK);
        let running = thread.spawn_scoped(scope, || load_here(files, options));
        let running = running.map_err(|e| BakeError::plain(format!("cannot start a thread: {e}")))?;
        running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn load_here(files: &[BakeFile], options: &Options) -> Result<Loaded, BakeError> {
    let (compose, files): (Vec<&BakeFile>, Vec<&BakeFile>) =
        files.iter().partition(|file| compose::is_compose(file, options));
    let (mut config, mut blank) = (Config::default(), Vec::new());
    if !compose.is_empty() {
        let compose: Vec<BakeFile> = compose.into_iter().cloned().collect();
        (config, blank) = compose::load(&compose, options)?;
    }
    let mut bodies = Vec::new();
    for file in files {
        let text = std::str::from_utf8(&file.data)
            .map_err(|_| BakeError::plain(format!("failed to parse {}: it is no UTF-8 text", file.name)))?;
        let source = Arc::new(SourceFile { name: file.name.clone(), text: text.into() });
        bodies.push(syntax::parse(&source)?);
    }
    let look_up = |name: &str| options.variables.get(name).or_else(|| options.environment.get(name)).cloned();
    let built_in = BTreeMap::from([
        ("BAKE_CMD_CONTEXT".to_owned(), options.command_context.clone()),
        ("BAKE_LOCAL_PLATFORM".to_owned(), options.local_platform.clone()),
    ]);
    let around = Surroundings {
        look_up: &look_up,
        built_in: &built_in,
        host: Host { home: options.home.clone(), now: options.now },
    };
    let budget = Budget::default();
    let variables = resolve(bodies, &mut config, &around, &budget)?;
    Ok(Loaded { config, variables, blank })
}
