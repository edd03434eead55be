//! `--call METHOD[,format=json][,ignorestatus]` and `--check`: what is asked of a file instead of a build.

use super::super::error::CliError;
use super::args::BuildArgs;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// What the build checks find.
    Check,
    /// What the target takes.
    Outline,
    /// Which stages there are.
    Targets,
    /// What can be asked.
    Describe,
}

/// What is asked, and how the answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// What is asked.
    pub method: Method,
    /// Whether the answer is JSON.
    pub json: bool,
    /// Whether findings are no failure.
    pub ignore_status: bool,
}

/// Reads `--call` and `--check`; none asks for a build.
///
/// # Errors
/// There is no such method or field.
pub fn parse(args: &BuildArgs) -> Result<Option<Call>, CliError> {
    match (&args.call, args.check) {
        (None, false) => Ok(None),
        (None, true) => read("check"),
        // Of both, clap keeps the later one, which is what counts.
        (Some(text), _) => read(text),
    }
}

fn read(text: &str) -> Result<Option<Call>, CliError> {
    let mut fields = text.split(',');
    let name = fields.next().unwrap_or_default();
    let (mut json, mut ignore_status) = (false, false);
    for field in fields {
        match field.split_once('=') {
            Some(("format", format)) => json = format == "json",
            Some(("ignorestatus", value)) => {
                let unknown = || CliError::new(format!("ERROR: invalid ignorestatus print value: {value}"));
                ignore_status = human(value).ok_or_else(unknown)?;
            }
            None if field == "ignorestatus" => ignore_status = true,
            _ => return Err(CliError::new(format!("ERROR: invalid print field: {field}"))),
        }
    }
    let method = match name {
        "build" | "" => return Ok(None),
        "check" | "lint" => Method::Check,
        "outline" => Method::Outline,
        "targets" => Method::Targets,
        "subrequests.describe" => Method::Describe,
        other => {
            return Err(CliError::new(format!(
                "ERROR: failed to build: failed to solve: unsupported request frontend.{other}: \
                 use build, check, outline, targets or subrequests.describe"
            )));
        }
    };
    Ok(Some(Call { method, json, ignore_status }))
}

fn human(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "1" | "t" | "true" => Some(true),
        "0" | "f" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_with_fields() {
        let call = |method, json, ignore_status| Some(Call { method, json, ignore_status });
        for (text, expected) in [
            ("build", None),
            ("check", call(Method::Check, false, false)),
            ("check,format=json", call(Method::Check, true, false)),
            ("lint,format=text,ignorestatus=true", call(Method::Check, false, true)),
            ("outline,ignorestatus", call(Method::Outline, false, true)),
            ("targets,format=json,ignorestatus=0", call(Method::Targets, true, false)),
        ] {
            assert_eq!(read(text).map_err(|error| error.text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("foo", "unsupported request frontend.foo"),
            ("check,a=b", "invalid print field: a=b"),
            ("check,ignorestatus=maybe", "invalid ignorestatus print value: maybe"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.text.contains(expected), "{text}: {}", error.text);
        }
    }
}
