//! Writing a log, with rotation.

use std::fs::File;
use std::io::{Read as _, Write as _};

use jiff::Timestamp;

use super::super::config::LogConfig;
use super::super::error::ContainerError;
use super::REMOTE;
use super::lines::{Lines, Stream};
use super::options::boolean;
use crate::fs::{Follow, Root};

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file; none has no limit.
    pub size: Option<u64>,
    /// Number of files.
    pub files: u32,
    /// Whether older ones are compressed.
    pub compress: bool,
}

impl Limits {
    /// Reads a driver's options.
    ///
    /// # Errors
    /// A value means nothing.
    pub fn of(config: &LogConfig) -> Result<Self, ContainerError> {
        let mut limits = match config.driver.as_str() {
            driver if driver == "local" || REMOTE.contains(&driver) => {
                Self { size: Some(20 << 20), files: 5, compress: true }
            }
            _ => Self { size: None, files: 1, compress: false },
        };
        let bad = |key: &str, value: &str| {
            ContainerError::Refused(format!("invalid value for log opt '{key}': '{value}'"))
        };
        let cached = REMOTE.contains(&config.driver.as_str());
        for (key, value) in &config.options {
            // What is sent elsewhere is kept beside that, with options of its own.
            let own = if cached { key.strip_prefix("cache-").unwrap_or_default() } else { key };
            match own {
                "max-size" if value == "-1" => limits.size = None,
                "max-size" => limits.size = Some(bytes(value).ok_or_else(|| bad(key, value))?),
                "max-file" => {
                    limits.files = value.parse().ok().filter(|n| *n > 0).ok_or_else(|| bad(key, value))?;
                }
                "compress" => limits.compress = boolean(value).ok_or_else(|| bad(key, value))?,
                _ => {}
            }
        }
        Ok(limits)
    }
}

/// Reads a number with a unit of 1024.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let number: u64 = lower[..end].parse().ok().filter(|n| *n > 0)?;
    let shift = match &lower[end..] {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// A log that is being written.
#[derive(Debug)]
pub struct Writer {
    dir: Root,
    name: String,
    limits: Limits,
    file: Option<File>,
    size: u64,
    lines: Lines,
    /// What each line has with it, as JSON, or nothing.
    attributes: String,
}

impl Writer {
    /// Opens a container's log to append to it; each line gets the `attributes`, an object as JSON, or nothing.
    ///
    /// # Errors
    /// It can't be opened, or an option means nothing.
    pub fn open(
        dir: &Root,
        name: &str,
        config: &LogConfig,
        attributes: String,
    ) -> Result<Self, ContainerError> {
        let limits = Limits::of(config)?;
        let mut writer = Self {
            dir: dir.clone(),
            name: name.to_owned(),
            limits,
            file: None,
            size: 0,
            lines: Lines::default(),
            attributes,
        };
        writer.open_file()?;
        Ok(writer)
    }

    fn open_file(&mut self) -> Result<(), ContainerError> {
        self.size = self.dir.stat(&self.name, Follow::No)?.map_or(0, |stat| stat.size);
        if self.dir.stat(&self.name, Follow::No)?.is_none() {
            self.dir.create_file(&self.name, 0o640)?;
        }
        self.file = Some(self.dir.open_rw(&self.name, true)?);
        Ok(())
    }

    /// Takes what a container wrote just now.
    ///
    /// # Errors
    /// The file can't be written or rotated.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), ContainerError> {
        let now = Timestamp::now();
        let mut out = Vec::new();
        let mut lines = std::mem::take(&mut self.lines);
        let taken = lines.take(stream, bytes, |line| {
            append(&mut out, line, (stream, now), &self.attributes);
            if self.limits.size.is_some_and(|limit| self.size + out.len() as u64 >= limit) {
                self.put(&out)?;
                out.clear();
                self.rotate()?;
            }
            Ok(())
        });
        self.lines = lines;
        taken.and_then(|()| self.put(&out))
    }

    /// Writes what came without a newline at the end.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn flush(&mut self) -> Result<(), ContainerError> {
        let now = Timestamp::now();
        let mut out = Vec::new();
        let mut lines = std::mem::take(&mut self.lines);
        lines.rest(|stream, line| -> Result<(), ContainerError> {
            append(&mut out, line, (stream, now), &self.attributes);
            Ok(())
        })?;
        self.put(&out)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ContainerError> {
        let Some(file) = self.file.as_mut().filter(|_| !bytes.is_empty()) else { return Ok(()) };
        self.size += bytes.len() as u64;
        file.write_all(bytes).map_err(|e| ContainerError::io("write the container's log", e))
    }

    /// Moves the files on by one and begins a new one.
    fn rotate(&mut self) -> Result<(), ContainerError> {
        self.file = None;
        let (name, limits) = (self.name.clone(), self.limits);
        let suffix = if limits.compress { ".gz" } else { "" };
        let older = |n: u32| format!("{name}.{n}{suffix}");
        if limits.files < 2 {
            self.dir.remove_file(&name)?;
            return self.open_file();
        }
        for n in (1..limits.files - 1).rev() {
            if self.dir.stat(older(n), Follow::No)?.is_some() {
                self.dir.rename(older(n), older(n + 1))?;
            }
        }
        match limits.compress {
            true => self.compress(&older(1))?,
            false => self.dir.rename(&name, older(1))?,
        }
        self.open_file()
    }

    fn compress(&self, to: &str) -> Result<(), ContainerError> {
        let failed = |e| ContainerError::io("compress the container's log", e);
        let mut plain = self.dir.open_file(&self.name)?;
        if self.dir.stat(to, Follow::No)?.is_some() {
            self.dir.remove_file(to)?;
        }
        let out = self.dir.create_file(to, 0o640)?;
        let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = plain.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            encoder.write_all(&buffer[..count]).map_err(failed)?;
        }
        encoder.finish().map_err(failed)?;
        Ok(self.dir.remove_file(&self.name)?)
    }
}

/// Appends a line as docker writes it.
fn append(out: &mut Vec<u8>, line: &[u8], (stream, now): (Stream, Timestamp), attributes: &str) {
    out.extend_from_slice(b"{\"log\":\"");
    escape(out, line);
    let _ = write!(out, "\",\"stream\":\"{}\"", stream.word());
    if !attributes.is_empty() {
        let _ = write!(out, ",\"attrs\":{attributes}");
    }
    // No character of the rest needs an escape.
    let _ = writeln!(out, ",\"time\":\"{now}\"}}");
}

/// Escapes as Go's encoding/json does, which docker's writer copies.
fn escape(out: &mut Vec<u8>, line: &[u8]) {
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\u{0}'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::lines::LONGEST;
    use super::*;

    fn logged(options: &[(&str, &str)], writes: &[(Stream, &[u8])]) -> (tempfile::TempDir, Vec<String>) {
        let dir = tempfile::tempdir().expect("a directory");
        let root = Root::open(dir.path()).expect("it opens");
        let options: BTreeMap<_, _> =
            options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let config = LogConfig { driver: "json-file".to_owned(), options };
        let mut writer = Writer::open(&root, "x.log", &config, String::new()).expect("a log");
        for (stream, bytes) in writes {
            writer.write(*stream, bytes).expect("written");
        }
        writer.flush().expect("flushed");
        let text = String::from_utf8(root.read("x.log", 1 << 20).expect("readable")).expect("text");
        let cut = |line: &str| line.split(",\"time\"").next().unwrap_or_default().to_owned();
        (dir, text.lines().map(cut).collect())
    }

    #[test]
    fn lines_are_dockers() {
        let writes: &[(Stream, &[u8])] = &[
            (Stream::Stdout, b"a \"b\" <c>\n"),
            (Stream::Stderr, b"half "),
            (Stream::Stdout, b"\xff\t\n"),
            (Stream::Stderr, b"whole\nrest"),
        ];
        let (_dir, lines) = logged(&[], writes);
        assert_eq!(
            lines,
            [
                r#"{"log":"a \"b\" \u003cc\u003e\n","stream":"stdout""#,
                r#"{"log":"\ufffd\u0009\n","stream":"stdout""#,
                r#"{"log":"half whole\n","stream":"stderr""#,
                r#"{"log":"rest","stream":"stderr""#,
            ]
        );
    }

    #[test]
    fn long_lines_are_split() {
        let long = [vec![b'x'; LONGEST + 3], vec![b'\n']].concat();
        let (_dir, lines) = logged(&[], &[(Stream::Stdout, &long)]);
        assert_eq!(lines.len(), 2);
        assert!(!lines[0].contains("\\n") && lines[1].contains("xxx\\n"));
    }

    #[test]
    fn files_rotate() {
        let line = [vec![b'y'; 600], vec![b'\n']].concat();
        let writes: Vec<(Stream, &[u8])> = (0..7).map(|_| (Stream::Stdout, line.as_slice())).collect();
        let (dir, _) = logged(&[("max-size", "1k"), ("max-file", "3")], &writes);
        let mut names: Vec<_> = std::fs::read_dir(dir.path())
            .expect("readable")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        assert_eq!(names, ["x.log", "x.log.1", "x.log.2"]);
    }
}
