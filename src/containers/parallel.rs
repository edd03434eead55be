//! The same with each of many things, by several threads that are gone when it returns.

/// Things that one thread does sooner than another one is there.
const FEW: usize = 64;
/// The most threads.
const THREADS: usize = 4;

/// Does the same with each of many things; the results have the order of the things.
pub fn in_parallel<T: Send, R: Send>(mut things: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    if things.len() < FEW || threads < 2 {
        return things.into_iter().map(work).collect();
    }
    let part = things.len().div_ceil(threads);
    let work = &work;
    std::thread::scope(|scope| {
        let mut others = Vec::new();
        while things.len() > part {
            let last = things.split_off(things.len() - part);
            others.push(scope.spawn(move || last.into_iter().map(work).collect::<Vec<R>>()));
        }
        let mut results: Vec<R> = things.into_iter().map(work).collect();
        for other in others.into_iter().rev() {
            results.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays() {
        for count in [0, 1, FEW, 501] {
            let things: Vec<usize> = (0..count).collect();
            assert_eq!(
                in_parallel(things.clone(), |n| n * 2),
                things.iter().map(|n| n * 2).collect::<Vec<_>>()
            );
        }
    }
}
