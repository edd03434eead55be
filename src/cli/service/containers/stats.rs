//! `GET /containers/ID/stats`

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::Service;
use super::find;
use crate::containers::{Container, ContainerError, Interface, Machine, Usage};
use crate::engine::ApiError;
use crate::engine::server::{Answer, Gone, Request};

/// Time between two samples.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often is looked whether the client is gone meanwhile.
const LOOK: Duration = Duration::from_millis(50);
/// Docker's moment that has not been.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What is known at a moment.
struct Sample {
    at: Timestamp,
    machine: Machine,
    usage: Usage,
    interfaces: Vec<Interface>,
    running: bool,
}

/// Answers a request.
///
/// # Errors
/// There is no such container.
pub fn stats(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let query = &request.query;
    let container = find(service, id)?;
    let once = query.flag("one-shot");
    if !query.flag_or("stream", true) {
        let first = Sample::take(&container)?;
        if once || !first.running {
            return Ok(Answer::json(first.shown(&container, None)));
        }
        std::thread::sleep(INTERVAL);
        let second = Sample::take(&container)?;
        return Ok(Answer::json(second.shown(&container, Some(&first))));
    }
    if once {
        return Err(ApiError::bad("cannot have stream=true and one-shot=true"));
    }
    Ok(Answer::stream("application/json", move |output| {
        let gone = output.gone().clone();
        let mut before: Option<Sample> = None;
        while container.exists() && !gone.is_gone() {
            let sample = Sample::take(&container).map_err(io::Error::other)?;
            // Of one that does not run there is nothing to say until it does.
            if sample.running {
                output.json(&sample.shown(&container, before.as_ref()))?;
            }
            before = sample.running.then_some(sample);
            rest(&gone);
        }
        Ok(())
    }))
}

fn rest(gone: &Gone) {
    let mut left = INTERVAL;
    while !left.is_zero() && !gone.is_gone() {
        std::thread::sleep(LOOK.min(left));
        left = left.saturating_sub(LOOK);
    }
}

impl Sample {
    fn take(container: &Container) -> Result<Self, ContainerError> {
        let state = container.state()?;
        let machine = Machine::look()?;
        let usage = container.usage(&state, &machine)?;
        let (interfaces, running) = (container.interfaces(&state), state.status.is_running());
        Ok(Self { at: Timestamp::now(), machine, usage, interfaces, running })
    }

    fn shown(&self, container: &Container, before: Option<&Self>) -> Value {
        let config = &container.config;
        let usage = &self.usage;
        let time = |sample: Option<&Self>| sample.map_or(NEVER.to_owned(), |sample| sample.at.to_string());
        let mut shown = json!({
            "name": format!("/{}", config.name),
            "id": config.id,
            "read": if self.running { time(Some(self)) } else { NEVER.to_owned() },
            "preread": time(before),
            "num_procs": 0,
            "pids_stats": self.tasks(config.limits.pids),
            "cpu_stats": self.cpu(),
            "precpu_stats": before.map_or_else(zero, Self::cpu),
            "memory_stats": self.memory(),
            "blkio_stats": blkio(usage),
            "storage_stats": {},
        });
        if !self.interfaces.is_empty() {
            let each = |one: &Interface| (one.name.clone(), network(one));
            shown["networks"] = self.interfaces.iter().map(each).collect::<Map<_, _>>().into();
        }
        shown
    }

    fn tasks(&self, limit: Option<u64>) -> Value {
        let mut shown = Map::new();
        if let Some(count) = self.usage.tasks.filter(|_| self.running) {
            shown.insert("current".to_owned(), count.into());
            // As docker has it, none is the largest number.
            shown.insert("limit".to_owned(), limit.unwrap_or(u64::MAX).into());
        }
        shown.into()
    }

    fn cpu(&self) -> Value {
        let (user, system) = self.usage.cpu_parts;
        let (periods, throttled, time) = self.usage.throttled;
        json!({
            "cpu_usage": {
                "total_usage": self.usage.cpu.unwrap_or(0),
                "usage_in_kernelmode": system,
                "usage_in_usermode": user,
            },
            "system_cpu_usage": if self.running { self.machine.cpu } else { 0 },
            "online_cpus": if self.running { self.machine.cpus } else { 0 },
            "throttling_data": { "periods": periods, "throttled_periods": throttled, "throttled_time": time },
        })
    }

    fn memory(&self) -> Value {
        let usage = &self.usage;
        match usage.memory.filter(|_| self.running) {
            None => json!({}),
            Some(used) => json!({
                "usage": used + usage.inactive,
                "stats": { "inactive_file": usage.inactive },
                "limit": usage.memory_limit,
            }),
        }
    }
}

/// The processors' part before there was a sample.
fn zero() -> Value {
    json!({
        "cpu_usage": { "total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0 },
        "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
    })
}

/// Returns what went to and from disks; all of them together, for the container's own are not told apart.
fn blkio(usage: &Usage) -> Value {
    let entry = |op: &str, bytes: u64| json!({ "major": 0, "minor": 0, "op": op, "value": bytes });
    let bytes = match usage.block {
        Some((read, written)) if read + written > 0 => json!([entry("read", read), entry("write", written)]),
        _ => json!([]),
    };
    let mut shown = json!({ "io_service_bytes_recursive": bytes });
    for key in [
        "io_serviced_recursive",
        "io_queue_recursive",
        "io_service_time_recursive",
        "io_wait_time_recursive",
        "io_merged_recursive",
        "io_time_recursive",
        "sectors_recursive",
    ] {
        shown[key] = json!([]);
    }
    shown
}

fn network(interface: &Interface) -> Value {
    let mut shown = Map::new();
    for (side, numbers) in [("rx", interface.received), ("tx", interface.sent)] {
        for (what, number) in ["bytes", "packets", "errors", "dropped"].iter().zip(numbers) {
            shown.insert(format!("{side}_{what}"), number.into());
        }
    }
    shown.into()
}
