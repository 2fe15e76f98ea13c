//! Duplicate rows, in memory that grows only with their number.
//!
//! The first pass adds the hash of each row to a Bloom filter of fixed size and keeps a hash that may
//! have come before. A Bloom filter has no false negatives, so each duplicate is kept. The second
//! pass counts the kept hashes, each by all of its 256 bits. A false positive costs an entry of
//! memory and changes no id.
//!
//! With four bits for each hash in 2^27, a million hashes set 3 % of the bits: about one hash in a
//! million is kept as a false positive (0.03^4). With ten million it is one in 200.

use std::collections::{HashMap, HashSet};

/// Bits of the filter: 16 MiB.
const FILTER_BITS: u64 = 1 << 27;

/// A SHA-256: of a row's content, or of its id.
pub(crate) type RowHash = [u8; 32];

/// The Bloom filter of the first pass.
#[derive(Debug)]
pub(crate) struct DuplicateFilter {
    bits: Box<[u64]>,
    kept: HashSet<RowHash>,
}

impl DuplicateFilter {
    pub(crate) fn new() -> Self {
        let words = usize::try_from(FILTER_BITS / 64).unwrap_or(usize::MAX);
        Self { bits: vec![0; words].into_boxed_slice(), kept: HashSet::new() }
    }

    /// Adds the hash of a row. Its four parts serve as the filter's hashes.
    pub(crate) fn add(&mut self, hash: &RowHash) {
        let mut known = true;
        for part in hash.as_chunks::<8>().0 {
            let bit = u64::from_be_bytes(*part) % FILTER_BITS;
            let word = &mut self.bits[usize::try_from(bit / 64).unwrap_or_default()];
            let mask = 1 << (bit % 64);
            known &= *word & mask != 0;
            *word |= mask;
        }
        if known {
            self.kept.insert(*hash);
        }
    }

    /// How many rows may be duplicates.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// The kept hashes for the second pass; the filter's memory is given back.
    pub(crate) fn into_duplicate_rows(self) -> DuplicateRows {
        DuplicateRows {
            rows: self.kept.into_iter().map(|hash| (hash, EarlierRows::default())).collect(),
        }
    }
}

/// The rows before under one hash.
#[derive(Debug, Clone, Copy, Default)]
struct EarlierRows {
    count: u32,
    /// Line of the first of them, and the hash of its content.
    first: Option<(u64, RowHash)>,
}

/// Whether a row may have its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdUse {
    /// No other row has it, or one with the same content.
    Free,
    /// The row on this line has it, with other content.
    Taken(u64),
}

/// The counts of the second pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct DuplicateRows {
    rows: HashMap<RowHash, EarlierRows>,
}

impl DuplicateRows {
    /// How many rows with this content came before.
    pub(crate) fn before(&self, digest: &RowHash) -> u32 {
        self.rows.get(digest).map_or(0, |before| before.count)
    }

    /// Counts a row with this content.
    pub(crate) fn count(&mut self, digest: &RowHash) {
        if let Some(before) = self.rows.get_mut(digest) {
            before.count += 1;
        }
    }

    /// Takes an id for the row on `line`; `content` is the hash of its content.
    pub(crate) fn take_id(
        &mut self,
        id: &RowHash,
        line: u64,
        content: impl FnOnce() -> RowHash,
    ) -> IdUse {
        let Some(before) = self.rows.get_mut(id) else { return IdUse::Free };
        let content = content();
        match before.first {
            Some((first, other)) if other != content => IdUse::Taken(first),
            Some(_) => IdUse::Free,
            None => {
                before.first = Some((line, content));
                IdUse::Free
            }
        }
    }

    /// How many hashes are counted.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn key(number: u32) -> RowHash {
        Sha256::digest(number.to_be_bytes()).into()
    }

    #[test]
    fn memory_grows_with_the_rows_that_repeat_and_not_with_the_rows() {
        let mut filter = DuplicateFilter::new();
        for number in 0..200_000 {
            filter.add(&key(number));
        }
        assert!(filter.kept() <= 2, "{} of 200,000 different keys were kept", filter.kept());
        for number in (0..200_000).step_by(1_000) {
            filter.add(&key(number));
        }
        assert!((200..=202).contains(&filter.kept()), "{}", filter.kept());
        assert_eq!(filter.bits.len() * 8, 16 << 20, "the filter's bytes");
        let duplicates = filter.into_duplicate_rows();
        assert!(duplicates.len() <= 202);
    }

    #[test]
    fn rows_that_repeat_are_counted_as_if_every_row_were_kept() {
        // Numbers come up once, twice and three times, far from each other.
        let numbers: Vec<u32> = (0..900).chain(0..600).chain((0..300).rev()).collect();
        let mut filter = DuplicateFilter::new();
        for number in &numbers {
            filter.add(&key(*number));
        }
        let mut duplicates = filter.into_duplicate_rows();
        let mut all: HashMap<u32, u32> = HashMap::new();
        for number in numbers {
            let count = all.entry(number).or_default();
            assert_eq!(duplicates.before(&key(number)), *count, "{number}");
            duplicates.count(&key(number));
            *count += 1;
        }
    }

    #[test]
    fn an_id_belongs_to_what_its_first_row_asks_for() {
        let mut filter = DuplicateFilter::new();
        filter.add(&key(1));
        filter.add(&key(1));
        let mut duplicates = filter.into_duplicate_rows();
        assert_eq!(duplicates.take_id(&key(1), 2, || key(10)), IdUse::Free);
        assert_eq!(duplicates.take_id(&key(1), 3, || key(10)), IdUse::Free);
        assert_eq!(duplicates.take_id(&key(1), 4, || key(11)), IdUse::Taken(2));
        assert_eq!(duplicates.take_id(&key(2), 5, || key(11)), IdUse::Free);
    }
}
