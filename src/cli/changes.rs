//! `--change`: Dockerfile instructions applied to a config without building.

use super::error::CliError;
use crate::causes::chain;
use crate::image::ContainerConfig;
use crate::image::HealthConfig;
use crate::image::config::Empty;
use crate::net::parse_exposed;
use crate::parser::instruction::{Command, Healthcheck, InstructionKind};
use crate::parser::{Source, parse, words};

/// Instructions that change a config alone.
const KNOWN: &[&str] = &[
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Applies instructions in order.
///
/// # Errors
/// A text is no instruction, or one that needs a build.
pub fn apply(config: &mut ContainerConfig, changes: &[String]) -> Result<(), CliError> {
    for change in changes {
        let failed = |why: String| CliError::new(format!("Error response from daemon: {why}"));
        let name = change.split_whitespace().next().unwrap_or_default();
        if !KNOWN.contains(&name.to_uppercase().as_str()) {
            return Err(failed(format!("{name} is not a valid change command")));
        }
        let text = format!("FROM scratch\n{change}\n");
        let file = parse(&Source::new("--change", text)).map_err(|e| failed(chain(&e)))?;
        for instruction in &file.instructions[1..] {
            one(config, &instruction.kind).map_err(failed)?;
        }
    }
    Ok(())
}

fn one(config: &mut ContainerConfig, kind: &InstructionKind) -> Result<(), String> {
    let env = config.env.clone();
    let look_up = move |name: &str| {
        env.iter().rev().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    };
    let word = |text: &str| words::expand(text, '\\', &look_up).map(|w| w.value).map_err(|e| chain(&e));
    match kind {
        InstructionKind::Cmd(command) => {
            config.args_escaped = matches!(command, Command::Shell(_));
            config.cmd = Some(words_of(command, config));
        }
        InstructionKind::Entrypoint(command) => config.entrypoint = Some(words_of(command, config)),
        InstructionKind::Env(pairs) => {
            for (key, value) in &pairs.pairs {
                let (key, value) = (word(key)?, word(value)?);
                let prefix = format!("{key}=");
                match config.env.iter_mut().find(|pair| pair.starts_with(&prefix)) {
                    Some(pair) => *pair = prefix + &value,
                    None => config.env.push(prefix + &value),
                }
            }
        }
        InstructionKind::Label(pairs) => {
            for (key, value) in &pairs.pairs {
                config.labels.insert(word(key)?, word(value)?);
            }
        }
        InstructionKind::Expose(ports) => {
            for port in ports {
                let (list, _) = words::expand_list(port, '\\', &look_up).map_err(|e| chain(&e))?;
                for port in list {
                    let range = parse_exposed(&port).map_err(|_| format!("Invalid containerPort: {port}"))?;
                    let named =
                        range.into_iter().map(|(port, protocol)| (format!("{port}/{protocol}"), Empty {}));
                    config.exposed_ports.extend(named);
                }
            }
        }
        InstructionKind::Volume(paths) => {
            for path in paths {
                config.volumes.insert(word(path)?, Empty {});
            }
        }
        InstructionKind::User(user) => config.user = word(user)?,
        InstructionKind::Workdir(dir) => config.working_dir = word(dir)?,
        InstructionKind::StopSignal(signal) => config.stop_signal = word(signal)?,
        InstructionKind::Onbuild(trigger) => config.on_build.push(trigger.clone()),
        InstructionKind::Shell(shell) => config.shell = Some(shell.clone()),
        InstructionKind::Healthcheck(check) => config.healthcheck = Some(health(check)),
        other => return Err(format!("{other:?} changes no config")),
    }
    Ok(())
}

fn words_of(command: &Command, config: &ContainerConfig) -> Vec<String> {
    match command {
        Command::Exec(words) => words.clone(),
        Command::Shell(text) => {
            let shell = config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
            shell.into_iter().chain([text.clone()]).collect()
        }
    }
}

fn health(check: &Healthcheck) -> HealthConfig {
    match check {
        Healthcheck::None => HealthConfig { test: vec!["NONE".to_owned()], ..HealthConfig::default() },
        Healthcheck::Probe { command, interval, timeout, start_period, start_interval, retries } => {
            HealthConfig {
                test: match command {
                    Command::Exec(words) => [vec!["CMD".to_owned()], words.clone()].concat(),
                    Command::Shell(text) => vec!["CMD-SHELL".to_owned(), text.clone()],
                },
                interval: *interval,
                timeout: *timeout,
                start_period: *start_period,
                start_interval: *start_interval,
                retries: *retries,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_change_a_config() {
        let mut config = ContainerConfig::default();
        let changes = [
            "CMD [\"a\", \"b\"]",
            "ENTRYPOINT exec x",
            "ENV A=1 B=two",
            "ENV C=$A",
            "EXPOSE 80 90/UDP",
            "USER me",
            "WORKDIR /w/$A",
            "LABEL k=v",
            "VOLUME /v",
            "STOPSIGNAL INT",
            "HEALTHCHECK --interval=1s CMD true",
        ];
        apply(&mut config, &changes.map(str::to_owned)).unwrap();
        assert_eq!(config.cmd.unwrap(), ["a", "b"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "exec x"]);
        assert_eq!(config.env, ["A=1", "B=two", "C=1"]);
        assert_eq!(config.exposed_ports.keys().collect::<Vec<_>>(), ["80/tcp", "90/udp"]);
        assert_eq!((config.working_dir.as_str(), config.labels["k"].as_str()), ("/w/1", "v"));
        assert_eq!(config.healthcheck.unwrap().interval, 1_000_000_000);
        for bad in ["RUN true", "FROM x", "NOSUCH"] {
            assert!(apply(&mut ContainerConfig::default(), &[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
