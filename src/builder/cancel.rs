//! A switch that stops a build: the user's, and the solver's own when a step fails.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Shared {
    fired: AtomicBool,
    hooks: Mutex<(u64, BTreeMap<u64, Hook>)>,
}

/// A switch that is thrown once; clones share it.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Shared>);

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

impl Cancel {
    /// Returns a switch that is not thrown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Throws the switch and runs every hook; later calls do nothing.
    pub fn cancel(&self) {
        if self.0.fired.swap(true, Ordering::SeqCst) {
            return;
        }
        let hooks = std::mem::take(&mut self.hooks().1);
        for hook in hooks.into_values() {
            hook();
        }
    }

    /// Whether the switch was thrown.
    pub fn is_cancelled(&self) -> bool {
        self.0.fired.load(Ordering::SeqCst)
    }

    /// Runs `hook` when the switch is thrown, at once if it was; not any more after the guard is dropped.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) -> CancelGuard {
        let id = {
            let mut hooks = self.hooks();
            if !self.is_cancelled() {
                hooks.0 += 1;
                let id = hooks.0;
                hooks.1.insert(id, Box::new(hook));
                return CancelGuard { cancel: self.clone(), id };
            }
            0
        };
        hook();
        CancelGuard { cancel: self.clone(), id }
    }

    /// Returns a switch that is thrown with this one, and may be thrown alone; the guard holds the two together.
    pub fn child(&self) -> (Self, CancelGuard) {
        let child = Self::new();
        let thrown = child.clone();
        let guard = self.on_cancel(move || thrown.cancel());
        (child, guard)
    }

    fn hooks(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Hook>)> {
        self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a hook back when dropped.
#[derive(Debug)]
pub struct CancelGuard {
    cancel: Cancel,
    id: u64,
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.cancel.hooks().1.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn hooks_run_once_unless_taken_back() {
        let count = Arc::new(AtomicU32::new(0));
        let add = |n: u32| {
            let count = Arc::clone(&count);
            move || {
                count.fetch_add(n, Ordering::SeqCst);
            }
        };
        let cancel = Cancel::new();
        let _kept = cancel.on_cancel(add(1));
        drop(cancel.on_cancel(add(10)));
        let (child, _guard) = cancel.child();
        let _below = child.on_cancel(add(100));
        cancel.cancel();
        cancel.cancel();
        assert!(child.is_cancelled());
        let _late = cancel.on_cancel(add(1000));
        assert_eq!(count.load(Ordering::SeqCst), 1101);
    }

    #[test]
    fn a_child_may_stop_alone() {
        let parent = Cancel::new();
        let (child, _guard) = parent.child();
        child.cancel();
        assert!(!parent.is_cancelled());
    }
}
