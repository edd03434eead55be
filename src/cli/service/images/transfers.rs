//! What moves between here and a registry, in docker's words.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::super::render::{Way, progress_bar, state_words};
use super::said::Said;
use crate::progress::{Event, Reporter, TransferId};

/// Least time between two words about the bytes of one layer.
const PACE: Duration = Duration::from_millis(100);

/// Says what becomes of each layer.
pub struct Transfers {
    said: Said,
    way: Way,
    layers: Mutex<HashMap<TransferId, Layer>>,
    /// What is said first, as soon as it is known that the image can be had.
    opening: Mutex<Option<Value>>,
}

struct Layer {
    label: String,
    total: u64,
    last: Option<Instant>,
}

impl Transfers {
    /// Takes where to say it, and what comes before it.
    pub fn new(said: Said, way: Way, opening: Option<Value>) -> Self {
        Self { said, way, layers: Mutex::default(), opening: Mutex::new(opening) }
    }

    /// Says what comes first, if nothing was said yet.
    pub fn begin(&self) {
        let opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner).take();
        opening.into_iter().for_each(|object| self.said.object(object));
    }

    fn moved(&self, id: TransferId, done: u64) {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        // What has no state, such as an image's config, has no line.
        let Some(layer) = layers.get_mut(&id) else { return };
        if layer.last.is_some_and(|last| last.elapsed() < PACE) {
            return;
        }
        layer.last = Some(Instant::now());
        let status = if self.way == Way::Down { "Downloading" } else { "Pushing" };
        let detail = match layer.total {
            0 => json!({ "current": done }),
            total => json!({ "current": done, "total": total }),
        };
        let said = json!({
            "status": status, "progressDetail": detail, "progress": progress_bar(done, layer.total), "id": layer.label,
        });
        drop(layers);
        self.said.maybe(said);
    }
}

impl Reporter for Transfers {
    fn report(&self, event: Event) {
        match event {
            Event::TransferState { id, label, state } => {
                self.begin();
                let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
                layers.entry(id).or_insert(Layer { label: label.clone(), total: 0, last: None });
                drop(layers);
                self.said.object(json!({ "status": state_words(&state), "progressDetail": {}, "id": label }));
            }
            Event::TransferStarted { id, total, .. } => {
                let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(layer) = layers.get_mut(&id) {
                    layer.total = total.unwrap_or(0);
                }
            }
            Event::TransferProgress { id, done } => self.moved(id, done),
            _ => {}
        }
    }
}
