//! The stop of dispatching: one item in the table `control` that holds for every dispatcher,
//! across restarts, until an operator removes it.
//!
//! | module | holds |
//! |---|---|
//! | `refusals` | when the answers of the transaction service call for a stop: pure |
//! | `settings` | their limits |
//! | `memory` | the stop in memory, for simulations |
//! | `table` | the stop in `DynamoDB` |

mod memory;
mod refusals;
mod settings;
mod table;

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

pub use memory::StopInMemory;
pub use refusals::{ObservedAnswer, RefusalTracker, StopLimits, StopTrigger};
pub use table::StopTable;

/// Why dispatching is stopped: a closed list, and a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopCause {
    /// The transaction service rejects the payments of many accounts.
    Rejected,
    /// What answers does not keep to the contract: it may not be the transaction service.
    OutOfContract,
    /// An operator asked for it.
    ByHand,
}

impl StopCause {
    /// Every cause.
    pub const ALL: [Self; 3] = [Self::Rejected, Self::OutOfContract, Self::ByHand];

    /// The name stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::OutOfContract => "out_of_contract",
            Self::ByHand => "by_hand",
        }
    }
}

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StopCause {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|cause| cause.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no cause of a stop"))
    }
}

/// Names one stop: whoever removes it says which one was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StopId(Uuid);

impl StopId {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for StopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for StopId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = text.parse().map_err(|_| format!("{text:?} is no id of a stop (a UUID)"));
        id.map(Self)
    }
}

/// A stop of dispatching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchStop {
    /// Its name.
    pub id: StopId,
    /// Why.
    pub cause: StopCause,
    /// Why, in words, at most [`DispatchStop::MAX_TEXT_BYTES`] of them.
    pub reason: String,
    /// Who asked for it: a dispatcher and its process, or an operator.
    pub by: String,
    /// When, by the clock of whoever asked for it. For people; nothing is decided by it.
    pub at: Timestamp,
    /// The answers, or the accounts, that led to it; 0 for a stop by hand.
    pub count: u32,
}

impl DispatchStop {
    /// Longest reason and longest name in bytes.
    pub const MAX_TEXT_BYTES: usize = 256;

    /// A new stop; overlong texts are cut at a character boundary.
    #[must_use]
    pub fn new(cause: StopCause, reason: &str, by: &str, count: u32, at: Timestamp) -> Self {
        let cut = |text: &str| text[..text.floor_char_boundary(Self::MAX_TEXT_BYTES)].to_owned();
        Self { id: StopId::generate(), cause, reason: cut(reason), by: cut(by), at, count }
    }
}

/// This process, as a person can find it.
#[must_use]
pub fn process_name(service: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "an unnamed host" } else { host.trim() };
    format!("{service}, process {} on {host}", std::process::id())
}

/// What became of an attempt to remove a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiftResult {
    /// It is gone.
    Now,
    /// There was none.
    NoneThere,
    /// Another stop stands, and stays.
    Another(Box<DispatchStop>),
}

/// The stop could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The call that reads it.
    #[error("reading the stop of dispatching from {table}: {reason}")]
    Read {
        /// The table.
        table: String,
        /// The service's words.
        reason: String,
    },
    /// The call that stores it.
    #[error("storing the stop of dispatching in {table}: {reason}")]
    Store {
        /// The table.
        table: String,
        /// The service's words.
        reason: String,
    },
    /// The call that removes it.
    #[error("removing the stop of dispatching from {table}: {reason}")]
    Remove {
        /// The table.
        table: String,
        /// The service's words.
        reason: String,
    },
    /// The item is there, and is not what dueflow writes. It counts as a stop.
    #[error(
        "the item of {table} that stops dispatching has no readable {attribute}: dispatching \
         stays stopped until the item is deleted by hand (ControlKey dispatch-stop)"
    )]
    Form {
        /// The table.
        table: String,
        /// What is wrong.
        attribute: &'static str,
    },
}

/// Where the stop is kept. [`StopTable`] is the real one; a simulation puts its own here.
#[async_trait]
pub trait DispatchStops: fmt::Debug + Send + Sync {
    /// The stop that stands, read consistently.
    ///
    /// # Errors
    /// [`StopError`]; it is then unknown whether dispatching is stopped.
    async fn read(&self) -> Result<Option<DispatchStop>, StopError>;

    /// Stores `stop` unless one stands, and returns the one that stands now. A repetition
    /// after a lost answer returns the same stop.
    ///
    /// # Errors
    /// [`StopError`]; it may have been stored.
    async fn place(&self, stop: &DispatchStop) -> Result<DispatchStop, StopError>;

    /// Removes the stop `id`, and no other.
    ///
    /// # Errors
    /// [`StopError`]; it may have been removed.
    async fn lift(&self, id: StopId) -> Result<LiftResult, StopError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_and_ids_read_back() {
        for cause in StopCause::ALL {
            assert_eq!(cause.as_str().parse(), Ok(cause));
        }
        let id = StopId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("dispatch-stop".parse::<StopId>().is_err());
    }

    #[test]
    fn overlong_words_of_a_service_are_cut_between_characters() {
        let words = format!("x{}", "é".repeat(200));
        let stop = DispatchStop::new(StopCause::Rejected, &words, "me", 1, Timestamp::UNIX_EPOCH);
        assert_eq!(stop.reason.len(), 255);
    }
}
