//! One hash of what a file asks for: the same for the same payments, however they are written.
//!
//! It counts every row without a PaymentID that is a payment by its form, whatever the day
//! says of it: these are the rows that another batch name would schedule once more. A row with an
//! id of its own is found again under any name. Line ends, quotes, marks, leading zeros, CSV or
//! JSON, and the order of the rows make no difference, how often a row stands there does.
//!
//! The hash is a sum: each row's SHA-256 as a number of 256 bits, added up without carry beyond
//! them, hashed once more with the number of rows. Rows that are alike by accident add up to
//! another sum; somebody who makes up rows to reach a given sum could also change an amount.

use sha2::{Digest, Sha256};

use super::duplicate_rows::RowHash;

/// Adds up rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ContentHash {
    rows: u64,
    /// Least significant first.
    sum: [u64; 4],
}

impl ContentHash {
    /// Adds a row by the hash of what it says.
    pub(crate) fn add(&mut self, row: &RowHash) {
        self.rows += 1;
        let mut carry = false;
        for (part, digits) in self.sum.iter_mut().zip(row.as_chunks::<8>().0) {
            let (sum, over) = part.overflowing_add(u64::from_le_bytes(*digits));
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            *part = sum;
            carry = over || over_again;
        }
    }

    /// How many rows were added.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The hash, in hexadecimal.
    pub(crate) fn hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"dueflow rows 1");
        hash.update(self.rows.to_be_bytes());
        for part in self.sum {
            hash.update(part.to_be_bytes());
        }
        hex::encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[u8]) -> String {
        let mut content = ContentHash::default();
        for row in rows {
            content.add(&Sha256::digest([*row]).into());
        }
        content.hash()
    }

    #[test]
    fn order_makes_no_difference_and_every_row_does() {
        assert_eq!(of(&[1, 2, 3]), of(&[3, 1, 2]));
        for other in [&[1, 2][..], &[1, 2, 3, 3], &[1, 2, 4], &[1, 1, 2, 2, 3, 3], &[]] {
            assert_ne!(of(&[1, 2, 3]), of(other), "{other:?}");
        }
    }

    #[test]
    fn the_sum_carries_over_its_parts() {
        let mut content = ContentHash::default();
        let all = [0xff; 32];
        let mut one = [0; 32];
        one[0] = 1;
        content.add(&all);
        content.add(&one);
        assert_eq!((content.sum, content.rows), ([0; 4], 2));
    }

    /// Worked out beside this program, from the definition: one that changes would let a file of
    /// an earlier version be paid again.
    #[test]
    fn the_hash_never_changes_from_one_version_to_the_next() {
        assert_eq!(of(&[]), "a455ce248b80681d749230ac4d748743a34d9578104e3cbce4363106f0a02ca5");
        assert_eq!(
            of(&[1, 2, 3]),
            "c25f65b33745a973ff53fe44e769e79a289fa7d354be484b1339a2f41490e59f"
        );
    }
}
