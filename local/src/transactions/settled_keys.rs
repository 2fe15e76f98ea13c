//! What the service remembers of each settled payment.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    answer::{BodyStatus, SettledBody},
    echo::StoredEcho,
    instruction::Fingerprint,
    journal_entry::JournalRecord,
    settled_at::SettledAt,
};

/// The settled keys, for as long as the service runs and does not forget them.
///
/// With keys of 36 characters (a UUID) one payment takes 48 bytes for its key
/// on the heap and 100 to 200 in the table, depending on how full that is: a
/// million take about 240 MB, echoly 100 more while the table grows.
#[derive(Debug, Default)]
pub(crate) struct SettledKeys(HashMap<Box<str>, SettledKey>);

/// What is known of one settled key.
#[derive(Clone, Debug)]
pub(crate) struct SettledKey {
    body: Fingerprint,
    echo: StoredEcho,
    transaction_id: Uuid,
    settled_at: SettledAt,
}

/// Whether a key is remembered for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Insertion {
    First,
    Again,
}

impl SettledKey {
    pub(crate) fn of(record: &JournalRecord) -> Self {
        Self {
            body: record.body,
            echo: StoredEcho::new(
                record.payment_id.clone(),
                record.entry.amount,
                &record.entry.currency,
            ),
            transaction_id: record.entry.transaction_id,
            settled_at: record.entry.settled_at,
        }
    }

    pub(crate) fn was_for(&self, body: Fingerprint) -> bool {
        self.body == body
    }

    pub(crate) fn settled_at(&self) -> SettledAt {
        self.settled_at
    }

    pub(crate) fn settlement(&self, key: &str) -> SettledBody {
        SettledBody {
            echo: self.echo.echo(key),
            transaction_id: self.transaction_id,
            status: BodyStatus::Settled,
            settled_at: self.settled_at,
        }
    }
}

impl SettledKeys {
    pub(crate) fn get(&self, key: &str) -> Option<&SettledKey> {
        self.0.get(key)
    }

    /// From now on the key is as one that was never there.
    pub(crate) fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Forgets the key if what is known of it is `outdated`.
    pub(crate) fn forget_if(&mut self, key: &str, outdated: impl FnOnce(&SettledKey) -> bool) {
        if self.get(key).is_some_and(outdated) {
            self.forget(key);
        }
    }

    /// Remembers a settlement. The first one of a key stays its answer.
    pub(crate) fn remember(&mut self, key: Box<str>, known: SettledKey) -> Insertion {
        match self.0.entry(key) {
            std::collections::hash_map::Entry::Occupied(_) => Insertion::Again,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(known);
                Insertion::First
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_settled_payments_fit_in_240_mb() {
        let payments = 1_000_000_usize;
        let key_on_the_heap = 48;
        // A table grows by doubling and is at most 7/8 full; each place has a
        // control byte.
        let places = (payments * 8 / 7).next_power_of_two();
        let place = size_of::<(Box<str>, SettledKey)>() + 1;
        assert!(payments * key_on_the_heap + places * place <= 240_000_000);
    }
}
