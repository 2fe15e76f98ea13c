//! Everything the engine must make up: sequence numbers, message ids, receipts.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Sequence number of a message: 20 digits, larger than every earlier one of its queue.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct SequenceNumber(u64);

impl SequenceNumber {
    /// The least number of 20 digits; `u64` leaves room for 8 × 10^18 after it.
    const FIRST: u64 = 10_000_000_000_000_000_000;

    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Source of ids. The same seed gives the same ids.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ids {
    random: u64,
    sequence: u64,
    receipt: u64,
    queue: u32,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = seed;
        Self { receipt: split_mix(&mut random), random, sequence: SequenceNumber::FIRST, queue: 0 }
    }

    /// Goes on after a restart from a snapshot, which may lack what was given away last: skips
    /// far ahead and draws from another seed, so that nothing is given away twice.
    pub(crate) fn skip_ahead(&mut self, seed: u64) {
        *self = Self {
            sequence: self.sequence + 1_000_000_000,
            queue: self.queue + 1_000,
            ..Self::new(seed)
        };
    }

    pub(crate) fn sequence(&mut self) -> SequenceNumber {
        self.sequence += 1;
        SequenceNumber(self.sequence)
    }

    /// An id that looks like those of SQS: a version 4 UUID.
    pub(crate) fn uuid(&mut self) -> Uuid {
        let (high, low) = (split_mix(&mut self.random), split_mix(&mut self.random));
        let bits = u128::from(high) << 64 | u128::from(low);
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }

    /// Names one receive of one message.
    pub(crate) fn receipt(&mut self) -> u64 {
        self.receipt = self.receipt.wrapping_add(1);
        self.receipt
    }

    /// Names one creation of one queue.
    pub(crate) fn queue(&mut self) -> u32 {
        self.queue += 1;
        self.queue
    }
}

/// SplitMix64 of Steele, Lea and Flood (2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
