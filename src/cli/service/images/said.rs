//! The JSON objects in which a long request tells how it goes on.
//!
//! The work has a thread of its own. What fails before anything was said is answered with a status; afterwards the
//! status is out, and a failure is an object like the others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::engine::ApiError;
use crate::engine::server::{Answer, Output};

/// Objects that wait for a slow client before the work waits for it too.
const AHEAD: usize = 256;

/// Where the work says something.
#[derive(Clone)]
pub struct Said {
    sender: SyncSender<Spoken>,
    end: Arc<End>,
}

enum Spoken {
    Object(Value),
    Failed(Failure),
}

type Act = Box<dyn FnOnce() + Send>;

/// The client is gone.
#[derive(Default)]
struct End {
    gone: AtomicBool,
    notify: Notify,
    acts: Mutex<Vec<Act>>,
}

impl End {
    fn tell(&self) {
        self.gone.store(true, Ordering::Release);
        self.notify.notify_waiters();
        let acts = std::mem::take(&mut *self.acts.lock().unwrap_or_else(PoisonError::into_inner));
        acts.into_iter().for_each(|act| act());
    }
}

/// Why the work ended too early.
pub struct Failure {
    /// For a client that has heard nothing yet, with a status.
    pub error: ApiError,
    /// The code in `errorDetail`; none leaves it out.
    pub code: Option<i32>,
}

impl<E: Into<ApiError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), code: None }
    }
}

impl Said {
    /// Says something; waits for a slow client. What a client that is gone would have heard is dropped.
    pub fn object(&self, object: Value) {
        let _ = self.sender.send(Spoken::Object(object));
    }

    /// Says something that the next one makes superfluous: a slow client misses it.
    pub fn maybe(&self, object: Value) {
        match self.sender.try_send(Spoken::Object(object)) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    /// `status` without an id.
    pub fn status(&self, text: impl Into<String>) {
        self.object(json!({ "status": text.into() }));
    }

    /// `stream`: text as a program writes it.
    pub fn stream(&self, text: impl Into<String>) {
        self.object(json!({ "stream": text.into() }));
    }

    /// Whether the client is gone.
    pub fn is_gone(&self) -> bool {
        self.end.gone.load(Ordering::Acquire)
    }

    /// Does something as soon as the client is gone.
    pub fn on_gone(&self, act: impl FnOnce() + Send + 'static) {
        self.end.acts.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(act));
        if self.is_gone() {
            self.end.tell();
        }
    }

    /// Waits for a future as long as the client is there.
    ///
    /// # Errors
    /// The client is gone; the future was dropped.
    pub fn wait<T>(
        &self,
        runtime: &tokio::runtime::Runtime,
        future: impl Future<Output = T>,
    ) -> Result<T, ApiError> {
        runtime.block_on(async {
            let gone = self.end.notify.notified();
            tokio::pin!(gone);
            gone.as_mut().enable();
            if self.is_gone() {
                return Err(cancelled());
            }
            tokio::select! {
                () = gone => Err(cancelled()),
                value = future => Ok(value),
            }
        })
    }
}

/// What nobody hears any more.
fn cancelled() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "context canceled")
}

/// Lets `work` run on a thread of its own, and answers with what it says.
///
/// # Errors
/// The work failed before it said anything.
pub fn answer(work: impl FnOnce(&Said) -> Result<(), Failure> + Send + 'static) -> Result<Answer, ApiError> {
    let (sender, receiver) = sync_channel(AHEAD);
    let end = Arc::new(End::default());
    let said = Said { sender, end: Arc::clone(&end) };
    let run = move || {
        if let Err(failure) = work(&said) {
            let _ = said.sender.send(Spoken::Failed(failure));
        }
    };
    std::thread::Builder::new()
        .name("request".to_owned())
        .spawn(run)
        .map_err(|error| ApiError::internal(format!("cannot start a thread: {error}")))?;
    let first = match receiver.recv() {
        Ok(Spoken::Failed(failure)) => return Err(failure.error),
        Ok(Spoken::Object(object)) => Some(object),
        // Nothing to say, as with `quiet`.
        Err(_) => None,
    };
    Ok(Answer::stream("application/json", move |output| forward(first, &receiver, &end, output)))
}

fn forward(
    first: Option<Value>,
    receiver: &Receiver<Spoken>,
    end: &Arc<End>,
    output: &mut Output,
) -> std::io::Result<()> {
    let told = Arc::clone(end);
    output.on_gone(move || told.tell());
    let later = receiver.iter().map(|said| match said {
        Spoken::Object(object) => object,
        Spoken::Failed(failure) => failed(&failure),
    });
    first.into_iter().chain(later).try_for_each(|object| output.json(&object))
}

fn failed(failure: &Failure) -> Value {
    let message = &failure.error.message;
    let mut detail = json!({ "message": message });
    if let Some(code) = failure.code {
        detail["code"] = json!(code);
    }
    json!({ "errorDetail": detail, "error": message })
}
