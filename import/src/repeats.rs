//! Which rows repeat another, in memory that grows only with those that do.
//!
//! The first reading notes the key of each row in a Bloom filter of fixed size. A key that may have
//! been there before is kept; a key that was there before always is, because a filter forgets
//! nothing. The second reading counts the kept keys alone, each by all of its 256 bits. So what
//! the filter takes for a repetition by mistake costs an entry of memory and changes no id.
//!
//! With four bits for each key in 2^27, a million keys set 3 % of the bits: about one key in a
//! million is then kept by mistake (0.03^4). With ten million it is one in 200.

use std::collections::{HashMap, HashSet};

/// Bits of the filter: 16 MiB.
const FILTER_BITS: u64 = 1 << 27;

/// A SHA-256: of a row's content, or of its id.
pub(crate) type Key = [u8; 32];

/// What the first reading notes.
#[derive(Debug)]
pub(crate) struct Seen {
    filter: Box<[u64]>,
    kept: HashSet<Key>,
}

impl Seen {
    pub(crate) fn new() -> Self {
        let words = usize::try_from(FILTER_BITS / 64).unwrap_or(usize::MAX);
        Self { filter: vec![0; words].into_boxed_slice(), kept: HashSet::new() }
    }

    /// Notes a row's key. The key is a hash, so its own parts serve as the filter's hashes.
    pub(crate) fn note(&mut self, key: &Key) {
        let mut seen = true;
        for part in key.as_chunks::<8>().0 {
            let bit = u64::from_be_bytes(*part) % FILTER_BITS;
            let word = &mut self.filter[usize::try_from(bit / 64).unwrap_or_default()];
            let mask = 1 << (bit % 64);
            seen &= *word & mask != 0;
            *word |= mask;
        }
        if seen {
            self.kept.insert(*key);
        }
    }

    /// How many keys may repeat.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// What the second reading counts; the filter's memory is given back.
    pub(crate) fn into_repeats(self) -> Repeats {
        Repeats { rows: self.kept.into_iter().map(|key| (key, Before::default())).collect() }
    }
}

/// What came before under a key that may repeat.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    count: u32,
    /// The first row's line, and what it asks for.
    first: Option<(u64, Key)>,
}

/// How a row's id stands to the rows before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdUse {
    /// No other row had it, or one that asks for the same.
    Free,
    /// The row on this line asks for something else under it.
    Taken(u64),
}

/// What the second reading counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repeats {
    rows: HashMap<Key, Before>,
}

impl Repeats {
    /// How many rows with this content came before.
    pub(crate) fn before(&self, digest: &Key) -> u32 {
        self.rows.get(digest).map_or(0, |before| before.count)
    }

    /// Counts a row with this content.
    pub(crate) fn count(&mut self, digest: &Key) {
        if let Some(before) = self.rows.get_mut(digest) {
            before.count += 1;
        }
    }

    /// Takes an id for the row on `line`, which asks for what `content` is made from.
    pub(crate) fn take_id(&mut self, id: &Key, line: u64, content: impl FnOnce() -> Key) -> IdUse {
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

    /// How many keys are counted.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn key(number: u32) -> Key {
        Sha256::digest(number.to_be_bytes()).into()
    }

    #[test]
    fn memory_grows_with_the_rows_that_repeat_and_not_with_the_rows() {
        let mut seen = Seen::new();
        for number in 0..200_000 {
            seen.note(&key(number));
        }
        assert!(seen.kept() <= 2, "{} of 200,000 different keys were kept", seen.kept());
        for number in (0..200_000).step_by(1_000) {
            seen.note(&key(number));
        }
        assert!((200..=202).contains(&seen.kept()), "{}", seen.kept());
        assert_eq!(seen.filter.len() * 8, 16 << 20, "the filter's bytes");
        let repeats = seen.into_repeats();
        assert!(repeats.len() <= 202);
    }

    #[test]
    fn rows_that_repeat_are_counted_as_if_every_row_were_kept() {
        // Numbers come up once, twice and three times, far from each other.
        let numbers: Vec<u32> = (0..900).chain(0..600).chain((0..300).rev()).collect();
        let mut seen = Seen::new();
        for number in &numbers {
            seen.note(&key(*number));
        }
        let mut repeats = seen.into_repeats();
        let mut all: HashMap<u32, u32> = HashMap::new();
        for number in numbers {
            let count = all.entry(number).or_default();
            assert_eq!(repeats.before(&key(number)), *count, "{number}");
            repeats.count(&key(number));
            *count += 1;
        }
    }

    #[test]
    fn an_id_belongs_to_what_its_first_row_asks_for() {
        let mut seen = Seen::new();
        seen.note(&key(1));
        seen.note(&key(1));
        let mut repeats = seen.into_repeats();
        assert_eq!(repeats.take_id(&key(1), 2, || key(10)), IdUse::Free);
        assert_eq!(repeats.take_id(&key(1), 3, || key(10)), IdUse::Free);
        assert_eq!(repeats.take_id(&key(1), 4, || key(11)), IdUse::Taken(2));
        assert_eq!(repeats.take_id(&key(2), 5, || key(11)), IdUse::Free);
    }
}
