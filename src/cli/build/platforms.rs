//! `--platform`: one, or several with commas or repeated.

use super::super::error::CliError;
use crate::image::Platform;

/// Returns the platforms that are asked for, each once; `DOCKER_DEFAULT_PLATFORM` counts where none is.
///
/// # Errors
/// One does not parse.
pub fn platforms(given: &[String]) -> Result<Vec<Platform>, CliError> {
    let variable = || std::env::var("DOCKER_DEFAULT_PLATFORM").ok().into_iter().collect();
    let given: Vec<String> = if given.is_empty() { variable() } else { given.to_vec() };
    parse(&given)
}

/// Reads platforms as [`platforms`] does, without the environment.
///
/// # Errors
/// One does not parse.
pub fn parse(given: &[String]) -> Result<Vec<Platform>, CliError> {
    let mut found = Vec::new();
    for text in given.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|text| !text.is_empty()) {
        let platform =
            Platform::parse(text).map_err(|e| CliError::new(format!("ERROR: failed to build: {e}")))?;
        if !found.contains(&platform) {
            found.push(platform);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_doubles_dropped() {
        let names = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            parse(&given).map(|all| all.iter().map(Platform::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            names(&["linux/amd64,linux/aarch64", "linux/x86_64"]).ok(),
            Some(vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()])
        );
        assert_eq!(names(&["", " , "]).ok(), Some(Vec::new()));
        assert!(names(&["linux/foo/bar/baz"]).is_err());
    }
}
