//! One JSON object a line on standard error: BuildKit's solve status.
//!
//! `vertexes` have a digest that is a step's identity within the build and the
//! times so far; `logs` and the words of `warnings` are bytes, so base64.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Renderer;
use super::tail::{FailedLogs, Steps};
use crate::cli::output;
use crate::image::Digest;
use crate::progress::{CheckEvent, Event, Outcome, Reporter, Stream, VertexId};

/// Writes objects.
#[derive(Debug, Default)]
pub struct Json(Mutex<Steps>);

fn time(at: SystemTime) -> String {
    Timestamp::try_from(at).map(|t| t.to_string()).unwrap_or_default()
}

/// Returns what names a step: numbers are unique in a build, and names tell builds apart.
fn digest(id: VertexId, steps: &Steps) -> String {
    let name = steps.steps.get(&id).map_or("", |step| &step.name);
    Digest::of(format!("{id} {name}").as_bytes()).to_string()
}

/// Returns a step as it stands, after `steps` took the event.
fn vertex(id: VertexId, steps: &Steps) -> Option<Value> {
    let step = steps.steps.get(&id)?;
    let mut vertex = json!({"digest": digest(id, steps), "name": step.name, "started": time(step.started)});
    if let Some((at, outcome)) = &step.ended {
        vertex["completed"] = json!(time(*at));
        match outcome {
            Outcome::Done => {}
            Outcome::Failed(why) => vertex["error"] = json!(why),
            Outcome::Canceled => vertex["error"] = json!("context canceled"),
        }
    }
    if step.cached {
        vertex["cached"] = json!(true);
    }
    Some(vertex)
}

/// Returns a finding of the build checks as BuildKit writes it; `vertex` names the step that read the file.
pub fn warning(check: &CheckEvent, vertex: &str) -> Value {
    let line = |line: u32| json!({"start": {"line": line}, "end": {"line": line}});
    let (first, last) = check.lines;
    json!({
        "vertex": vertex,
        "level": 1,
        "short": STANDARD.encode(&check.short),
        "detail": [STANDARD.encode(&check.detail)],
        "url": check.url,
        "sourceInfo": {
            "filename": check.file.rsplit('/').next(),
            "data": STANDARD.encode(check.text.as_bytes()),
            "language": "Dockerfile",
        },
        "range": (first..=last).map(line).collect::<Value>(),
    })
}

/// Returns an event as an object, after `steps` took it; none for what has no place in the format.
fn object(event: &Event, steps: &Steps) -> Option<Value> {
    Some(match event {
        Event::VertexStarted { id, .. } | Event::VertexCached { id, .. } | Event::VertexDone { id, .. } => {
            json!({"vertexes": [vertex(*id, steps)?]})
        }
        Event::VertexLog { id, stream, data, at } => {
            let stream = if *stream == Stream::Stdout { 1 } else { 2 };
            let (vertex, data) = (digest(*id, steps), STANDARD.encode(data));
            json!({"logs": [{"vertex": vertex, "stream": stream, "data": data, "timestamp": time(*at)}]})
        }
        Event::VertexStatus { id, text, done } => {
            let now = time(SystemTime::now());
            let mut status = json!({
                "id": text, "vertex": digest(*id, steps), "name": text, "current": 0, "timestamp": now,
                "started": now,
            });
            if *done {
                status["completed"] = json!(now);
            }
            json!({"statuses": [status]})
        }
        Event::Check(check) => json!({"warnings": [warning(check, &digest(check.vertex, steps))]}),
        Event::Warning { vertex, message } => {
            let mut warning = json!({"level": 1, "short": STANDARD.encode(message)});
            if let Some(id) = vertex {
                warning["vertex"] = json!(digest(*id, steps));
            }
            json!({"warnings": [warning]})
        }
        _ => return None,
    })
}

impl Reporter for Json {
    fn report(&self, event: Event) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        steps.apply(event.clone());
        if let Some(line) = object(&event, &steps) {
            output::talk(&line.to_string());
        }
    }
}

impl Renderer for Json {
    fn finish(&self) {}

    fn checks(&self) -> Vec<CheckEvent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).checks.clone()
    }

    fn failed_logs(&self) -> Option<FailedLogs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failed_logs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_buildkits() {
        let at = |seconds| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let mut steps = Steps::default();
        let mut said = Vec::new();
        for event in [
            Event::VertexStarted { id: 1, name: "[1/1] RUN x".to_owned(), at: at(1) },
            Event::VertexLog { id: 1, stream: Stream::Stderr, data: b"hi\xff".to_vec(), at: at(2) },
            Event::VertexDone { id: 1, at: at(3), outcome: Outcome::Failed("no".to_owned()) },
            Event::Planned { total: 3 },
        ] {
            steps.apply(event.clone());
            said.extend(object(&event, &steps));
        }
        let digest = digest(1, &steps);
        let started = "1970-01-01T00:00:01Z";
        let expected = [
            json!({"vertexes": [{"digest": digest, "name": "[1/1] RUN x", "started": started}]}),
            json!({"logs": [{"vertex": digest, "stream": 2, "data": "aGn/", "timestamp": "1970-01-01T00:00:02Z"}]}),
            json!({"vertexes": [{"digest": digest, "name": "[1/1] RUN x", "started": started,
                "completed": "1970-01-01T00:00:03Z", "error": "no"}]}),
        ];
        assert_eq!(said, expected);
        assert!(digest.starts_with("sha256:"));
    }
}
