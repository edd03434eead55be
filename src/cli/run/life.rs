//! What becomes of a container while it lives and when it ends: restart, stop, log, health, labels.

use std::collections::BTreeMap;
use std::io::Read as _;

use super::super::config_file;
use super::super::container::signal_number;
use super::super::error::CliError;
use super::super::files;
use super::args::{LifeArgs, ProcessArgs};
use crate::containers::{Health, LogConfig, RestartPolicy, log};
use crate::image::{ContainerConfig, HealthConfig};

/// Docker's defaults, in nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// Returns the restart policy.
///
/// # Errors
/// It is none, or it contradicts `--rm`.
pub fn restart(args: &LifeArgs) -> Result<RestartPolicy, CliError> {
    let text = args.restart.as_deref().unwrap_or_default();
    let policy = policy(text)?;
    if args.rm && policy != RestartPolicy::No {
        return Err(CliError::new("conflicting options: cannot specify both --restart and --rm"));
    }
    Ok(policy)
}

/// Reads a restart policy.
///
/// # Errors
/// It is none.
pub fn policy(text: &str) -> Result<RestartPolicy, CliError> {
    RestartPolicy::parse(text).map_err(|text| match text.contains(" format: ") {
        // Docker's client says this much itself.
        true => CliError::new(text),
        false => CliError::new(format!("Error response from daemon: {text}")),
    })
}

/// Returns the number of the signal that stops the container.
///
/// # Errors
/// The word names no signal.
pub fn stop_signal(args: &LifeArgs, image: &ContainerConfig) -> Result<i32, CliError> {
    match args.stop_signal.as_deref().unwrap_or(&image.stop_signal) {
        "" => Ok(libc::SIGTERM),
        word => signal_number(word),
    }
}

/// Reads the options of the log driver.
///
/// # Errors
/// One has no value.
pub fn log_options(args: &LifeArgs) -> Result<BTreeMap<String, String>, CliError> {
    let mut options = BTreeMap::new();
    for text in &args.log_opt {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        options.insert(key.to_owned(), value.to_owned());
    }
    Ok(options)
}

/// Returns where output goes.
///
/// # Errors
/// The driver or one of its options is not known.
pub fn log(args: &LifeArgs) -> Result<LogConfig, CliError> {
    let mut options = log_options(args)?;
    let default = config_file::log()?;
    let given = args.log_driver.as_ref().filter(|driver| !driver.is_empty());
    let driver = given.unwrap_or(&default.driver).clone();
    if driver == "none" && !options.is_empty() {
        // Docker's client says it, not its engine.
        return Err(CliError::new("invalid logging opts for driver none").code(125));
    }
    if driver == default.driver {
        for (key, value) in default.options {
            options.entry(key).or_insert(value);
        }
    }
    let config = LogConfig { driver, options };
    log::check(&config).map_err(|e| CliError::engine(&e))?;
    Ok(config)
}

/// Returns labels of the image, of files and of flags, later ones over earlier ones.
///
/// # Errors
/// A file can't be read.
pub fn labels(args: &ProcessArgs, image: &ContainerConfig) -> Result<BTreeMap<String, String>, CliError> {
    let mut labels = image.labels.clone();
    let mut add = |text: &str| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        labels.insert(key.to_owned(), value.to_owned());
    };
    for path in &args.label_file {
        let mut text = String::new();
        let read = files::open_input(Some(path))?.read_to_string(&mut text);
        read.map_err(|e| CliError::new(format!("cannot read {}: {e}", path.display())))?;
        // As with docker, a line that gives no value is none.
        let lines =
            text.lines().map(str::trim_start).filter(|line| line.contains('=') && !line.starts_with('#'));
        lines.for_each(&mut add);
    }
    for text in &args.label {
        if text.starts_with('=') {
            return Err(CliError::flag("-l, --label", text, format!("invalid label '{text}': empty name")));
        }
        add(text);
    }
    Ok(labels)
}

/// Returns the health check of flags and image.
///
/// # Errors
/// Flags contradict each other, or a time is none.
pub fn health(
    args: &LifeArgs,
    given: Option<&HealthConfig>,
    image: &ContainerConfig,
) -> Result<Option<Health>, CliError> {
    Ok(shown_health(args, given, image)?.and_then(|config| resolved(&config, image)))
}

/// Returns the check as `inspect` shows it.
///
/// # Errors
/// As [`health`].
pub fn shown_health(
    args: &LifeArgs,
    given: Option<&HealthConfig>,
    image: &ContainerConfig,
) -> Result<Option<HealthConfig>, CliError> {
    if let Some(given) = given {
        return joined(given, image).map(Some);
    }
    let times = [
        ("--health-interval", &args.health_interval),
        ("--health-timeout", &args.health_timeout),
        ("--health-start-period", &args.health_start_period),
        ("--health-start-interval", &args.health_start_interval),
    ];
    let any =
        args.health_cmd.is_some() || args.health_retries.is_some() || times.iter().any(|(_, t)| t.is_some());
    if args.no_healthcheck {
        if any {
            return Err(CliError::new("--no-healthcheck conflicts with --health-* options"));
        }
        return Ok(Some(HealthConfig { test: vec!["NONE".to_owned()], ..HealthConfig::default() }));
    }
    let mut config = image.healthcheck.clone().unwrap_or_default();
    if let Some(command) = &args.health_cmd {
        config.test = vec!["CMD-SHELL".to_owned(), command.clone()];
    }
    let mut spans = [None; 4];
    for (span, (flag, text)) in spans.iter_mut().zip(times) {
        *span = text.as_deref().map(|text| nanoseconds(flag, text)).transpose()?;
    }
    let [interval, timeout, start_period, start_interval] = spans;
    config.interval = interval.unwrap_or(config.interval);
    config.timeout = timeout.unwrap_or(config.timeout);
    config.start_period = start_period.unwrap_or(config.start_period);
    config.start_interval = start_interval.unwrap_or(config.start_interval);
    if args.health_retries.is_some_and(|count| count < 0) {
        return Err(CliError::new("--health-retries cannot be negative"));
    }
    config.retries = args.health_retries.unwrap_or(config.retries);
    Ok((any || image.healthcheck.is_some()).then_some(config))
}

/// Joins a check with the image's, whose parts stand where the check has none.
fn joined(given: &HealthConfig, image: &ContainerConfig) -> Result<HealthConfig, CliError> {
    let of_image = image.healthcheck.clone().unwrap_or_default();
    let or = |value: i64, other: i64| if value == 0 { other } else { value };
    let config = HealthConfig {
        test: if given.test.is_empty() { of_image.test } else { given.test.clone() },
        interval: or(given.interval, of_image.interval),
        timeout: or(given.timeout, of_image.timeout),
        start_period: or(given.start_period, of_image.start_period),
        start_interval: or(given.start_interval, of_image.start_interval),
        retries: or(given.retries, of_image.retries),
    };
    for (name, value) in [
        ("Interval", config.interval),
        ("Timeout", config.timeout),
        ("StartPeriod", config.start_period),
        ("StartInterval", config.start_interval),
    ] {
        if value != 0 && value < 1_000_000 {
            return Err(CliError::new(format!(
                "Error response from daemon: {name} in Healthcheck cannot be less than 1ms"
            )));
        }
    }
    if config.retries < 0 {
        return Err(CliError::new("Error response from daemon: Retries in Healthcheck cannot be negative"));
    }
    Ok(config)
}

fn nanoseconds(flag: &str, text: &str) -> Result<i64, CliError> {
    let bad = |why: &str| CliError::flag(flag, text, why);
    let invalid = format!("time: invalid duration {text:?}");
    let span: jiff::SignedDuration = text.parse().map_err(|_| bad(&invalid))?;
    let span = i64::try_from(span.as_nanos()).map_err(|_| bad(&invalid))?;
    match span {
        ..0 => Err(CliError::new(format!("{flag} cannot be negative"))),
        0 | 1_000_000.. => Ok(span),
        _ => Err(CliError::new(format!(
            "Error response from daemon: {} in Healthcheck cannot be less than 1ms",
            match flag {
                "--health-interval" => "Interval",
                "--health-timeout" => "Timeout",
                "--health-start-period" => "StartPeriod",
                _ => "StartInterval",
            }
        ))),
    }
}

fn resolved(config: &HealthConfig, image: &ContainerConfig) -> Option<Health> {
    let command = match config.test.split_first()? {
        (kind, rest) if kind == "CMD" => rest.to_vec(),
        (kind, rest) if kind == "CMD-SHELL" => {
            let shell = image.shell.clone().unwrap_or_else(|| ["/bin/sh", "-c"].map(str::to_owned).to_vec());
            shell.into_iter().chain(rest.iter().cloned()).collect()
        }
        _ => return None,
    };
    let or = |value: i64, default: i64| if value > 0 { value.unsigned_abs() } else { default.unsigned_abs() };
    (!command.is_empty()).then(|| Health {
        command,
        interval: or(config.interval, 30 * SECOND),
        timeout: or(config.timeout, 30 * SECOND),
        start_period: or(config.start_period, 0),
        start_interval: or(config.start_interval, 5 * SECOND),
        retries: u32::try_from(config.retries).ok().filter(|n| *n > 0).unwrap_or(3),
    })
}
