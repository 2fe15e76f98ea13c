//! A message move task: how far it is, and when it goes on.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::time::Millis;

/// Messages moved per step of a task without a rate; the next step comes a millisecond later.
const UNLIMITED_RATE_STEP: u64 = 100;

/// How a move task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveStatus {
    /// Messages are being moved.
    Running,
    /// All messages were moved.
    Completed,
    /// It was cancelled.
    Cancelled,
    /// It could not go on, for this reason.
    Failed(&'static str),
}

/// A message move task.
#[derive(Debug, Clone)]
pub struct MoveTask {
    pub(super) id: Uuid,
    /// ARN of the queue the messages come from.
    pub source: Arc<str>,
    /// ARN of the queue they go to; without it each goes back to its own source queue.
    pub destination: Option<Arc<str>>,
    /// Messages per second, if that was asked for.
    pub rate: Option<u32>,
    /// How the task stands.
    pub status: MoveStatus,
    /// Messages moved.
    pub moved: u64,
    /// Messages there were to move at the start.
    pub to_move: u64,
    /// When the task was started.
    pub started: Millis,
    pub(super) last_step: Millis,
}

impl MoveTask {
    /// The handle to cancel the task by.
    #[must_use]
    pub fn handle(&self) -> String {
        format!("{}@{}", self.id, self.source)
    }

    /// When the next messages are to be moved.
    pub(crate) fn next_step(&self) -> Option<Millis> {
        (self.status == MoveStatus::Running).then(|| match self.rate {
            Some(rate) => {
                self.started + Duration::from_millis((self.moved + 1) * 1_000 / u64::from(rate))
            }
            None if self.moved == 0 => self.started,
            None => self.last_step + Duration::from_millis(1),
        })
    }

    /// How many messages to move now.
    pub(super) fn due(&self, now: Millis) -> u64 {
        if self.next_step().is_none_or(|next| next > now) {
            return 0;
        }
        let left = self.to_move - self.moved;
        match self.rate {
            Some(rate) => {
                let elapsed = now.0.saturating_sub(self.started.0);
                left.min((elapsed * u64::from(rate) / 1_000).saturating_sub(self.moved))
            }
            None => left.min(UNLIMITED_RATE_STEP),
        }
    }
}
