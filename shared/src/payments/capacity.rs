//! What a call was charged, as DynamoDB reports it.

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Capacity units of one call, table and indexes together. Halves occur in reads.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Units(f64);

impl Units {
    pub(super) fn of<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) -> Self {
        Self(consumed.into_iter().filter_map(ConsumedCapacity::capacity_units).sum())
    }

    /// In thousandths, as the metrics count them.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "capacity units are small, positive multiples of one half"
    )]
    pub fn milli(self) -> u64 {
        (self.0 * 1000.0).round() as u64
    }
}
