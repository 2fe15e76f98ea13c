//! When requests arrived, when a worker turned to them, and when they were answered.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

/// Requests that are remembered, the newest: what nobody takes is forgotten.
const REMEMBERED: usize = 16_384;

/// One request that a worker has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTiming {
    /// It arrived.
    pub arrived: Instant,
    /// A worker turned to it; right away while no capacity is set.
    pub started: Instant,
    /// Its answer was ready; that may get lost.
    pub ended: Instant,
}

/// The newest of them.
#[derive(Debug, Default)]
pub(crate) struct RequestTimings(Mutex<VecDeque<RequestTiming>>);

impl RequestTimings {
    pub(crate) fn note(&self, timing: RequestTiming) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() == REMEMBERED {
            noted.pop_front();
        }
        noted.push_back(timing);
    }

    pub(crate) fn take(&self) -> Vec<RequestTiming> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_newest_are_kept_and_taken_once() {
        let (timings, start) = (RequestTimings::default(), Instant::now());
        let timing = |n: usize| {
            let at = start + Duration::from_millis(n as u64);
            RequestTiming { arrived: at, started: at, ended: at }
        };
        (0..=REMEMBERED).for_each(|n| timings.note(timing(n)));
        let taken = timings.take();
        assert_eq!(taken.len(), REMEMBERED);
        assert_eq!((taken[0], taken[REMEMBERED - 1]), (timing(1), timing(REMEMBERED)));
        assert!(timings.take().is_empty());
    }
}
