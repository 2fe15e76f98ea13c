//! The replay cache: which callbacks were taken in the last ten minutes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// How long a callback is remembered: as long as its timestamp can be right, from five
/// minutes before to five minutes after.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Most that are remembered, in some 10 MB; the oldest go first. One that is forgotten and
/// comes again is queued again, which settles nothing twice.
const MOST: usize = 100_000;

/// The digest of a webhook id, which may be long.
type CallbackKey = [u8; 32];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallbackState {
    UnderWay,
    Accepted,
}

#[derive(Debug, Default)]
struct CacheEntries {
    states: HashMap<CallbackKey, CallbackState>,
    order: VecDeque<(Instant, CallbackKey)>,
}

impl CacheEntries {
    fn forget_old(&mut self, now: Instant, most: usize) {
        while let Some((taken_at, key)) = self.order.front().copied() {
            if self.order.len() <= most && now.duration_since(taken_at) < REMEMBERED {
                return;
            }
            self.order.pop_front();
            self.states.remove(&key);
        }
    }
}

/// The callbacks of the last ten minutes, and those under way.
#[derive(Debug, Clone, Default)]
pub(super) struct ReplayCache(Arc<Mutex<CacheEntries>>);

/// Whether a callback is new.
#[derive(Debug)]
pub(super) enum ReplayCheck {
    /// It is; the holder of this reports when it is taken.
    New(CallbackInProgress),
    /// Another request brings it at this moment.
    UnderWay,
    /// It was taken.
    Accepted,
}

/// A callback under way. Dropped, it is forgotten, and may come again.
#[derive(Debug)]
pub(super) struct CallbackInProgress {
    cache: ReplayCache,
    key: CallbackKey,
    taken: Option<Instant>,
}

impl ReplayCache {
    fn lock(&self) -> MutexGuard<'_, CacheEntries> {
        // No critical section can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks an id up, and notes it as under way if it is new.
    pub(super) fn check(&self, id: &str, now: Instant) -> ReplayCheck {
        let key: CallbackKey = Sha256::digest(id.as_bytes()).into();
        let mut cache = self.lock();
        cache.forget_old(now, MOST);
        match cache.states.get(&key) {
            Some(CallbackState::Accepted) => ReplayCheck::Accepted,
            Some(CallbackState::UnderWay) => ReplayCheck::UnderWay,
            None => {
                cache.states.insert(key, CallbackState::UnderWay);
                drop(cache);
                ReplayCheck::New(CallbackInProgress { cache: self.clone(), key, taken: None })
            }
        }
    }
}

impl CallbackInProgress {
    /// It is durable.
    pub(super) fn taken(mut self, now: Instant) {
        self.taken = Some(now);
    }
}

impl Drop for CallbackInProgress {
    fn drop(&mut self) {
        let mut cache = self.cache.lock();
        match self.taken {
            Some(now) => {
                cache.states.insert(self.key, CallbackState::Accepted);
                cache.order.push_back((now, self.key));
            }
            None => {
                cache.states.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(cache: &ReplayCache, id: &str, now: Instant) {
        match cache.check(id, now) {
            ReplayCheck::New(under_way) => under_way.taken(now),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_is_known_for_ten_minutes_and_what_failed_not_at_all() {
        let (cache, start) = (ReplayCache::default(), Instant::now());
        take(&cache, "a", start);
        assert!(matches!(cache.check("a", start + REMEMBERED / 2), ReplayCheck::Accepted));
        assert!(matches!(cache.check("a", start + REMEMBERED), ReplayCheck::New(_)));
        let failed = cache.check("b", start);
        assert!(matches!(cache.check("b", start), ReplayCheck::UnderWay));
        drop(failed);
        assert!(matches!(cache.check("b", start), ReplayCheck::New(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_are_remembered() {
        let (cache, start) = (ReplayCache::default(), Instant::now());
        for number in 0..3 {
            take(&cache, &number.to_string(), start);
        }
        cache.lock().forget_old(start, 2);
        assert!(matches!(cache.check("0", start), ReplayCheck::New(_)));
        assert!(matches!(cache.check("2", start), ReplayCheck::Accepted));
        assert_eq!(cache.lock().states.len(), 2);
    }
}
