//! Leases: who reads which shard and how far it is read, who opens which day and how far it is
//! open, who scans for lost messages, and which relays there are.
//!
//! A lease is an item whose counter grows with every write. A relay may take it when nobody
//! has it, or when it has seen the counter stand still for [`EXPIRY`] by its own monotonic
//! clock, so no two clocks are ever compared. Every write is conditional on the counter, so
//! of two relays that take at once one gets it.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::scan::ScanError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use crate::leases::position::StoredPosition;

/// How long a counter must stand still before its writer counts as dead.
pub(crate) const EXPIRY: Duration = Duration::from_secs(10);
/// How often an owner writes its lease at least. Two writes may fail, and take as long as they
/// can ([`shared::aws::BRISK_OPERATION`]), before it expires.
pub(crate) const RENEWAL: Duration = Duration::from_secs(3);
/// Longest pause before a write that failed is made again.
pub(crate) const WRITE_RETRY: Duration = Duration::from_millis(500);

/// A lease as the table holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    /// What is leased: a shard, a day or the lost-message scan.
    pub(crate) key: String,
    /// Who has it; nobody after it was given up.
    pub(crate) owner: Option<String>,
    /// Grows with every write.
    pub(crate) counter: u64,
    /// How far its holders have come.
    pub(crate) position: StoredPosition,
}

impl Lease {
    /// The next write of `name`, which takes the lease that was `seen` under `key`.
    pub(crate) fn taken(key: &str, seen: Option<&Self>, name: &str) -> Self {
        Self {
            key: key.to_owned(),
            owner: Some(name.to_owned()),
            counter: seen.map_or(0, |lease| lease.counter) + 1,
            position: seen.map_or_else(StoredPosition::start, |lease| lease.position.clone()),
        }
    }
}

/// A relay's heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelayHeartbeat {
    /// `<stream>#relay/<name>`.
    pub(crate) key: String,
    /// The relay's name.
    pub(crate) relay: String,
    /// Grows with every heartbeat.
    pub(crate) counter: u64,
}

/// What the table holds for one stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeaseEntries {
    /// Of shards.
    pub(crate) leases: Vec<Lease>,
    /// Of days and of the lost-message scan.
    pub(crate) sweep_leases: Vec<Lease>,
    pub(crate) relays: Vec<RelayHeartbeat>,
}

/// What a refused write of `wanted` by the relay `own` means, when `found` is in the table: a
/// success if it is what an earlier call of the same relay wrote, whose answer was lost.
pub(crate) fn existing_lease(
    found: Option<Lease>,
    wanted: &Lease,
    own: &str,
) -> Result<Lease, LeaseError> {
    let owner = match found {
        Some(found)
            if found.counter == wanted.counter
                && (found.owner == wanted.owner || found.owner.as_deref() == Some(own)) =>
        {
            return Ok(found);
        }
        Some(found) => found.owner.unwrap_or_else(|| "nobody".to_owned()),
        None => "nobody: it was deleted".to_owned(),
    };
    Err(LeaseError::TakenByAnother { owner })
}

/// The table of leases, as one relay uses it. Each call returns within a bound of time of
/// its own. A call that fails may have been made all the same.
#[async_trait]
pub(crate) trait LeaseTable: Debug + Send + Sync {
    /// Everything that concerns `stream`, read consistently. An item that this release does
    /// not understand is logged and left out.
    async fn all(&self, stream: &str) -> Result<LeaseEntries, LeaseError>;

    /// The relay that uses it.
    fn relay(&self) -> &str;

    /// Writes `next` over `before`, whose counter must still be there (`None`: no item). What is
    /// found instead decides ([`existing_lease`]).
    async fn write(&self, before: Option<&Lease>, next: Lease) -> Result<Lease, LeaseError>;

    /// Makes the lease this relay's, if it still is as `seen` (`None`: not there yet). The
    /// position stays. If it was taken by this very call before, whose answer was lost, that
    /// is a success. [`LeaseError::TakenByAnother`] when somebody was faster.
    async fn take(&self, key: &str, seen: Option<&Lease>) -> Result<Lease, LeaseError> {
        self.write(seen, Lease::taken(key, seen, self.relay())).await
    }

    /// Writes how far the holder has come, which also renews the lease. Returns it as it is
    /// then: with an older position if that is what an earlier write left whose answer was
    /// lost. [`LeaseError::TakenByAnother`] when another relay has it.
    async fn renew(&self, lease: &Lease, position: StoredPosition) -> Result<Lease, LeaseError> {
        let next = Lease { counter: lease.counter + 1, position, ..lease.clone() };
        self.write(Some(lease), next).await
    }

    /// The same, and gives the lease up, so that another relay takes it without waiting. The
    /// lease that is returned has an owner still if an earlier write was found instead.
    async fn give_up(&self, lease: &Lease, position: StoredPosition) -> Result<Lease, LeaseError> {
        let counter = lease.counter + 1;
        let next = Lease { counter, position, owner: None, key: lease.key.clone() };
        self.write(Some(lease), next).await
    }

    /// Writes the heartbeat.
    async fn write_heartbeat(&self, stream: &str) -> Result<(), LeaseError>;

    /// Deletes the heartbeat: this relay takes no shards any more.
    async fn leave(&self, stream: &str) -> Result<(), LeaseError>;

    /// Deletes an item that nobody needs any more, if its counter still is `counter`; a
    /// success too when it is not.
    async fn forget(&self, key: &str, counter: u64) -> Result<(), LeaseError>;
}

/// What can go wrong with a lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another relay holds it now. An ordinary outcome.
    #[error("the lease is held by {owner}")]
    TakenByAnother {
        /// Who has it.
        owner: String,
    },
    /// The table could not be read.
    #[error("reading leases: {}", DisplayErrorContext(.0))]
    Read(Box<SdkError<ScanError>>),
    /// A lease could not be written.
    #[error("writing a lease: {}", DisplayErrorContext(.0))]
    Write(Box<SdkError<UpdateItemError>>),
    /// An item could not be deleted.
    #[error("deleting a lease: {}", DisplayErrorContext(.0))]
    Forget(Box<SdkError<DeleteItemError>>),
    /// It is not in the form this release writes.
    #[error("the lease item {0} has a form that this release does not know")]
    Form(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_outlives_two_failed_renewals_however_slow() {
        assert!(RENEWAL + (shared::aws::BRISK_OPERATION + WRITE_RETRY) * 2 < EXPIRY);
    }
}
