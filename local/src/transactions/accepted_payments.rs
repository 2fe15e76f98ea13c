//! Payments that were accepted: under way until a moment, or rejected. A settled
//! one is remembered with all other settled keys instead.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use super::acceptance::Acceptance;
use super::{echo::Echo, instruction::Fingerprint, settled_at::SettledAt};

/// Payments under way at a time; more are answered 503. It bounds the memory
/// (about 500 bytes each) and, at 2,000 payments a second, the wait to 50 s.
const UNDER_WAY_LIMIT: usize = 100_000;

/// Accepted payments by their keys.
#[derive(Debug, Default)]
pub(crate) struct AcceptedPayments {
    by_key: HashMap<Box<str>, AcceptedPayment>,
    due: BTreeMap<(Instant, u64), Box<str>>,
    sequence: u64,
    under_way: usize,
}

/// An accepted payment that is not settled.
#[derive(Debug)]
pub(crate) struct AcceptedPayment {
    body: Fingerprint,
    pub(crate) status: AcceptedStatus,
}

/// Its status.
#[derive(Debug)]
pub(crate) enum AcceptedStatus {
    UnderWay(Box<Acceptance>),
    Rejected { at: SettledAt, echo: Echo },
}

impl AcceptedPayment {
    pub(crate) fn was_for(&self, body: Fingerprint) -> bool {
        self.body == body
    }
}

impl AcceptedPayments {
    pub(crate) fn get(&self, key: &str) -> Option<&AcceptedPayment> {
        self.by_key.get(key)
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way
    }

    pub(crate) fn is_full(&self) -> bool {
        self.under_way >= UNDER_WAY_LIMIT
    }

    /// Accepts a payment that ends at `due`. The caller has made sure that its
    /// key has no payment that is under way.
    pub(crate) fn accept(&mut self, accepted: Acceptance, due: Instant) {
        let key: Box<str> = accepted.idempotency_key.as_str().into();
        self.sequence += 1;
        self.due.insert((due, self.sequence), key.clone());
        let body = accepted.body;
        let status = AcceptedStatus::UnderWay(Box::new(accepted));
        self.by_key.insert(key, AcceptedPayment { body, status });
        self.under_way += 1;
    }

    /// Remembers a rejection of an earlier run.
    pub(crate) fn recall_rejected(&mut self, accepted: &Acceptance, at: SettledAt) {
        let status = AcceptedStatus::Rejected { at, echo: accepted.into() };
        let payment = AcceptedPayment { body: accepted.body, status };
        self.by_key.insert(accepted.idempotency_key.as_str().into(), payment);
    }

    /// When the next payment ends.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next payment that ends by `now`. It stays under way until
    /// [`Self::settled`] or [`Self::rejected`] is called.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Acceptance> {
        let next = self.due.first_entry().filter(|next| next.key().0 <= now)?;
        match &self.by_key.get(&next.remove())?.status {
            AcceptedStatus::UnderWay(accepted) => Some(Acceptance::clone(accepted)),
            AcceptedStatus::Rejected { .. } => None,
        }
    }

    /// The payment is settled: its key is among the settled ones now.
    pub(crate) fn settled(&mut self, key: &str) {
        self.by_key.remove(key);
        self.under_way -= 1;
    }

    /// The payment under this key was rejected.
    pub(crate) fn rejected(&mut self, key: &str, at: SettledAt) {
        if let Some(payment) = self.by_key.get_mut(key) {
            if let AcceptedStatus::UnderWay(accepted) = &payment.status {
                payment.status = AcceptedStatus::Rejected { at, echo: (&**accepted).into() };
            }
            self.under_way -= 1;
        }
    }

    /// Forgets a rejection.
    pub(crate) fn forget(&mut self, key: &str) {
        self.by_key.remove(key);
    }
}
