//! `manifest annotate LIST MANIFEST`

use clap::Args;
use serde_json::Value;

use super::local;
use crate::cli::error::CliError;
use crate::cli::global::Global;
use crate::image::Reference;

/// Add additional information to a local image manifest
#[derive(Debug, Args)]
pub struct AnnotateArgs {
    /// The list
    #[arg(value_name = "MANIFEST_LIST")]
    list: String,
    /// One of its manifests
    #[arg(value_name = "MANIFEST")]
    manifest: String,
    /// Set architecture
    #[arg(long, value_name = "STRING")]
    arch: Option<String>,
    /// Set operating system
    #[arg(long, value_name = "STRING")]
    os: Option<String>,
    /// Set operating system feature
    #[arg(long, value_name = "STRINGS", value_delimiter = ',')]
    os_features: Vec<String>,
    /// Set operating system version
    #[arg(long, value_name = "STRING")]
    os_version: Option<String>,
    /// Set architecture variant
    #[arg(long, value_name = "STRING")]
    variant: Option<String>,
}

/// Runs the command.
pub fn run(args: &AnnotateArgs, global: &Global) -> Result<(), CliError> {
    let list = Reference::parse(&args.list)?.or_latest();
    let manifest = Reference::parse(&args.manifest)?.or_latest();
    let missing = || {
        CliError::new(format!(
            "manifest for image {} does not exist in {}",
            manifest.familiar(),
            list.familiar()
        ))
    };
    let mut content = local::load(&list, global)?.ok_or_else(missing)?;
    let entry = content.entry(&manifest).ok_or_else(missing)?;
    for (key, value) in [
        ("architecture", &args.arch),
        ("os", &args.os),
        ("os.version", &args.os_version),
        ("variant", &args.variant),
    ] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            entry.platform.insert(key.to_owned(), value.into());
        }
    }
    if !args.os_features.is_empty() {
        let known = entry.platform.entry("os.features").or_insert_with(|| Value::Array(Vec::new()));
        let known = known.as_array_mut().ok_or_else(|| CliError::new("the local list is damaged"))?;
        for feature in args.os_features.iter().map(|feature| Value::from(feature.as_str())) {
            if !known.contains(&feature) {
                known.push(feature);
            }
        }
    }
    let text = |key: &str| entry.platform.get(key).and_then(Value::as_str).unwrap_or_default();
    let both = format!("{}/{}", text("os"), text("architecture"));
    if !is_known(&both) {
        return Err(CliError::new(format!(
            "manifest entry for image has unsupported os/arch combination: {both}"
        )));
    }
    local::save(&list, &content, global)
}

/// Whether a list may name this system and architecture; those that Go knows, as docker has them.
fn is_known(both: &str) -> bool {
    let known: &[&str] = match both.split_once('/').map_or(both, |(os, _)| os) {
        "darwin" => &["386", "amd64", "arm", "arm64"],
        "dragonfly" | "solaris" => &["amd64"],
        "freebsd" | "netbsd" | "openbsd" => &["386", "amd64", "arm"],
        "linux" => &[
            "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
            "ppc64le", "riscv64", "s390x",
        ],
        "plan9" => &["386", "amd64"],
        "windows" => &["386", "amd64", "arm", "arm64"],
        _ => &[],
    };
    both.split_once('/').is_some_and(|(_, architecture)| known.contains(&architecture))
}
