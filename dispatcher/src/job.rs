//! A payment in hand, from its delivery to its end.

use std::collections::HashSet;

use shared::domain::{Payment, PaymentId};
use shared::queue::Delivery;
use tokio::sync::OwnedSemaphorePermit;

/// A delivered message, and the place it takes among the payments in hand. Dropping it, in
/// a panic too, frees the place and leaves the message to its visibility timeout.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) delivery: Delivery,
    pub(crate) place: OwnedSemaphorePermit,
}

/// A delivered payment.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) payment: Payment,
    pub(crate) received: Received,
}

impl Job {
    /// Whether both are of one group, and so of one account.
    pub(crate) fn same_group(&self, other: &Self) -> bool {
        self.received.delivery.group == other.received.delivery.group
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
    let mut seen: HashSet<PaymentId> = HashSet::with_capacity(received.len());
    for received in received {
        match serde_json::from_str::<Payment>(&received.delivery.body) {
            Ok(payment) if seen.insert(payment.id) => sorted.jobs.push(Job { payment, received }),
            Ok(_) => sorted.duplicates.push(received),
            Err(error) => sorted.malformed.push((received, error.to_string())),
        }
    }
    sorted
}

/// Splits jobs into groups, each in the order delivered.
pub(crate) fn by_group(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let mut groups: Vec<Vec<Job>> = Vec::new();
    for job in jobs {
        let same =
            |group: &&mut Vec<Job>| group.first().is_some_and(|first| first.same_group(&job));
        // At most ten jobs: a search beats a map.
        match groups.iter_mut().find(same) {
            Some(group) => group.push(job),
            None => groups.push(vec![job]),
        }
    }
    groups
}
