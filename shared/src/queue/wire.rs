//! What travels in the queues besides payments themselves.

use serde::{Deserialize, Serialize};

use crate::domain::{PaymentRef, Settlement, TraceKey};

/// Most entries of one batch request (SQS API reference).
pub const MAX_BATCH: usize = 10;

/// Most bytes of all bodies of one batch request: 1 MiB (SQS quotas), less room for
/// attributes.
pub(super) const MAX_BATCH_BYTES: usize = 1024 * 1024 - 16 * 1024;

/// Body of a message in `confirmations.fifo`: the transaction service has settled this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Which payment.
    pub payment: PaymentRef,
    /// What the transaction service answered.
    #[serde(flatten)]
    pub settlement: Settlement,
    /// Ties the logs together.
    pub trace_key: TraceKey,
}
