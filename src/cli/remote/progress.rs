//! The engine's streams of JSON: pull, push, load, import and build, shown as docker's client shows them.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Read, Write};

use serde_json::Value;

use super::text;
use crate::cli::error::CliError;
use crate::cli::{human, output};

/// Largest line of a stream.
const MAX_LINE: u64 = 16 << 20;
/// Columns of a bar.
const BAR: usize = 50;

/// Where a stream is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere; failures are still failures.
    Nowhere,
}

/// Shows a stream to its end; `aux` gets what it says to programs.
///
/// # Errors
/// The stream says that the engine failed, or it breaks off.
pub fn show(stream: &mut dyn Read, to: To, mut aux: impl FnMut(&Value)) -> Result<(), CliError> {
    let terminal = match to {
        To::Stdout => std::io::stdout().is_terminal(),
        To::Stderr => std::io::stderr().is_terminal(),
        To::Nowhere => false,
    };
    let mut screen = Screen { terminal, rows: Vec::new() };
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        if reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        // Some engines put several objects on a line, some one over several.
        for message in serde_json::Deserializer::from_slice(&line).into_iter::<Value>() {
            let Ok(message) = message else { break };
            if let Some(failure) = failure(&message) {
                return Err(failure);
            }
            if !message["aux"].is_null() {
                aux(&message["aux"]);
                continue;
            }
            put(to, &screen.draw(&message))?;
        }
    }
}

fn failure(message: &Value) -> Option<CliError> {
    let detail = &message["errorDetail"];
    let said =
        [text(&detail["message"]), text(&message["error"])].into_iter().find(|said| !said.is_empty())?;
    let code = detail["code"].as_u64().and_then(|code| u8::try_from(code).ok()).filter(|code| *code > 0);
    Some(CliError::new(said).code(code.unwrap_or(1)))
}

fn put(to: To, shown: &str) -> Result<(), CliError> {
    match to {
        _ if shown.is_empty() => Ok(()),
        To::Stdout => output::data(shown),
        To::Stderr => {
            let mut err = std::io::stderr().lock();
            let _ = err.write_all(shown.as_bytes()).and_then(|()| err.flush());
            Ok(())
        }
        To::Nowhere => Ok(()),
    }
}

/// The rows of what is under way on a terminal.
struct Screen {
    terminal: bool,
    rows: Vec<String>,
}

impl Screen {
    /// Returns what a message writes.
    fn draw(&mut self, message: &Value) -> String {
        let stream = text(&message["stream"]);
        if !stream.is_empty() {
            self.rows.clear();
            return stream.to_owned();
        }
        let bar = bar(&message["progressDetail"]);
        let (id, status) = (text(&message["id"]), text(&message["status"]));
        let from = text(&message["from"]);
        let from = if from.is_empty() { String::new() } else { format!("(from {from}) ") };
        let name = if id.is_empty() { String::new() } else { format!("{id}: ") };
        if !self.terminal {
            // What moves is not worth a line each time.
            let moves = !bar.is_empty() || status.is_empty();
            return if moves { String::new() } else { format!("{name}{from}{status}\n") };
        }
        let line = format!("{name}{from}{status} {bar}");
        let line = line.trim_end();
        if id.is_empty() {
            self.rows.clear();
            return if bar.is_empty() { format!("{line}\n") } else { format!("\x1b[2K{line}\r") };
        }
        match self.rows.iter().position(|row| row == id) {
            Some(at) => {
                let up = self.rows.len() - at;
                format!("\x1b[{up}A\x1b[2K\r{line}\r\x1b[{up}B")
            }
            None => {
                self.rows.push(id.to_owned());
                format!("\x1b[2K\r{line}\n")
            }
        }
    }
}

/// The bar of what is under way; empty for what is not.
fn bar(detail: &Value) -> String {
    let (current, total) = (detail["current"].as_u64().unwrap_or(0), detail["total"].as_u64().unwrap_or(0));
    if current == 0 && total == 0 {
        return String::new();
    }
    if total == 0 {
        let units = text(&detail["units"]);
        return if units.is_empty() { human::transferred(current) } else { format!("{current} {units}") };
    }
    let done = ((current as f64 / total as f64) * BAR as f64).min(BAR as f64) as usize;
    let rest = BAR - done;
    let head = if rest > 0 { ">" } else { "" };
    let rest = " ".repeat(rest.saturating_sub(head.len()));
    let numbers = format!("{:>8}/{}", human::transferred(current), human::transferred(total));
    format!("[{}{head}{rest}] {numbers}", "=".repeat(done))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_moves_is_shown_on_terminals_alone() {
        let moving =
            json!({"status": "Downloading", "progressDetail": {"current": 5, "total": 10}, "id": "abc"});
        let done = json!({"status": "Download complete", "progressDetail": {}, "id": "abc"});
        let mut plain = Screen { terminal: false, rows: Vec::new() };
        assert_eq!(plain.draw(&moving), "");
        assert_eq!(plain.draw(&done), "abc: Download complete\n");
        assert_eq!(plain.draw(&json!({"stream": "Step 1/1 : FROM x\n"})), "Step 1/1 : FROM x\n");
        let mut screen = Screen { terminal: true, rows: Vec::new() };
        assert!(screen.draw(&moving).contains("abc: Downloading [=========================>"));
        assert_eq!(screen.draw(&done), "\x1b[1A\x1b[2K\rabc: Download complete\r\x1b[1B");
    }

    #[test]
    fn failures_end_a_stream() {
        let stream = b"{\"status\":\"x\"}\r\n{\"errorDetail\":{\"message\":\"no\"},\"error\":\"no\"}\r\n";
        let failed = show(&mut &stream[..], To::Nowhere, |_| {}).expect_err("it failed");
        assert_eq!((failed.text.as_str(), failed.code), ("no", 1));
        let code = b"{\"errorDetail\":{\"code\":3,\"message\":\"returned a non-zero code: 3\"}}";
        assert_eq!(show(&mut &code[..], To::Nowhere, |_| {}).expect_err("it failed").code, 3);
        let mut seen = Vec::new();
        let aux = b"{\"aux\":{\"ID\":\"sha256:1\"}}{\"aux\":{\"ID\":\"sha256:2\"}}\n";
        show(&mut &aux[..], To::Nowhere, |aux| seen.push(aux["ID"].clone())).expect("shown");
        assert_eq!(seen, ["sha256:1", "sha256:2"]);
    }
}
