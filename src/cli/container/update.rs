//! `update`

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::super::run::{ResourceArgs, resource_limits};
use super::life::ask;
use super::{all, each, find};
use crate::containers::{Container, Containers, Request, RestartPolicy};
use crate::run::Limits;

/// Update configuration of one or more containers
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// CPU shares (relative weight)
    #[arg(short, long, value_name = "N")]
    cpu_shares: Option<u64>,
    /// Limit CPU CFS period, in microseconds
    #[arg(long, value_name = "N")]
    cpu_period: Option<u64>,
    /// Limit CPU CFS quota, in microseconds
    #[arg(long, value_name = "N")]
    cpu_quota: Option<u64>,
    /// Number of CPUs
    #[arg(long, value_name = "N")]
    cpus: Option<f64>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "CPUS")]
    cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "NODES")]
    cpuset_mems: Option<String>,
    /// Memory limit
    #[arg(short, long, value_name = "BYTES")]
    memory: Option<String>,
    /// Memory soft limit
    #[arg(long, value_name = "BYTES")]
    memory_reservation: Option<String>,
    /// Swap limit equal to memory plus swap: '-1' to enable unlimited swap
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// Tune container pids limit (-1 for unlimited)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    /// Restart policy to apply when a container exits
    #[arg(long, value_name = "POLICY")]
    restart: Option<String>,
    /// Containers
    #[arg(required = true, value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Runs `update`: what is given changes, now and for later starts.
///
/// # Errors
/// A value is none, or a container that runs has no cgroup for it.
pub fn update(args: &UpdateArgs, global: &Global) -> Result<ExitCode, CliError> {
    let resources = ResourceArgs {
        memory: args.memory.clone(),
        memory_swap: args.memory_swap.clone(),
        memory_reservation: args.memory_reservation.clone(),
        cpus: args.cpus,
        cpu_shares: args.cpu_shares,
        cpu_period: args.cpu_period,
        cpu_quota: args.cpu_quota,
        cpuset_cpus: args.cpuset_cpus.clone(),
        cpuset_mems: args.cpuset_mems.clone(),
        pids_limit: args.pids_limit,
        ..ResourceArgs::default()
    };
    let limits = resource_limits(&resources)?;
    if limits.is_empty() && args.restart.is_none() && args.pids_limit.is_none() {
        return Err(CliError::new("you must provide one or more flags when using this command"));
    }
    let policy = args.restart.as_deref().map(RestartPolicy::parse).transpose();
    let policy = policy.map_err(|text| CliError::new(format!("Error response from daemon: {text}")))?;
    let containers = all(global)?;
    each(&args.names, |name| one(args, &containers, (&limits, policy), name, global))
}

fn one(
    args: &UpdateArgs,
    containers: &Containers,
    (limits, policy): (&Limits, Option<RestartPolicy>),
    name: &str,
    global: &Global,
) -> Result<(), CliError> {
    let mut container = find(containers, name, global)?;
    let state = container.state()?;
    let refuse = |text: String| {
        let id = &container.config.id;
        Err(CliError::new(format!("Error response from daemon: Cannot update container {id}: {text}")))
    };
    if policy.is_some_and(|policy| policy != RestartPolicy::No) && container.config.auto_remove {
        return refuse(
            "Restart policy cannot be updated because AutoRemove is enabled for the container".to_owned(),
        );
    }
    if state.status.is_running() && !limits.is_empty() {
        match crate::run::update_cgroup(&state.cgroups, limits) {
            Ok(warnings) => warnings.iter().for_each(|warning| output::talk(&format!("WARNING: {warning}"))),
            Err(error) => return refuse(super::super::error::chain(&error)),
        }
    }
    merge(&mut container, args, limits);
    if let Some(policy) = policy {
        container.config.restart = policy;
        let (name, count) = policy.shown();
        let shown = json!({ "Name": name, "MaximumRetryCount": count });
        container.config.shown_host.change(|host| host["RestartPolicy"] = shown);
    }
    container.write_config()?;
    ask(&container, &Request::Reload)?;
    container.event("update", &[]);
    Ok(())
}

/// Puts what was given into the container's config, and into what `inspect` shows of it.
fn merge(container: &mut Container, args: &UpdateArgs, new: &Limits) {
    let config = &mut container.config;
    let (old, host) = (&mut config.limits, &mut config.shown_host);
    host.change(|shown| merge_into(old, shown, args, new));
}

fn merge_into(old: &mut Limits, shown: &mut Value, args: &UpdateArgs, new: &Limits) {
    let mut number = |place: &mut Option<u64>, value: Option<u64>, key: &str| {
        if let Some(value) = value {
            *place = Some(value);
            shown[key] = if value == u64::MAX { json!(-1) } else { json!(value) };
        }
    };
    number(&mut old.memory, new.memory, "Memory");
    number(&mut old.memory_swap, new.memory_swap, "MemorySwap");
    number(&mut old.memory_reservation, new.memory_reservation, "MemoryReservation");
    number(&mut old.cpu_shares, new.cpu_shares, "CpuShares");
    number(&mut old.cpu_period, new.cpu_period, "CpuPeriod");
    number(&mut old.pids, new.pids, "PidsLimit");
    match args.cpus {
        Some(cpus) => {
            old.cpu_quota = new.cpu_quota;
            shown["NanoCpus"] = json!((cpus * 1e9) as u64);
        }
        None => number(&mut old.cpu_quota, new.cpu_quota, "CpuQuota"),
    }
    if let Some(cpus) = &new.cpuset_cpus {
        old.cpuset_cpus = Some(cpus.clone());
        shown["CpusetCpus"] = json!(cpus);
    }
    if let Some(mems) = &new.cpuset_mems {
        old.cpuset_mems = Some(mems.clone());
        shown["CpusetMems"] = json!(mems);
    }
}
