//! Work done ahead by several threads, its results taken in order by one.
//!
//! The threads are our own, not the shared pool's: the taker blocks, and a
//! pool all of whose threads block has nobody left to do the work.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Most threads; reading small files gains little from more.
const THREADS: usize = 8;
/// Pieces a thread may be ahead of the taker.
const AHEAD: usize = 3;

struct State<R> {
    /// Pieces that nobody works on yet, next one last.
    waiting: Vec<usize>,
    results: Vec<Option<R>>,
    taken: usize,
    stopped: bool,
}

struct Shared<R> {
    state: Mutex<State<R>>,
    changed: Condvar,
}

impl<R> Shared<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends everybody's waiting when its owner ends, also by a panic.
struct Stop<'a, R>(&'a Shared<R>);

impl<R> Drop for Stop<'_, R> {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.changed.notify_all();
    }
}

/// Runs `work` on the pieces in several threads, and `take` on the results here, in order, until one fails.
///
/// A single piece is worked on here.
///
/// # Errors
/// What `take` returns.
pub fn in_order<T: Sync, R: Send, E>(
    pieces: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    if let [only] = pieces {
        return take(work(only));
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS).min(pieces.len());
    let state = State {
        waiting: (0..pieces.len()).rev().collect(),
        results: pieces.iter().map(|_| None).collect(),
        taken: 0,
        stopped: false,
    };
    let shared = Shared { state: Mutex::new(state), changed: Condvar::new() };
    std::thread::scope(|scope| {
        let _stop = Stop(&shared);
        for _ in 0..threads {
            scope.spawn(|| produce(&shared, pieces, &work, threads * AHEAD));
        }
        for at in 0..pieces.len() {
            let mut state = shared.lock();
            let result = loop {
                if let Some(result) = state.results[at].take() {
                    break result;
                }
                if state.stopped {
                    // A thread panicked; the scope passes that on.
                    return Ok(());
                }
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            state.taken = at + 1;
            drop(state);
            shared.changed.notify_all();
            take(result)?;
        }
        Ok(())
    })
}

fn produce<T, R>(shared: &Shared<R>, pieces: &[T], work: impl Fn(&T) -> R, ahead: usize) {
    loop {
        let mut state = shared.lock();
        let at = loop {
            let Some(next) = state.waiting.last().copied().filter(|_| !state.stopped) else { return };
            if next < state.taken + ahead {
                break next;
            }
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        state.waiting.pop();
        drop(state);
        let stop = Stop(shared);
        let result = work(&pieces[at]);
        std::mem::forget(stop);
        shared.lock().results[at] = Some(result);
        shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_errors_stop() {
        let pieces: Vec<u32> = (0..500).collect();
        let mut seen = Vec::new();
        let all = in_order(
            &pieces,
            |n| n * 2,
            |n| {
                seen.push(n);
                Ok::<(), ()>(())
            },
        );
        assert_eq!((all, seen), (Ok(()), (0..500).map(|n| n * 2).collect()));
        let mut count = 0;
        let stopped = in_order(
            &pieces,
            |n| *n,
            |n| {
                count += 1;
                if n == 7 { Err(n) } else { Ok(()) }
            },
        );
        assert_eq!((stopped, count), (Err(7), 8));
        assert_eq!(in_order(&[] as &[u32], |n| *n, |_| Ok::<(), ()>(())), Ok(()));
    }

    #[test]
    fn a_panic_of_a_worker_is_passed_on() {
        let caught = std::panic::catch_unwind(|| {
            let _ = in_order(&[1, 2, 3], |n| assert_ne!(*n, 2, "on purpose"), |()| Ok::<(), ()>(()));
        });
        assert!(caught.is_err());
    }

    #[test]
    fn it_works_where_every_thread_of_the_pool_waits() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
        let sum = pool.install(|| {
            let mut sum = 0;
            in_order(
                &[1, 2, 3],
                |n| *n,
                |n| {
                    sum += n;
                    Ok::<(), ()>(())
                },
            )
            .expect("nothing fails");
            sum
        });
        assert_eq!(sum, 6);
    }
}
