//! How far the holder of a lease has come, as the table of leases stores it.

use std::fmt::Debug;

use jiff::Timestamp;

/// The stored form of every position: what it means depends on what is leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredPosition {
    /// The attribute `Checkpoint`: a place, [`StoredPosition::START`] or [`StoredPosition::END`].
    pub(crate) checkpoint: String,
    /// The attribute `ReadUpTo`; absent where there is no time, or where a release did not note it.
    pub(crate) read_up_to: Option<Timestamp>,
}

impl StoredPosition {
    /// Nothing is done yet.
    pub(crate) const START: &str = "TRIM_HORIZON";
    /// All is done.
    pub(crate) const END: &str = "SHARD_END";

    /// The position of a lease that nobody has had yet.
    pub(crate) fn start() -> Self {
        Self { checkpoint: Self::START.to_owned(), read_up_to: None }
    }
}

/// A position in a shard or in a day, or the last scan.
pub(crate) trait LeasePosition: Debug + Clone + PartialEq + Send + Sync {
    /// What a stored position means.
    fn from_stored(stored: &StoredPosition) -> Self;

    /// The stored form.
    fn to_stored(&self) -> StoredPosition;
}
