//! What a container is told of itself alone, and flags of docker's that have one value here.

use std::collections::BTreeMap;

use clap::Args;

use super::super::error::CliError;

/// Annotations, and which engine parts are wanted.
#[derive(Debug, Default, Args)]
pub struct KeptArgs {
    /// Add an annotation to the container (passed through to the OCI runtime)
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotation: Vec<String>,
    /// Runtime to use for this container: runc (what runs containers here stands for it)
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<String>,
    /// Container isolation technology: default
    #[arg(long, value_name = "NAME")]
    pub isolation: Option<String>,
    /// Optional volume driver for the container: local
    #[arg(long, value_name = "DRIVER")]
    pub volume_driver: Option<String>,
    /// Storage driver options for the container (size= needs quotas that no layer here has)
    #[arg(long, value_name = "KEY=VALUE")]
    pub storage_opt: Vec<String>,
    /// Bind mount Docker API socket and required auth (a service must listen there: see system service)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub use_api_socket: Option<bool>,
    /// Skip image verification (default true; without effect: docker's signatures are not checked)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub disable_content_trust: Option<bool>,
}

/// The runtimes that docker calls so are this program.
const RUNTIMES: [&str; 3] = ["", "runc", "io.containerd.runc.v2"];

impl KeptArgs {
    /// Refuses what docker's client refuses.
    ///
    /// # Errors
    /// A storage option is no pair.
    pub fn check_client(&self) -> Result<(), CliError> {
        match self.storage_opt.iter().all(|text| text.contains('=')) {
            true => Ok(()),
            false => Err(CliError::new("invalid storage option")),
        }
    }

    /// Refuses what is not there, in the engine's words.
    ///
    /// # Errors
    /// Another runtime, isolation or driver is asked for than there is, or an annotation has no name.
    pub fn check(&self) -> Result<(), CliError> {
        self.check_client()?;
        let engine = |why: String| Err(CliError::new(format!("Error response from daemon: {why}")));
        let given = |value: &Option<String>| value.clone().unwrap_or_default();
        let (runtime, isolation) = (given(&self.runtime), given(&self.isolation));
        if self.annotations().contains_key("") {
            return engine(
                "invalid Annotations: the empty string is not permitted as an annotation key".to_owned(),
            );
        }
        if !isolation.is_empty() && !isolation.eq_ignore_ascii_case("default") {
            return engine(format!("invalid isolation ({isolation}): linux only supports 'default'"));
        }
        if !RUNTIMES.contains(&runtime.as_str()) {
            return engine(format!("unknown or invalid runtime name: {runtime}"));
        }
        self.check_storage()?;
        match given(&self.volume_driver).as_str() {
            "" | "local" => Ok(()),
            other => engine(format!("error looking up volume plugin {other}: plugin \"{other}\" not found")),
        }
    }

    /// Layers lie beside all else on their file system, where nothing limits one of them.
    fn check_storage(&self) -> Result<(), CliError> {
        let Some(first) = self.storage_opt.first() else { return Ok(()) };
        let key = first.split('=').next().unwrap_or_default();
        let why = match key.to_lowercase().as_str() {
            "size" => {
                "--storage-opt is supported only for overlay over xfs with 'pquota' mount option".to_owned()
            }
            _ => format!("Unknown option {key}"),
        };
        Err(CliError::new(format!("Error response from daemon: {why}")))
    }

    /// Whether the container is to speak to the engine.
    pub fn uses_api_socket(&self) -> bool {
        self.use_api_socket == Some(true)
    }

    /// Returns the annotations; of one name, the last counts.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let pairs = self.annotation.iter().map(|text| text.split_once('=').unwrap_or((text, "")));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Returns the storage options.
    pub fn storage_options(&self) -> BTreeMap<String, String> {
        let pairs = self.storage_opt.iter().filter_map(|text| text.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_refused_in_dockers_words() {
        let pair = |text: &str| vec![text.to_owned()];
        let some = |text: &str| Some(text.to_owned());
        let none = KeptArgs::default;
        for (args, expected) in [
            (none(), ""),
            (
                KeptArgs {
                    runtime: some("runc"),
                    isolation: some("default"),
                    volume_driver: some("local"),
                    annotation: vec!["a=b".to_owned(), "c".to_owned()],
                    ..none()
                },
                "",
            ),
            (KeptArgs { runtime: some("crun"), ..none() }, "unknown or invalid runtime name: crun"),
            (KeptArgs { isolation: some("hyperv"), ..none() }, "linux only supports 'default'"),
            (KeptArgs { volume_driver: some("nfs"), ..none() }, "plugin \"nfs\" not found"),
            (KeptArgs { annotation: pair("=x"), ..none() }, "the empty string is not permitted"),
            (KeptArgs { storage_opt: pair("size"), ..none() }, "invalid storage option"),
            (KeptArgs { storage_opt: pair("size=1g"), ..none() }, "'pquota' mount option"),
            (KeptArgs { storage_opt: pair("quota=1g"), ..none() }, "Unknown option quota"),
        ] {
            let said = args.check().map_err(|error| error.text).err().unwrap_or_default();
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{said}: {expected}");
        }
    }

    #[test]
    fn the_last_annotation_of_a_name_counts() {
        let annotation = ["a=1", "a=2=3", "b"].map(str::to_owned).to_vec();
        let found = KeptArgs { annotation, ..KeptArgs::default() }.annotations();
        assert_eq!(found, [("a", "2=3"), ("b", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }
}
