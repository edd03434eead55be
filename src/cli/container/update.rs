//! `update`

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::super::run::shown::device_values;
use super::super::run::{LimitArgs, ResourceArgs, io_flags, resource_limits};
use super::life::ask;
use super::{all, each, find};
use crate::containers::{Container, Request, RestartPolicy};
use crate::run::Limits;

/// Update configuration of one or more containers
#[derive(Debug, Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    limits: LimitArgs,
    /// Kernel memory limit
    #[arg(long, value_name = "BYTES", value_parser = io_flags::kernel_memory, hide = true)]
    pub kernel_memory: Option<u64>,
    /// Restart policy to apply when a container exits
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Containers
    #[arg(required = true, value_name = "CONTAINER")]
    pub names: Vec<String>,
}

impl UpdateArgs {
    /// Returns the limits among the flags, as `run` has them.
    pub fn resources(&self) -> ResourceArgs {
        ResourceArgs {
            limits: self.limits.clone(),
            kernel_memory: self.kernel_memory,
            ..ResourceArgs::default()
        }
    }
}

/// Runs `update`: what is given changes, now and for later starts.
///
/// # Errors
/// A value is none, or a container that runs has no cgroup for it.
pub fn update(args: &UpdateArgs, global: &Global) -> Result<ExitCode, CliError> {
    let change = Change::new(&args.resources(), args.restart.as_deref())?;
    let zero = args.limits.pids_limit.is_some() || args.limits.blkio_weight.is_some();
    if change.limits.is_empty() && change.warnings.is_empty() && args.restart.is_none() && !zero {
        return Err(CliError::new("you must provide one or more flags when using this command"));
    }
    let containers = all(global)?;
    let mut warnings = Vec::new();
    let code = each(&args.names, |name| {
        warnings.extend(change.carry_out(find(&containers, name, global)?)?);
        Ok(())
    });
    warnings.iter().for_each(|warning| output::talk(warning));
    code
}

/// What is to change.
#[derive(Debug)]
pub struct Change {
    limits: Limits,
    /// What this kernel can't limit.
    warnings: Vec<String>,
    /// The processors that were asked for, as a number.
    cpus: Option<f64>,
    policy: Option<RestartPolicy>,
}

impl Change {
    /// Reads flags.
    ///
    /// # Errors
    /// A value is none.
    pub fn new(resources: &ResourceArgs, restart: Option<&str>) -> Result<Self, CliError> {
        let (limits, warnings) = resource_limits(resources)?;
        let policy = restart.map(crate::cli::run::life::policy).transpose()?;
        Ok(Self { limits, warnings, cpus: resources.limits.cpus, policy })
    }

    /// Changes a container, and returns warnings.
    ///
    /// # Errors
    /// It runs and has no cgroup for it.
    pub fn carry_out(&self, mut container: Container) -> Result<Vec<String>, CliError> {
        let Self { limits, policy, .. } = self;
        let (policy, mut warnings) = (*policy, self.warnings.clone());
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
            let mut state = state;
            if crate::run::lacks_cgroups(&state.cgroups, limits) {
                if let Some(Err(why)) = ask(&container, &Request::Limits(Box::new(limits.clone())))? {
                    return refuse(why);
                }
                state = container.state()?;
            }
            match crate::run::update_cgroup(&state.cgroups, limits) {
                Ok(found) => warnings.extend(found.iter().map(ToString::to_string)),
                Err(error) => return refuse(crate::causes::chain(&error)),
            }
        }
        merge(&mut container, self.cpus, limits);
        if let Some(policy) = policy {
            container.config.restart = policy;
            let (name, count) = policy.shown();
            let shown = json!({ "Name": name, "MaximumRetryCount": count });
            container.config.shown_host.change(|host| host["RestartPolicy"] = shown);
        }
        container.write_config()?;
        ask(&container, &Request::Reload)?;
        container.event("update", &[]);
        Ok(warnings)
    }
}

/// Puts what was given into the container's config, and into what `inspect` shows of it.
fn merge(container: &mut Container, cpus: Option<f64>, new: &Limits) {
    let config = &mut container.config;
    let (old, host) = (&mut config.limits, &mut config.shown_host);
    host.change(|shown| merge_into(old, shown, cpus, new));
}

fn merge_into(old: &mut Limits, shown: &mut Value, cpus: Option<f64>, new: &Limits) {
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
    number(&mut old.cpu_rt_period, new.cpu_rt_period, "CpuRealtimePeriod");
    number(&mut old.swappiness, new.swappiness, "MemorySwappiness");
    match cpus {
        Some(cpus) => {
            old.cpu_quota = new.cpu_quota;
            shown["NanoCpus"] = json!((cpus * 1e9) as u64);
        }
        None => number(&mut old.cpu_quota, new.cpu_quota, "CpuQuota"),
    }
    if let Some(runtime) = new.cpu_rt_runtime {
        old.cpu_rt_runtime = Some(runtime);
        shown["CpuRealtimeRuntime"] = json!(runtime);
    }
    if new.oom_kill_disable {
        old.oom_kill_disable = true;
        shown["OomKillDisable"] = json!(true);
    }
    if let Some(weight) = new.io.weight {
        old.io.weight = Some(weight);
        shown["BlkioWeight"] = json!(weight);
    }
    for (place, list, key, value) in [
        (&mut old.io.weights, &new.io.weights, "BlkioWeightDevice", "Weight"),
        (&mut old.io.read_bps, &new.io.read_bps, "BlkioDeviceReadBps", "Rate"),
        (&mut old.io.write_bps, &new.io.write_bps, "BlkioDeviceWriteBps", "Rate"),
        (&mut old.io.read_iops, &new.io.read_iops, "BlkioDeviceReadIOps", "Rate"),
        (&mut old.io.write_iops, &new.io.write_iops, "BlkioDeviceWriteIOps", "Rate"),
    ] {
        if !list.is_empty() {
            place.clone_from(list);
            shown[key] = device_values(list, value);
        }
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
