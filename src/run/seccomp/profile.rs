//! Profiles in docker's JSON format, and what they decide for each system call.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::caps::CapSet;
use super::super::error::RunError;
use super::table::{Arch, numbers};
use crate::fs::mount::{kernel_version, running_kernel};

/// The most bytes of a profile that are read.
const MAX_PROFILE: usize = 4 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    default_action: String,
    default_errno_ret: Option<u16>,
    #[serde(default)]
    arch_map: Option<Vec<ArchMap>>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    syscalls: Option<Vec<Rule>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    name: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    action: String,
    errno_ret: Option<u16>,
    args: Option<Vec<Argument>>,
    includes: Option<Filter>,
    excludes: Option<Filter>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

/// What happens to a call: a value for the kernel (`SECCOMP_RET_*`).
pub(super) type Action = u32;

/// A condition on one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Condition {
    pub index: u32,
    pub comparison: Comparison,
    pub value: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// The bits of the mask equal the value.
    Masked(u64),
}

/// What happens to one call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Decision {
    /// Alternatives in order: all conditions of one hold, its action is taken.
    pub alternatives: Vec<(Vec<Condition>, Action)>,
    /// Else this.
    pub otherwise: Action,
}

/// What a filter does, for each architecture by number.
pub(super) struct Decisions {
    pub arches: Vec<(Arch, BTreeMap<u32, Decision>)>,
    pub default: Action,
}

impl Profile {
    pub fn parse(text: &str) -> Result<Self, RunError> {
        if text.len() > MAX_PROFILE {
            return Err(RunError::Seccomp("it is larger than 4 MiB".into()));
        }
        serde_json::from_str(text).map_err(|e| RunError::Seccomp(e.to_string()))
    }

    /// Decides for each call on each architecture of this machine, for a process with these capabilities.
    pub fn decide(&self, capabilities: CapSet) -> Result<Decisions, RunError> {
        let default = action(&self.default_action, self.default_errno_ret)?;
        let numbers = numbers();
        let arches = self.arches()?;
        let mut rules = Vec::new();
        for rule in self.syscalls.iter().flatten() {
            if rule.applies(capabilities)? {
                let action = action(&rule.action, rule.errno_ret)?;
                rules.push((rule, rule.conditions()?, action));
            }
        }
        let mut all = Vec::new();
        for arch in arches {
            let column = Arch::ALL.iter().position(|a| *a == arch).expect("it lists all");
            let mut decisions: BTreeMap<u32, Decision> = BTreeMap::new();
            for (rule, conditions, action) in &rules {
                // A rule with the default's action says nothing, as libseccomp has it.
                if *action == default {
                    continue;
                }
                let names = rule.name.iter().chain(&rule.names);
                for number in names.filter_map(|name| numbers.get(name.as_str())?[column]) {
                    let decision = decisions
                        .entry(number)
                        .or_insert_with(|| Decision { alternatives: Vec::new(), otherwise: default });
                    if conditions.is_empty() {
                        decision.otherwise = *action;
                    } else {
                        decision.alternatives.push((conditions.clone(), *action));
                    }
                }
            }
            for decision in decisions.values_mut() {
                // What is allowed anyway needs no conditions.
                let otherwise = decision.otherwise;
                if decision.alternatives.iter().all(|(_, action)| *action == otherwise) {
                    decision.alternatives.clear();
                }
            }
            all.push((arch, decisions));
        }
        Ok(Decisions { arches: all, default })
    }

    /// Returns what applies to a process with these capabilities, in the form of the OCI runtime specification.
    pub fn oci(&self, capabilities: CapSet) -> Result<Value, RunError> {
        let mut calls = Vec::new();
        for rule in self.syscalls.iter().flatten() {
            if !rule.applies(capabilities)? {
                continue;
            }
            // What is malformed is refused here too.
            rule.conditions()?;
            action(&rule.action, rule.errno_ret)?;
            let names: Vec<&String> = rule.name.iter().chain(&rule.names).collect();
            let mut call = json!({ "names": names, "action": rule.action });
            if let Some(errno) = rule.errno_ret {
                call["errnoRet"] = errno.into();
            }
            let args = rule.args.iter().flatten().map(|arg| {
                json!({ "index": arg.index, "value": arg.value, "valueTwo": arg.value_two, "op": arg.op })
            });
            let args: Vec<Value> = args.collect();
            if !args.is_empty() {
                call["args"] = args.into();
            }
            calls.push(call);
        }
        let arches: Vec<&str> = self.arches()?.into_iter().map(Arch::scmp).collect();
        let mut shown =
            json!({ "defaultAction": self.default_action, "architectures": arches, "syscalls": calls });
        if let Some(errno) = self.default_errno_ret {
            shown["defaultErrnoRet"] = errno.into();
        }
        Ok(shown)
    }

    fn arches(&self) -> Result<Vec<Arch>, RunError> {
        let native = native()?;
        let mut arches = vec![native];
        let mapped =
            self.arch_map.iter().flatten().filter(|m| Arch::of_scmp(&m.architecture) == Some(native));
        let names = mapped.flat_map(|m| m.sub_architectures.iter().flatten());
        for arch in names.chain(self.architectures.iter().flatten()).filter_map(|name| Arch::of_scmp(name)) {
            if !arches.contains(&arch) {
                arches.push(arch);
            }
        }
        Ok(arches)
    }
}

/// Returns this program's architecture.
fn native() -> Result<Arch, RunError> {
    match cfg!(target_arch = "x86_64") {
        true => Ok(Arch::X86_64),
        false => Err(RunError::Seccomp(
            "filters are only made for x86_64; --security-opt seccomp=unconfined runs without".into(),
        )),
    }
}

impl Rule {
    fn applies(&self, capabilities: CapSet) -> Result<bool, RunError> {
        // A capability that the kernel of the profile's author has and ours has not is one the process has not.
        let has = |name: &String| CapSet::one(name).is_ok_and(|one| capabilities.0 & one.0 == one.0);
        let arch = |name: &String| name == "amd64";
        if let Some(only) = &self.includes {
            let caps = only.caps.iter().flatten().all(has);
            let arches = only.arches.as_ref().is_none_or(|a| a.is_empty() || a.iter().any(arch));
            let kernel = only.min_kernel.as_deref().map_or(Ok(true), kernel_is_at_least)?;
            if !(caps && arches && kernel) {
                return Ok(false);
            }
        }
        let Some(never) = &self.excludes else { return Ok(true) };
        let kernel = never.min_kernel.as_deref().map_or(Ok(false), kernel_is_at_least)?;
        Ok(!(never.caps.iter().flatten().any(has) || never.arches.iter().flatten().any(arch) || kernel))
    }

    fn conditions(&self) -> Result<Vec<Condition>, RunError> {
        self.args.iter().flatten().map(Argument::condition).collect()
    }
}

impl Argument {
    fn condition(&self) -> Result<Condition, RunError> {
        if self.index > 5 {
            return Err(RunError::Seccomp(format!("system calls have no argument {}", self.index)));
        }
        let (comparison, value) = match self.op.as_str() {
            "SCMP_CMP_EQ" => (Comparison::Equal, self.value),
            "SCMP_CMP_NE" => (Comparison::NotEqual, self.value),
            "SCMP_CMP_LT" => (Comparison::Less, self.value),
            "SCMP_CMP_LE" => (Comparison::LessOrEqual, self.value),
            "SCMP_CMP_GT" => (Comparison::Greater, self.value),
            "SCMP_CMP_GE" => (Comparison::GreaterOrEqual, self.value),
            "SCMP_CMP_MASKED_EQ" => (Comparison::Masked(self.value), self.value_two),
            other => return Err(RunError::Seccomp(format!("unknown comparison {other:?}"))),
        };
        Ok(Condition { index: self.index, comparison, value })
    }
}

/// Returns the kernel's value for an action (seccomp(2)).
fn action(name: &str, errno: Option<u16>) -> Result<Action, RunError> {
    let errno = u32::from(errno.unwrap_or(libc::EPERM as u16));
    Ok(match name {
        "SCMP_ACT_ALLOW" => libc::SECCOMP_RET_ALLOW,
        "SCMP_ACT_ERRNO" => libc::SECCOMP_RET_ERRNO | errno,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => libc::SECCOMP_RET_KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => libc::SECCOMP_RET_KILL_PROCESS,
        "SCMP_ACT_TRAP" => libc::SECCOMP_RET_TRAP,
        "SCMP_ACT_LOG" => libc::SECCOMP_RET_LOG,
        "SCMP_ACT_TRACE" => libc::SECCOMP_RET_TRACE | errno,
        "SCMP_ACT_NOTIFY" => {
            return Err(RunError::Seccomp("SCMP_ACT_NOTIFY is not supported, nobody would listen".into()));
        }
        other => return Err(RunError::Seccomp(format!("unknown action {other:?}"))),
    })
}

/// Whether the running kernel is `MAJOR.MINOR` or newer.
fn kernel_is_at_least(wanted: &str) -> Result<bool, RunError> {
    let bad = || RunError::Seccomp(format!("invalid minKernel {wanted:?}"));
    Ok(running_kernel() >= kernel_version(wanted).ok_or_else(bad)?)
}
