//! One JSON object a line on standard error, in the shape of BuildKit's solve status.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Renderer;
use super::tail::{FailedLogs, Steps};
use crate::cli::output;
use crate::progress::{CheckEvent, Event, Outcome, Reporter, Stream};

/// Writes objects.
#[derive(Debug, Default)]
pub struct Json(Mutex<Steps>);

fn time(at: SystemTime) -> String {
    Timestamp::try_from(at).map(|t| t.to_string()).unwrap_or_default()
}

/// Returns an event as an object; none for what has no place in the format.
fn object(event: &Event, steps: &Steps) -> Option<Value> {
    let vertex = |id: u32| format!("step:{id}");
    let name = |id: &u32| steps.steps.get(id).map(|s| s.name.clone()).unwrap_or_default();
    Some(match event {
        Event::VertexStarted { id, name, at } => {
            json!({"vertexes": [{"digest": vertex(*id), "name": name, "started": time(*at)}]})
        }
        Event::VertexCached { id, name } => {
            json!({"vertexes": [{"digest": vertex(*id), "name": name, "cached": true}]})
        }
        Event::VertexDone { id, at, outcome } => {
            let mut done = json!({"digest": vertex(*id), "name": name(id), "completed": time(*at)});
            match outcome {
                Outcome::Done => {}
                Outcome::Failed(why) => done["error"] = json!(why),
                Outcome::Canceled => done["error"] = json!("canceled"),
            }
            json!({"vertexes": [done]})
        }
        Event::VertexLog { id, stream, data, at } => {
            let stream = if *stream == Stream::Stdout { 1 } else { 2 };
            let text = String::from_utf8_lossy(data);
            json!({"logs": [{"vertex": vertex(*id), "stream": stream, "data": text, "timestamp": time(*at)}]})
        }
        Event::VertexStatus { id, text, done } => {
            json!({"statuses": [{"id": text, "vertex": vertex(*id), "completed": done}]})
        }
        Event::Warning { vertex: id, message } => {
            json!({"warnings": [{"vertex": id.map(vertex), "short": message}]})
        }
        _ => return None,
    })
}

impl Reporter for Json {
    fn report(&self, event: Event) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = object(&event, &steps);
        steps.apply(event);
        if let Some(line) = line {
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
