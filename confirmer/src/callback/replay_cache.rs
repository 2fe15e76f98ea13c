//! Which callbacks were taken lately, so that a repeated one is answered without work.

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

/// The digest of an id, which may be long.
type Key = [u8; 32];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    UnderWay,
    Taken,
}

#[derive(Debug, Default)]
struct Memory {
    states: HashMap<Key, State>,
    order: VecDeque<(Instant, Key)>,
}

impl Memory {
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
pub(super) struct TakenLately(Arc<Mutex<Memory>>);

/// Whether a callback is new.
#[derive(Debug)]
pub(super) enum Seen {
    /// It is; whoever has this says when it is taken.
    New(UnderWay),
    /// Another request brings it at this moment.
    UnderWay,
    /// It was taken.
    Taken,
}

/// A callback under way. Dropped, it is forgotten, and may come again.
#[derive(Debug)]
pub(super) struct UnderWay {
    memory: TakenLately,
    key: Key,
    taken: Option<Instant>,
}

impl TakenLately {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        // No critical section can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks an id up, and notes it as under way if it is new.
    pub(super) fn see(&self, id: &str, now: Instant) -> Seen {
        let key: Key = Sha256::digest(id.as_bytes()).into();
        let mut memory = self.lock();
        memory.forget_old(now, MOST);
        match memory.states.get(&key) {
            Some(State::Taken) => Seen::Taken,
            Some(State::UnderWay) => Seen::UnderWay,
            None => {
                memory.states.insert(key, State::UnderWay);
                drop(memory);
                Seen::New(UnderWay { memory: self.clone(), key, taken: None })
            }
        }
    }
}

impl UnderWay {
    /// It is durable.
    pub(super) fn taken(mut self, now: Instant) {
        self.taken = Some(now);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut memory = self.memory.lock();
        match self.taken {
            Some(now) => {
                memory.states.insert(self.key, State::Taken);
                memory.order.push_back((now, self.key));
            }
            None => {
                memory.states.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(memory: &TakenLately, id: &str, now: Instant) {
        match memory.see(id, now) {
            Seen::New(under_way) => under_way.taken(now),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_is_known_for_ten_minutes_and_what_failed_not_at_all() {
        let (memory, start) = (TakenLately::default(), Instant::now());
        take(&memory, "a", start);
        assert!(matches!(memory.see("a", start + REMEMBERED / 2), Seen::Taken));
        assert!(matches!(memory.see("a", start + REMEMBERED), Seen::New(_)));
        let failed = memory.see("b", start);
        assert!(matches!(memory.see("b", start), Seen::UnderWay));
        drop(failed);
        assert!(matches!(memory.see("b", start), Seen::New(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_are_remembered() {
        let (memory, start) = (TakenLately::default(), Instant::now());
        for number in 0..3 {
            take(&memory, &number.to_string(), start);
        }
        memory.lock().forget_old(start, 2);
        assert!(matches!(memory.see("0", start), Seen::New(_)));
        assert!(matches!(memory.see("2", start), Seen::Taken));
        assert_eq!(memory.lock().states.len(), 2);
    }
}
