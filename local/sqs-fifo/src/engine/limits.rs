//! The quotas of SQS, as settings.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Most messages a receive returns, and most entries a batch holds.
pub const BATCH: usize = 10;

/// Longest visibility timeout, counted from the receive: 12 hours.
pub(crate) const LONGEST_VISIBILITY: Duration = Duration::from_secs(43_200);

/// Quotas of a queue. `Default` gives those of AWS.
///
/// Source: SQS Developer Guide, "FIFO queue quotas" and "Message quotas".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Messages received and not yet deleted. Past it a receive returns nothing, without an error.
    pub in_flight: usize,
    /// How many messages, oldest first, are searched for groups to receive from.
    pub look_ahead: usize,
    /// Largest message, and largest batch, in bytes of body and attributes.
    pub message_bytes: usize,
    /// How long a deduplication id is remembered.
    pub deduplication: Duration,
    /// How long a `ReceiveRequestAttemptId` is remembered.
    pub receive_attempt: Duration,
    /// Least time between two purges of a queue.
    pub purge_interval: Duration,
    /// Least time between deleting a queue and creating one of the same name.
    pub recreation: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 120_000,
            look_ahead: 120_000,
            message_bytes: 1_048_576,
            deduplication: Duration::from_secs(300),
            receive_attempt: Duration::from_secs(300),
            purge_interval: Duration::from_secs(60),
            recreation: Duration::from_secs(60),
        }
    }
}
