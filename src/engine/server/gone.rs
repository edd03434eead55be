//! Whether the client is still there.

use std::sync::{Arc, Mutex, PoisonError};

type Act = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    gone: bool,
    acts: Vec<Act>,
}

/// Tells those who work for a client that it is gone.
#[derive(Clone, Default)]
pub struct Gone(Arc<Mutex<State>>);

impl Gone {
    /// Does something as soon as the client is gone, on whatever thread notices; at once if it is.
    pub fn act(&self, act: impl FnOnce() + Send + 'static) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.gone {
            state.acts.push(Box::new(act));
            return;
        }
        drop(state);
        act();
    }

    /// Whether the client is gone.
    pub fn is_gone(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).gone
    }

    /// Says so. What was answered to its end counts as well: nobody waits any more.
    pub(super) fn tell(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.gone = true;
        let acts = std::mem::take(&mut state.acts);
        drop(state);
        acts.into_iter().for_each(|act| act());
    }
}
