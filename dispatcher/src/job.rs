//! A payment in hand, from its delivery to its end.

use std::borrow::Cow;

use domain::{Attempt, Data, DataBlob, Failure, Payment};
use shared::queue::Delivery;

use crate::events::AttemptTimes;
use crate::in_hand::InHandPermit;

/// A delivered message, and its permit among the payments in hand. Dropping it, in a panic too,
/// releases the permit and leaves the message to its visibility timeout.
#[derive(Debug)]
pub(crate) struct InHandMessage {
    pub(crate) delivery: Delivery,
    pub(crate) permit: InHandPermit,
}

/// A delivered payment.
#[derive(Debug)]
pub(crate) struct Job {
    /// As its message has it, which is what the table is compared with.
    pub(crate) payment: Payment,
    pub(crate) blob: PaymentBlob,
    pub(crate) received: InHandMessage,
    pub(crate) times: AttemptTimes,
}

/// The blob of a payment in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PaymentBlob {
    /// There is none, or the message has it.
    InMessage,
    /// Read from its own item, and the right one.
    Read(DataBlob),
    /// Not read: the payment is to be delivered again.
    Unread,
    /// It is not there, or another one is: the payment is never submitted.
    Unusable(Failure),
}

/// Why a payment cannot be submitted whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IncompletePayment {
    /// Its blob was not read.
    Unread,
    /// Its blob is missing or another one.
    Unusable(Failure),
}

/// A delivered payment that is PENDING, or SCHEDULED after a replay.
#[derive(Debug)]
pub(crate) struct ClaimedPayment {
    pub(crate) job: Job,
    pub(crate) state: ClaimState,
}

/// How a delivered payment stands before its attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClaimState {
    /// This worker made it PENDING: its first attempt.
    New(Attempt),
    /// It was PENDING when it was delivered. Its turn begins with one more attempt, when all
    /// before it in its account have ended: until then it costs no attempt to wait.
    Pending(Attempt),
    /// A replay made it SCHEDULED again: it is claimed when its turn comes.
    Replayed(Attempt),
    /// It is PENDING, and the table holds another instruction than the message (INV-16): it is
    /// asked for and never submitted.
    Disputed {
        /// The attempts so far.
        before: Attempt,
        /// The payment as the table has it.
        table: Box<Payment>,
    },
}

/// Whether message and table hold the same instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versions {
    /// They do.
    Same,
    /// They do not: the dead letter holds both.
    Differ,
}

impl ClaimState {
    /// Whether message and table hold the same instruction.
    pub(crate) fn versions(&self) -> Versions {
        match self {
            Self::New(_) | Self::Pending(_) | Self::Replayed(_) => Versions::Same,
            Self::Disputed { .. } => Versions::Differ,
        }
    }
}

impl InHandMessage {
    /// Whether both are of one group, and so of one account.
    pub(crate) fn same_group(&self, other: &Self) -> bool {
        self.delivery.group == other.delivery.group
    }
}

impl Job {
    /// The payment with its blob, as it is submitted.
    pub(crate) fn whole(&self) -> Result<Cow<'_, Payment>, IncompletePayment> {
        match &self.blob {
            PaymentBlob::InMessage => Ok(Cow::Borrowed(&self.payment)),
            PaymentBlob::Read(blob) => {
                let data = Some(Data::Whole(blob.clone()));
                Ok(Cow::Owned(Payment { data, ..self.payment.clone() }))
            }
            PaymentBlob::Unread => Err(IncompletePayment::Unread),
            PaymentBlob::Unusable(failure) => Err(IncompletePayment::Unusable(failure.clone())),
        }
    }
}

/// What a receive brought, told apart.
#[derive(Debug, Default)]
pub(crate) struct ReceivedBatch {
    /// Payments, each at most once.
    pub(crate) jobs: Vec<Job>,
    /// The same payment once more: a duplicate beyond the queue's own deduplication.
    pub(crate) duplicates: Vec<InHandMessage>,
    /// Messages that are no payment, with what is wrong.
    pub(crate) malformed: Vec<(InHandMessage, String)>,
}

/// Reads the bodies of received messages.
pub(crate) fn sort(received: Vec<InHandMessage>) -> ReceivedBatch {
    let mut sorted = ReceivedBatch::default();
    for received in received {
        match serde_json::from_str::<Payment>(&received.delivery.body) {
            // At most ten payments: a search beats a set.
            Ok(payment) if sorted.jobs.iter().any(|job| job.payment.same_item(&payment)) => {
                sorted.duplicates.push(received);
            }
            Ok(payment) => {
                // Read only when the payment is claimed.
                let blob =
                    payment.blob_beside().map_or(PaymentBlob::InMessage, |_| PaymentBlob::Unread);
                let times = AttemptTimes::default();
                sorted.jobs.push(Job { payment, blob, received, times });
            }
            Err(error) => sorted.malformed.push((received, error.to_string())),
        }
    }
    sorted
}

/// Splits payments into groups, each in the order delivered.
pub(crate) fn by_group(claimed: Vec<ClaimedPayment>) -> Vec<Vec<ClaimedPayment>> {
    let mut groups: Vec<Vec<ClaimedPayment>> = Vec::new();
    for claimed in claimed {
        let same = |group: &&mut Vec<ClaimedPayment>| {
            group.first().is_some_and(|first| first.job.received.same_group(&claimed.job.received))
        };
        // At most ten payments: a search beats a map.
        match groups.iter_mut().find(same) {
            Some(group) => group.push(claimed),
            None => groups.push(vec![claimed]),
        }
    }
    groups
}
