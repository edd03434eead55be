//! The environment of the command, from image, files and flags.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt};
use std::path::Path;

use super::super::error::CliError;
use super::super::files;
use super::args::ProcessArgs;
use crate::run::DEFAULT_PATH;

/// Variables in order, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(Vec<(Vec<u8>, Vec<u8>)>);

/// Looks a variable of this process up.
pub type Lookup<'a> = &'a dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// Looks a variable up in this process's own environment.
pub fn own(name: &[u8]) -> Option<Vec<u8>> {
    std::env::var_os(OsStr::from_bytes(name)).map(OsStringExt::into_vec)
}

impl Environment {
    /// `PATH`, `HOSTNAME`, `TERM`, and the image's variables.
    pub fn of_image(image: &[String], hostname: &str, tty: bool) -> Self {
        let mut env = Self::default();
        env.set(b"PATH", DEFAULT_PATH.as_bytes());
        env.set(b"HOSTNAME", hostname.as_bytes());
        if tty {
            env.set(b"TERM", b"xterm");
        }
        for pair in image {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            env.set(name.as_bytes(), value.as_bytes());
        }
        env
    }

    /// Adds the user's variables: files first, then flags, in their order.
    ///
    /// # Errors
    /// A file can't be read, or a variable has no proper name.
    pub fn add_users(&mut self, args: &ProcessArgs, lookup: Lookup<'_>) -> Result<(), CliError> {
        for path in &args.env_file {
            for (name, value) in read_file(path, lookup)? {
                self.set(&name, &value);
            }
        }
        for text in &args.env {
            match split(text.as_bytes()) {
                (b"", _) => return Err(unnamed(text)),
                (name, Some(value)) => self.set(name, value),
                (name, None) => match lookup(name) {
                    Some(value) => self.set(name, &value),
                    // A name alone that the client lacks takes the image's variable away.
                    None => self.0.retain(|(known, _)| known != name),
                },
            }
        }
        Ok(())
    }

    /// Returns the pairs.
    pub fn into_pairs(self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.0
    }

    /// Later ones replace earlier ones in their place.
    fn set(&mut self, name: &[u8], value: &[u8]) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value.to_vec(),
            None => self.0.push((name.to_vec(), value.to_vec())),
        }
    }
}

/// Reads variables for a process in a container: files first, then flags; one without a value is taken away.
///
/// # Errors
/// A file can't be read, or a variable has no proper name or is no valid UTF-8.
pub fn changes(
    files: &[std::path::PathBuf],
    flags: &[String],
    lookup: Lookup<'_>,
) -> Result<Vec<(String, Option<String>)>, CliError> {
    let text =
        |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| CliError::new("a variable is no valid UTF-8"));
    let mut found = Vec::new();
    for path in files {
        for (name, value) in read_file(path, lookup)? {
            found.push((text(name)?, Some(text(value)?)));
        }
    }
    for flag in flags {
        let (name, value) = split(flag.as_bytes());
        if name.is_empty() {
            return Err(unnamed(flag));
        }
        let value = value.map(<[u8]>::to_vec).or_else(|| lookup(name));
        found.push((text(name.to_vec())?, value.map(text).transpose()?));
    }
    Ok(found)
}

fn unnamed(text: &str) -> CliError {
    CliError::flag("-e, --env", text, format!("invalid environment variable: {text}"))
}

fn split(pair: &[u8]) -> (&[u8], Option<&[u8]>) {
    match pair.iter().position(|c| *c == b'=') {
        Some(at) => (&pair[..at], Some(&pair[at + 1..])),
        None => (pair, None),
    }
}

fn read_file(path: &Path, lookup: Lookup<'_>) -> Result<Vec<(Vec<u8>, Vec<u8>)>, CliError> {
    let mut bytes = Vec::new();
    let invalid = |why: &str| CliError::new(format!("invalid env file ({0}): {why}", path.display()));
    let read = files::open_input(Some(path))?.read_to_end(&mut bytes);
    read.map_err(|error| match error.kind() {
        std::io::ErrorKind::IsADirectory => invalid(&format!("read {}: is a directory", path.display())),
        _ => invalid(&error.to_string()),
    })?;
    parse_file(&bytes, lookup).map_err(|why| invalid(&why))
}

/// Bytes as Go prints them.
fn go_bytes(bytes: &[u8]) -> String {
    format!("[{}]", bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(" "))
}

/// Reads lines `NAME=value`, verbatim, or `NAME` for this process's own variable.
fn parse_file(bytes: &[u8], lookup: Lookup<'_>) -> Result<Vec<(Vec<u8>, Vec<u8>)>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut found = Vec::new();
    for (number, line) in bytes.split(|c| *c == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line)
            .map_err(|_| format!("invalid utf8 bytes at line {}: {}", number + 1, go_bytes(line)))?;
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.as_bytes().to_vec())),
            None => (text, lookup(text.trim_end().as_bytes())),
        };
        let name = if text.contains('=') { name } else { name.trim_end() };
        if name.is_empty() {
            return Err(format!("no variable name on line '{text}'"));
        }
        if name.contains(char::is_whitespace) {
            return Err(format!("variable '{name}' contains whitespaces"));
        }
        found.extend(value.map(|value| (name.as_bytes().to_vec(), value)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &[u8]) -> Option<Vec<u8>> {
        (name == b"CLIENT").then(|| b"theirs".to_vec())
    }

    fn shown(env: &Environment) -> String {
        let pairs = env.0.iter().map(|(name, value)| {
            format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        });
        pairs.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn variables_come_in_dockers_order() {
        let image = ["A=image", "PATH=/only", "EMPTY"].map(str::to_owned);
        for (flags, expected) in [
            (vec![], "PATH=/only HOSTNAME=h TERM=xterm A=image EMPTY="),
            (vec!["A=mine", "Z=1=2"], "PATH=/only HOSTNAME=h TERM=xterm A=mine EMPTY= Z=1=2"),
            (vec!["A", "CLIENT"], "PATH=/only HOSTNAME=h TERM=xterm EMPTY= CLIENT=theirs"),
            (vec!["HOME=/mine", "TERM="], "PATH=/only HOSTNAME=h TERM= A=image EMPTY= HOME=/mine"),
            (vec!["A=", "A=last"], "PATH=/only HOSTNAME=h TERM=xterm A=last EMPTY="),
        ] {
            let args = ProcessArgs {
                env: flags.iter().map(ToString::to_string).collect(),
                ..ProcessArgs::default()
            };
            let mut env = Environment::of_image(&image, "h", true);
            env.add_users(&args, &client).expect("the variables have names");
            assert_eq!(shown(&env), expected, "{flags:?}");
        }
        let args = ProcessArgs { env: vec!["=x".into()], ..ProcessArgs::default() };
        let error = Environment::default().add_users(&args, &client).expect_err("no name");
        assert!(error.text.ends_with("flag: invalid environment variable: =x"), "{}", error.text);
    }

    #[test]
    fn files_are_taken_verbatim() {
        for (text, expected) in [
            (&b"\xef\xbb\xbfA=1\n"[..], "A=1"),
            (b"# no\n\n   \n  A= \"q\" $x \nB=\n", "A= \"q\" $x |B="),
            (b"CLIENT\nMISSING\n", "CLIENT=theirs"),
            (b"CRLF=x\r\n", "CRLF=x"),
            (b"A B=1\n", "variable 'A B' contains whitespaces"),
            (b"A =1\n", "variable 'A ' contains whitespaces"),
            (b"=1\n", "no variable name on line '=1'"),
            (b"ok=1\n\xff=2\n", "invalid utf8 bytes at line 2: [255 61 50]"),
        ] {
            let found = match parse_file(text, &client) {
                Ok(pairs) => {
                    let pair = |(n, v): &(Vec<u8>, Vec<u8>)| {
                        String::from_utf8_lossy(&[&n[..], b"=", v].concat()).into_owned()
                    };
                    pairs.iter().map(pair).collect::<Vec<_>>().join("|")
                }
                Err(why) => why,
            };
            assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(text));
        }
    }
}
