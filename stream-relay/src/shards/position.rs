//! How far a shard is read.

use jiff::Timestamp;

use crate::leases::position::{LeasePosition, StoredPosition};

/// How far a shard is read: every record up to here is acknowledged by SQS (INV-3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkpoint {
    /// Nothing is read yet.
    TrimHorizon,
    /// Read up to and with this sequence number.
    After(String),
    /// Read to its end; its children may start.
    ShardEnd,
}

impl Checkpoint {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::TrimHorizon => StoredPosition::START,
            Self::After(sequence) => sequence,
            Self::ShardEnd => StoredPosition::END,
        }
    }
}

/// The position in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardPosition {
    pub(crate) checkpoint: Checkpoint,
    /// When the last record up to there was written, by the stream's clock; `None` when nothing
    /// was read yet.
    pub(crate) read_up_to: Option<Timestamp>,
}

impl LeasePosition for ShardPosition {
    fn from_stored(stored: &StoredPosition) -> Self {
        let checkpoint = match stored.checkpoint.as_str() {
            StoredPosition::START => Checkpoint::TrimHorizon,
            StoredPosition::END => Checkpoint::ShardEnd,
            sequence => Checkpoint::After(sequence.to_owned()),
        };
        Self { checkpoint, read_up_to: stored.read_up_to }
    }

    fn to_stored(&self) -> StoredPosition {
        let checkpoint = self.checkpoint.as_str().to_owned();
        StoredPosition { checkpoint, read_up_to: self.read_up_to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_stored_as_every_release_has_stored_it() {
        let read_up_to: Option<Timestamp> = Some("2026-11-23T01:00:00Z".parse().unwrap());
        for (checkpoint, text) in [
            (Checkpoint::TrimHorizon, "TRIM_HORIZON"),
            (Checkpoint::After("000000000000000000040".to_owned()), "000000000000000000040"),
            (Checkpoint::ShardEnd, "SHARD_END"),
        ] {
            for read_up_to in [None, read_up_to] {
                let position = ShardPosition { checkpoint: checkpoint.clone(), read_up_to };
                let stored = StoredPosition { checkpoint: text.to_owned(), read_up_to };
                assert_eq!(position.to_stored(), stored);
                assert_eq!(ShardPosition::from_stored(&stored), position);
            }
        }
    }
}
