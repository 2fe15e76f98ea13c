//! When requests came, when a worker turned to them, and when they were answered.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

/// Requests that are remembered, the newest: what nobody takes is forgotten.
const REMEMBERED: usize = 16_384;

/// One request that a worker has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serving {
    /// It came.
    pub came: Instant,
    /// A worker turned to it; right away while no capacity is set.
    pub began: Instant,
    /// Its answer was ready; that may get lost.
    pub ended: Instant,
}

/// The newest of them.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch(Mutex<VecDeque<Serving>>);

impl Stopwatch {
    pub(crate) fn note(&self, serving: Serving) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() == REMEMBERED {
            noted.pop_front();
        }
        noted.push_back(serving);
    }

    pub(crate) fn take(&self) -> Vec<Serving> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_newest_are_kept_and_taken_once() {
        let (stopwatch, start) = (Stopwatch::default(), Instant::now());
        let serving = |n: usize| {
            let at = start + Duration::from_millis(n as u64);
            Serving { came: at, began: at, ended: at }
        };
        (0..=REMEMBERED).for_each(|n| stopwatch.note(serving(n)));
        let taken = stopwatch.take();
        assert_eq!(taken.len(), REMEMBERED);
        assert_eq!((taken[0], taken[REMEMBERED - 1]), (serving(1), serving(REMEMBERED)));
        assert!(stopwatch.take().is_empty());
    }
}
