//! The payment's id, which is also the idempotency key of its submission.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::hash::fnv1a;

/// Why a text is not a payment id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentIdError {
    /// Not a UUID in lower case with hyphens.
    #[error("{text:?} is not a UUID in lower case with hyphens")]
    NotAUuid {
        /// What was given.
        text: String,
    },
    /// A UUID of another version: ids of one account would not sort by time.
    #[error("{id} is a UUID of version {version}; payment ids are version 7 (RFC 9562)")]
    Version {
        /// What was given.
        id: Uuid,
        /// Its version.
        version: usize,
    },
}

/// A `UUIDv7`: made before the first submission, equal on every attempt (INV-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PaymentId(Uuid);

impl PaymentId {
    /// A new id: the time of the call, then random bits.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id whose time is `millis` since the Unix epoch and whose other 74 bits come from
    /// `entropy`: the same input gives the same id, so that a repeated import finds its
    /// payments again.
    #[must_use]
    pub fn from_parts(millis: u64, entropy: &[u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(millis, entropy).into_uuid())
    }

    /// The time in the id, in milliseconds since the Unix epoch (RFC 9562).
    #[must_use]
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_u128() >> 80).unwrap_or_default()
    }

    /// The shard of the `due` index this payment lies in: FNV-1a (64 bits) of the id's 16
    /// bytes, modulo `shards`. Stored in the item's key, so the formula never changes.
    #[must_use]
    pub fn due_shard(self, shards: u16) -> u16 {
        let shard = fnv1a(self.0.as_bytes()) % u64::from(shards.max(1));
        u16::try_from(shard).unwrap_or_default()
    }
}

impl FromStr for PaymentId {
    type Err = PaymentIdError;

    fn from_str(text: &str) -> Result<Self, PaymentIdError> {
        let refused = || PaymentIdError::NotAUuid { text: text.to_owned() };
        let id = Uuid::try_parse(text).map_err(|_| refused())?;
        // The parser also takes braces, URNs and capitals; keys need exactly one form.
        let mut buffer = Uuid::encode_buffer();
        if id.hyphenated().encode_lower(&mut buffer) != text {
            return Err(refused());
        }
        match id.get_version_num() {
            7 => Ok(Self(id)),
            version => Err(PaymentIdError::Version { id, version }),
        }
    }
}

impl TryFrom<String> for PaymentId {
    type Error = PaymentIdError;

    fn try_from(text: String) -> Result<Self, PaymentIdError> {
        text.parse()
    }
}

impl From<PaymentId> for String {
    fn from(id: PaymentId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_generated_one_after_the_other_sort_in_that_order() {
        let ids: Vec<_> = (0..100).map(|_| PaymentId::generate()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn only_lower_case_uuids_of_version_7_are_accepted() {
        assert!("019ab1f4-5c1e-7d3a-8b2f-0123456789ab".parse::<PaymentId>().is_ok());
        for text in [
            "019AB1F4-5C1E-7D3A-8B2F-0123456789AB",
            "019ab1f45c1e7d3a8b2f0123456789ab",
            "{019ab1f4-5c1e-7d3a-8b2f-0123456789ab}",
            "9f4b7a5e-58f1-4a0e-8f8e-0b1c2d3e4f50",
            "",
        ] {
            assert!(text.parse::<PaymentId>().is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn the_same_parts_give_the_same_id() {
        let id = PaymentId::from_parts(1_795_392_000_000, &[7; 10]);
        assert_eq!(id, PaymentId::from_parts(1_795_392_000_000, &[7; 10]));
        assert_ne!(id, PaymentId::from_parts(1_795_392_000_000, &[8; 10]));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.millis(), 1_795_392_000_000);
    }

    #[test]
    fn shards_of_the_due_index_are_stable_and_even() {
        let known: PaymentId = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab".parse().unwrap();
        assert_eq!(known.due_shard(16), 8, "the formula is part of stored keys");
        let mut counts = [0_u32; 16];
        for _ in 0..16_000 {
            counts[usize::from(PaymentId::generate().due_shard(16))] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }
}
