//! `system start-containers`: what a machine does with containers when it has started.

use std::process::ExitCode;

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::{all, start};
use crate::containers::{RestartPolicy, State};

/// Start the containers whose restart policy wants them to run after a boot
#[derive(Debug, Args)]
pub struct StartContainersArgs {}

/// Whether a policy starts a container after a boot.
fn wanted(policy: RestartPolicy, state: &State) -> bool {
    match policy {
        RestartPolicy::Always => state.started.is_some(),
        RestartPolicy::UnlessStopped => state.started.is_some() && !state.stopped_by_hand,
        RestartPolicy::No | RestartPolicy::OnFailure(_) => false,
    }
}

/// Runs the command: the names of those that were started are printed.
///
/// # Errors
/// One could not be started.
pub fn start_containers(global: &Global) -> Result<ExitCode, CliError> {
    let mut failed = false;
    let mut found = all(global)?.list()?;
    // Those that others rely on are the older ones.
    found.reverse();
    for container in found {
        // One that can't be read hinders no other.
        let Ok(state) = container.state() else { continue };
        if state.status.has_monitor() || !wanted(container.config.restart, &state) {
            continue;
        }
        match start(&container, None, global) {
            Ok(_) => output::line(&container.config.name)?,
            Err(error) => {
                output::talk(&format!("{}: {}", container.config.name, error.text));
                failed = true;
            }
        }
    }
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_after_a_boot() {
        let ran = |stopped_by_hand| State {
            started: Some(jiff::Timestamp::UNIX_EPOCH),
            stopped_by_hand,
            ..State::default()
        };
        for (policy, state, expected) in [
            (RestartPolicy::Always, ran(false), true),
            (RestartPolicy::Always, ran(true), true),
            (RestartPolicy::Always, State::default(), false),
            (RestartPolicy::UnlessStopped, ran(false), true),
            (RestartPolicy::UnlessStopped, ran(true), false),
            (RestartPolicy::OnFailure(None), ran(false), false),
            (RestartPolicy::No, ran(false), false),
        ] {
            assert_eq!(wanted(policy, &state), expected, "{policy:?} {state:?}");
        }
    }
}
