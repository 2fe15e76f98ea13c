//! What goes wrong with a call: drawn from the world's one series.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tests::chance::Chance;
use tokio::time::{sleep, timeout};

use crate::life::Life;

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It does not arrive.
    NotSent,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It takes long, before or after it is carried out.
    Slow,
}

/// The world's chance, and how much of it is bad.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    chance: Arc<Mutex<Chance>>,
    /// Calls in a thousand that go wrong.
    per_mille: Arc<Mutex<u64>>,
    /// Answers of the transaction service in a thousand that are spoilt.
    hostile: Arc<Mutex<u64>>,
}

impl Faults {
    pub(crate) fn new(seed: u64, per_mille: u64, hostile: u64) -> Self {
        Self {
            chance: Arc::new(Mutex::new(Chance::new(seed, 2))),
            per_mille: Arc::new(Mutex::new(per_mille)),
            hostile: Arc::new(Mutex::new(hostile)),
        }
    }

    /// From now on nothing goes wrong.
    pub(crate) fn end(&self) {
        *self.per_mille.lock().unwrap() = 0;
        *self.hostile.lock().unwrap() = 0;
    }

    /// Whether an answer of the transaction service is spoilt.
    pub(crate) fn is_hostile(&self) -> bool {
        let hostile = *self.hostile.lock().unwrap();
        // A world without hostility draws nothing for it.
        hostile > 0 && self.below(1_000) < hostile
    }

    pub(crate) fn draw(&self) -> Fault {
        let per_mille = *self.per_mille.lock().unwrap();
        let mut chance = self.chance.lock().unwrap();
        if chance.below(1_000) >= per_mille {
            return Fault::None;
        }
        match chance.below(3) {
            0 => Fault::NotSent,
            1 => Fault::AnswerLost,
            _ => Fault::Slow,
        }
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.chance.lock().unwrap().below(bound)
    }

    /// How long something takes: drawn, or always half of the most in a world without faults.
    pub(crate) fn millis(&self, most: u64) -> Duration {
        let takes = if *self.per_mille.lock().unwrap() == 0 { most / 2 } else { self.below(most) };
        Duration::from_millis(takes)
    }

    /// Makes a call of `life`, which waits for the answer at most `limit`. `None` when it gets
    /// none, whether or not `act` was carried out. What was sent arrives, be it late, be the
    /// sender dead by then.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        life: &Life,
        limit: Duration,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        life.step().await;
        let fault = self.draw();
        let there = match fault {
            Fault::Slow => self.millis(40_000),
            Fault::None | Fault::NotSent | Fault::AnswerLost => self.millis(20),
        };
        let back = self.millis(20);
        let carried_out = tokio::spawn(async move {
            sleep(there).await;
            if fault == Fault::NotSent {
                return None;
            }
            let answer = act();
            sleep(back).await;
            (fault != Fault::AnswerLost).then_some(answer)
        });
        let answer = timeout(limit, carried_out).await;
        // A process that stood still in the meantime sees the answer when it wakes.
        life.step().await;
        answer.ok()?.unwrap()
    }
}
