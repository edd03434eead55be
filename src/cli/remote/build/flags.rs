//! The flags of `build` as parameters of the request, and those that the classic builder has not.

use std::collections::BTreeMap;

use clap::{Args as _, FromArgMatches as _};
use serde_json::json;

use crate::cli::build::{BuildArgs, HabitArgs};
use crate::cli::endpoint::variable;
use crate::cli::error::{CliError, flag_size};
use crate::cli::run::limits::rlimit;
use crate::engine::client::Request;

/// Refuses by name what the request can't say.
pub fn refuse(args: &BuildArgs) -> Result<(), CliError> {
    let given = [
        ("build-context", !args.build_context.is_empty()),
        ("no-cache-filter", !args.no_cache_filter.is_empty()),
        ("secret", !args.secret.is_empty()),
        ("ssh", !args.ssh.is_empty()),
        ("allow", !args.allow.is_empty()),
        ("resource", !args.resource.is_empty()),
        ("metadata-file", args.metadata_file.is_some()),
        ("explain", args.explain.is_some()),
        ("on-failure", args.on_failure.is_some()),
        ("jobs", args.jobs.is_some()),
        ("output", !args.output.is_empty()),
        ("push", args.push),
        ("reproducible", args.reproducible),
        ("cache-to", !args.cache_to.is_empty()),
        ("provenance", on(&args.provenance)),
        ("sbom", on(&args.sbom)),
        ("attest", !args.attest.is_empty()),
        ("annotation", !args.annotation.is_empty()),
        ("check", args.check),
        ("call", args.call.is_some()),
        ("file (several)", args.file.len() > 1),
        ("platform (several)", args.platform.len() > 1 || args.platform.iter().any(|p| p.contains(','))),
        ("cache-from type=", args.cache_from.iter().any(|source| source.contains('='))),
    ];
    if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
        return Err(CliError::new(format!(
            "--{flag} is not available through an engine in this version, whose classic builder does not have it"
        )));
    }
    // Those without a value differ from case to case, so they are compared as a whole.
    let none = HabitArgs::augment_args(clap::Command::new("build")).try_get_matches_from(["build"]);
    let none = none.and_then(|matches| HabitArgs::from_arg_matches(&matches));
    match none {
        Ok(none) if format!("{none:?}") == format!("{:?}", args.habits) => Ok(()),
        _ => Err(CliError::new("flags of buildah, podman and kaniko are not available through an engine")),
    }
}

fn on(flag: &Option<String>) -> bool {
    flag.as_deref().is_some_and(|value| !matches!(value, "false" | "0" | "f"))
}

/// Adds the parameters.
///
/// # Errors
/// A value is none.
pub fn add(mut request: Request, args: &BuildArgs) -> Result<Request, CliError> {
    for tag in &args.tag {
        request = request.query("t", tag);
    }
    for host in &args.add_host {
        request = request.query("extrahosts", host.replacen('=', ":", 1));
    }
    let bytes = |flag: &str, text: &Option<String>| match text.as_deref() {
        None => Ok(None),
        Some("-1") => Ok(Some("-1".to_owned())),
        Some(text) => flag_size(flag, text).map(|n| Some(n.to_string())),
    };
    let number = |n: Option<u64>| n.map(|n| n.to_string());
    let limits = args.ulimit.iter().map(|text| {
        let limit = rlimit(text)?;
        let number = |n: Option<u64>| n.map_or(json!(-1), |n| json!(n));
        Ok(json!({ "Name": limit.name, "Soft": number(limit.soft), "Hard": number(limit.hard) }))
    });
    let limits: Vec<_> = limits.collect::<Result<_, CliError>>()?;
    let platform = args.platform.first().cloned().or_else(|| variable("DOCKER_DEFAULT_PLATFORM"));
    Ok(request
        .query("version", "1")
        // Build containers never stay, as without an engine.
        .query("rm", "1")
        .query("forcerm", "1")
        .flag("q", args.quiet)
        .flag("nocache", args.no_cache)
        .flag("pull", args.pull)
        .maybe("buildargs", arguments(&args.build_arg))
        .maybe("labels", labels(&args.label))
        .maybe("cachefrom", (!args.cache_from.is_empty()).then(|| json!(args.cache_from).to_string()))
        .maybe("ulimits", (!limits.is_empty()).then(|| json!(limits).to_string()))
        .maybe("target", args.target.clone())
        .maybe("platform", platform)
        .maybe("networkmode", args.network.clone())
        .maybe("cgroupparent", args.cgroup_parent.clone())
        .maybe("memory", bytes("-m, --memory", &args.memory)?)
        .maybe("memswap", bytes("--memory-swap", &args.memory_swap)?)
        .maybe("shmsize", bytes("--shm-size", &args.shm_size)?)
        .maybe("cpushares", number(args.cpu_shares))
        .maybe("cpuperiod", number(args.cpu_period))
        .maybe("cpuquota", args.cpu_quota.map(|n| n.to_string()))
        .maybe("cpusetcpus", args.cpuset_cpus.clone())
        .maybe("cpusetmems", args.cpuset_mems.clone()))
}

/// Build arguments; one without a value has the one of this process, else none.
fn arguments(given: &[String]) -> Option<String> {
    let value = |text: &String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.clone(), std::env::var(text).ok()),
    };
    let all: BTreeMap<String, Option<String>> = given.iter().map(value).collect();
    (!all.is_empty()).then(|| json!(all).to_string())
}

fn labels(given: &[String]) -> Option<String> {
    let all: BTreeMap<&str, &str> =
        given.iter().map(|text| text.split_once('=').unwrap_or((text, ""))).collect();
    (!all.is_empty()).then(|| json!(all).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_maps() {
        let given = ["a=b".to_owned(), "SKIFF_NO_SUCH_VARIABLE".to_owned()];
        assert_eq!(arguments(&given).as_deref(), Some(r#"{"SKIFF_NO_SUCH_VARIABLE":null,"a":"b"}"#));
        assert_eq!(arguments(&[]), None);
        assert_eq!(labels(&["k=v=w".to_owned(), "x".to_owned()]).as_deref(), Some(r#"{"k":"v=w","x":""}"#));
    }
}
