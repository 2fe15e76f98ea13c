//! A payment in hand, from its delivery to its end.

use std::borrow::Cow;

use domain::{Attempt, Data, DataBlob, Failure, Payment};
use shared::queue::Delivery;

use crate::in_hand::Place;

/// A delivered message, and the place it takes among the payments in hand. Dropping it, in
/// a panic too, frees the place and leaves the message to its visibility timeout.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) delivery: Delivery,
    pub(crate) place: Place,
}

/// A delivered payment.
#[derive(Debug)]
pub(crate) struct Job {
    /// As its message has it, which is what the table is compared with.
    pub(crate) payment: Payment,
    pub(crate) blob: Blob,
    /// The payment as the table has it, when that is another one and the payment is PENDING
    /// (INV-16).
    pub(crate) table: Option<Box<Payment>>,
    pub(crate) received: Received,
}

/// The blob of a payment in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Blob {
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
pub(crate) enum Incomplete {
    /// Its blob was not read.
    Unread,
    /// Its blob is missing or another one.
    Unusable(Failure),
}

/// A payment that is PENDING, or SCHEDULED after a replay.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) job: Job,
    pub(crate) claim: Claim,
}

/// What a worker has of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// This worker made it PENDING: its first attempt.
    Made(Attempt),
    /// It was PENDING when it was delivered. Its turn begins with one more attempt, when all
    /// before it in its account have ended: until then it costs no attempt to wait.
    Found(Attempt),
    /// It was SCHEDULED again by a replay, and is claimed when its turn comes.
    Replayed(Attempt),
    /// It is PENDING, and the table holds another instruction than the message: it is asked for
    /// and never submitted.
    Disputed(Attempt),
}

impl Job {
    /// Whether both are of one group, and so of one account.
    pub(crate) fn same_group(&self, other: &Self) -> bool {
        self.received.delivery.group == other.received.delivery.group
    }

    /// The payment with its blob, as it is submitted.
    pub(crate) fn whole(&self) -> Result<Cow<'_, Payment>, Incomplete> {
        match &self.blob {
            Blob::InMessage => Ok(Cow::Borrowed(&self.payment)),
            Blob::Read(blob) => {
                let data = Some(Data::Whole(blob.clone()));
                Ok(Cow::Owned(Payment { data, ..self.payment.clone() }))
            }
            Blob::Unread => Err(Incomplete::Unread),
            Blob::Unusable(failure) => Err(Incomplete::Unusable(failure.clone())),
        }
    }
}

/// What a receive brought, told apart.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// Payments, each at most once.
    pub(crate) jobs: Vec<Job>,
    /// The same payment once more: a duplicate beyond the queue's own deduplication.
    pub(crate) duplicates: Vec<Received>,
    /// Messages that are no payment, with what is wrong.
    pub(crate) malformed: Vec<(Received, String)>,
}

/// Reads the bodies of received messages.
pub(crate) fn sort(received: Vec<Received>) -> Sorted {
    let mut sorted = Sorted::default();
    for received in received {
        match serde_json::from_str::<Payment>(&received.delivery.body) {
            // At most ten payments: a search beats a set.
            Ok(payment) if sorted.jobs.iter().any(|job| job.payment.same_item(&payment)) => {
                sorted.duplicates.push(received);
            }
            Ok(payment) => {
                // Read only when the payment is claimed.
                let blob = payment.blob_beside().map_or(Blob::InMessage, |_| Blob::Unread);
                sorted.jobs.push(Job { payment, blob, table: None, received });
            }
            Err(error) => sorted.malformed.push((received, error.to_string())),
        }
    }
    sorted
}

/// Splits payments into groups, each in the order delivered.
pub(crate) fn by_group(claimed: Vec<Claimed>) -> Vec<Vec<Claimed>> {
    let mut groups: Vec<Vec<Claimed>> = Vec::new();
    for claimed in claimed {
        let same = |group: &&mut Vec<Claimed>| {
            group.first().is_some_and(|first| first.job.same_group(&claimed.job))
        };
        // At most ten payments: a search beats a map.
        match groups.iter_mut().find(same) {
            Some(group) => group.push(claimed),
            None => groups.push(vec![claimed]),
        }
    }
    groups
}
