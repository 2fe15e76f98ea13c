//! Payments that were taken: under way until a moment, or rejected. A settled
//! one is remembered with all other settled keys instead.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use super::Accepted;
use crate::transactions::{answer::SettledAt, echo::Echo, instruction::Fingerprint};

/// Payments under way at a time; more are answered 503. It bounds the memory
/// (about 500 bytes each) and, at 2,000 payments a second, the wait to 50 s.
const UNDER_WAY_LIMIT: usize = 100_000;

/// The cases by their keys.
#[derive(Debug, Default)]
pub(crate) struct Cases {
    by_key: HashMap<Box<str>, Case>,
    due: BTreeMap<(Instant, u64), Box<str>>,
    sequence: u64,
    under_way: usize,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Case {
    body: Fingerprint,
    pub(crate) standing: Standing,
}

/// Where it stands.
#[derive(Debug)]
pub(crate) enum Standing {
    UnderWay(Box<Accepted>),
    Rejected { at: SettledAt, echo: Echo },
}

impl Case {
    pub(crate) fn was_for(&self, body: Fingerprint) -> bool {
        self.body == body
    }
}

impl Cases {
    pub(crate) fn get(&self, key: &str) -> Option<&Case> {
        self.by_key.get(key)
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way
    }

    pub(crate) fn is_full(&self) -> bool {
        self.under_way >= UNDER_WAY_LIMIT
    }

    /// Takes a payment that ends at `due`. The caller has made sure that its
    /// key has no case that is under way.
    pub(crate) fn take(&mut self, accepted: Accepted, due: Instant) {
        let key: Box<str> = accepted.idempotency_key.as_str().into();
        self.sequence += 1;
        self.due.insert((due, self.sequence), key.clone());
        let body = accepted.body;
        let standing = Standing::UnderWay(Box::new(accepted));
        self.by_key.insert(key, Case { body, standing });
        self.under_way += 1;
    }

    /// Remembers a rejection of an earlier run.
    pub(crate) fn recall_rejected(&mut self, accepted: &Accepted, at: SettledAt) {
        let standing = Standing::Rejected { at, echo: accepted.into() };
        let case = Case { body: accepted.body, standing };
        self.by_key.insert(accepted.idempotency_key.as_str().into(), case);
    }

    /// When the next payment ends.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next payment that ends by `now`. It stays under way until it is told
    /// apart by [`Self::settled`] or [`Self::rejected`].
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Accepted> {
        let next = self.due.first_entry().filter(|next| next.key().0 <= now)?;
        match &self.by_key.get(&next.remove())?.standing {
            Standing::UnderWay(accepted) => Some(Accepted::clone(accepted)),
            Standing::Rejected { .. } => None,
        }
    }

    /// The case is closed: its key is among the settled ones now.
    pub(crate) fn settled(&mut self, key: &str) {
        self.by_key.remove(key);
        self.under_way -= 1;
    }

    /// The payment under this key was rejected.
    pub(crate) fn rejected(&mut self, key: &str, at: SettledAt) {
        if let Some(case) = self.by_key.get_mut(key) {
            if let Standing::UnderWay(accepted) = &case.standing {
                case.standing = Standing::Rejected { at, echo: (&**accepted).into() };
            }
            self.under_way -= 1;
        }
    }

    /// Forgets a rejection.
    pub(crate) fn forget(&mut self, key: &str) {
        self.by_key.remove(key);
    }
}
