//! Which transaction ids come again, in bounded memory: pure.
//!
//! The first reading notes each id in a Bloom filter of fixed size and keeps the hash of those
//! that may have been there before; the second counts the kept ones alone, each by its 256
//! bits. A filter forgets nothing, so an id that comes again is always kept, and what is kept by
//! mistake is seen once and dropped.
//!
//! With four bits for each id in 2^30, a hundred million ids set a third of the bits: about one
//! in a hundred is then kept by mistake, 32 bytes each.

use std::collections::{BTreeSet, HashMap, HashSet};

use sha2::{Digest, Sha256};
use shared::payments::archive::SettledPayment;

use super::report::{RepeatedIdsReport, Reused};

/// Bits of the filter: 128 MiB.
const FILTER_BITS: u64 = 1 << 30;
/// Payments of one id that are named; all are counted.
const NAMED: usize = 1_000;
/// Payments that are named in all.
const NAMED_IN_ALL: usize = 100_000;

type HashedId = [u8; 32];

/// What the first reading notes.
#[derive(Debug)]
pub(super) struct Candidates {
    filter: Box<[u64]>,
    bits: u64,
    kept: HashSet<HashedId>,
    /// Payments seen, those in both tables twice.
    seen: u64,
}

impl Default for Candidates {
    fn default() -> Self {
        Self::with(FILTER_BITS)
    }
}

impl Candidates {
    fn with(bits: u64) -> Self {
        let words = usize::try_from(bits / 64).unwrap_or(usize::MAX);
        let filter = vec![0; words].into_boxed_slice();
        Self { filter, bits, kept: HashSet::new(), seen: 0 }
    }

    /// Notes an id. It is hashed, and the hash's own parts serve as the filter's hashes.
    pub(super) fn note(&mut self, transaction_id: &str) {
        let key = key(transaction_id);
        let mut seen = true;
        for part in key.as_chunks::<8>().0 {
            let bit = u64::from_be_bytes(*part) % self.bits;
            let word = &mut self.filter[usize::try_from(bit / 64).unwrap_or_default()];
            let mask = 1 << (bit % 64);
            seen &= *word & mask != 0;
            *word |= mask;
        }
        if seen {
            self.kept.insert(key);
        }
        self.seen += 1;
    }
}

fn key(transaction_id: &str) -> HashedId {
    Sha256::digest(transaction_id.as_bytes()).into()
}

/// The payments of one id.
#[derive(Debug, Default)]
struct Owners {
    transaction_id: String,
    named: BTreeSet<String>,
    /// Beyond those that are named. One in both tables counts twice here.
    more: u64,
}

/// What the second reading counts.
#[derive(Debug)]
pub(super) struct RepeatedIds {
    owners: HashMap<HashedId, Owners>,
    named: usize,
    seen: u64,
}

impl RepeatedIds {
    /// Those that may come again; the filter's memory is given back.
    pub(super) fn of(candidates: Candidates) -> Self {
        let owners = candidates.kept.into_iter().map(|key| (key, Owners::default()));
        Self { owners: owners.collect(), named: 0, seen: candidates.seen }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// Counts a payment.
    pub(super) fn count(&mut self, settled: &SettledPayment) {
        let Some(owners) = self.owners.get_mut(&key(&settled.transaction_id)) else { return };
        owners.transaction_id.clone_from(&settled.transaction_id);
        let name = settled
            .reference
            .as_ref()
            .map_or_else(|| "an item whose key is no payment's".to_owned(), ToString::to_string);
        if owners.named.contains(&name) && settled.reference.is_some() {
            // In both tables: a move that was not finished.
        } else if settled.reference.is_none() && owners.named.contains(&name) {
            owners.more += 1;
        } else if owners.named.len() < NAMED && self.named < NAMED_IN_ALL {
            owners.named.insert(name);
            self.named += 1;
        } else {
            owners.more += 1;
        }
    }

    /// The ids of more than one payment.
    pub(super) fn finish(self) -> RepeatedIdsReport {
        let reused = self.owners.into_values().filter_map(|owners| {
            let count = owners.named.len() as u64 + owners.more;
            let payments = owners.named.into_iter().collect();
            (count > 1).then_some(Reused { transaction_id: owners.transaction_id, count, payments })
        });
        let mut reused: Vec<_> = reused.collect();
        reused.sort_by(|one, other| one.transaction_id.cmp(&other.transaction_id));
        RepeatedIdsReport { seen: self.seen, reused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(account: u32, transaction_id: &str) -> SettledPayment {
        let id = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
        let reference = format!("ACC-{account}/2026-11-23/{id}").parse().unwrap();
        SettledPayment { reference: Some(reference), transaction_id: transaction_id.to_owned() }
    }

    fn report(settled: &[SettledPayment], bits: u64) -> RepeatedIdsReport {
        let mut candidates = Candidates::with(bits);
        settled.iter().for_each(|settled| candidates.note(&settled.transaction_id));
        let mut repeats = RepeatedIds::of(candidates);
        settled.iter().for_each(|settled| repeats.count(settled));
        repeats.finish()
    }

    #[test]
    fn an_id_of_two_items_that_are_no_payments_is_found() {
        let nobodys = SettledPayment { reference: None, transaction_id: "T".to_owned() };
        let found = report(&[nobodys.clone(), nobodys], 1 << 20);
        assert_eq!((found.reused.len(), found.reused[0].count), (1, 2));
    }

    #[test]
    fn each_id_of_more_than_one_payment_is_found_and_no_other() {
        // A filter so small that most ids are kept by mistake, and one that keeps none.
        for bits in [64, 1 << 20] {
            let mut all: Vec<_> = (0..500).map(|n| settled(n, &format!("T-{n}"))).collect();
            assert!(report(&all, bits).reused.is_empty());
            // Once more in the archive: the same payment.
            all.push(settled(7, "T-7"));
            assert!(report(&all, bits).reused.is_empty());
            all.push(settled(1_000, "T-9"));
            all.push(settled(1_001, "T-9"));
            let found = report(&all, bits);
            assert_eq!((found.reused.len(), found.seen), (1, 503));
            let reused = &found.reused[0];
            assert_eq!((reused.transaction_id.as_str(), reused.count), ("T-9", 3));
            assert!(reused.payments[0].starts_with("ACC-1000/"), "{reused:?}");
        }
    }

    #[test]
    fn of_an_id_that_everybody_has_some_are_named_and_all_are_counted() {
        let all: Vec<_> = (0..3_000).map(|n| settled(n, "T")).collect();
        let found = report(&all, 1 << 20);
        assert_eq!((found.reused[0].count, found.reused[0].payments.len()), (3_000, NAMED));
    }
}
