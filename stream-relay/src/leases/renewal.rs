//! Lease renewal: the reader publishes its position, and the renewal writes it down in time.

use std::time::Duration;

use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::events;
use crate::leases::position::{LeasePosition, StoredPosition};
use crate::leases::table::{Lease, LeaseError, LeaseTable, RENEWAL, WRITE_RETRY};

/// Whether the last position of a lease is in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinalWrite {
    Written,
    Unwritten,
}

/// Writes the position down every `interval` if it changed, and at least every [`RENEWAL`],
/// until the reader drops its end of `position`; then once more, and gives the lease up.
/// When the lease is lost it asks `reader` to stop.
pub(crate) async fn renew_until_done<P: LeasePosition>(
    leases: &dyn LeaseTable,
    mut lease: Lease,
    mut position: watch::Receiver<P>,
    interval: Duration,
    reader: &Shutdown,
) -> FinalWrite {
    let mut written_at = Instant::now();
    let mut wait = interval;
    loop {
        let ended = tokio::time::timeout(wait, closed(&mut position)).await.is_ok();
        let reached = position.borrow_and_update().to_stored();
        if ended {
            return give_up(leases, lease, reached).await;
        }
        let left = RENEWAL.saturating_sub(written_at.elapsed());
        if reached == lease.position && !left.is_zero() {
            wait = interval.min(left);
            continue;
        }
        match leases.renew(&lease, reached).await {
            Ok(next) => {
                (lease, written_at, wait) = (next, Instant::now(), interval);
                events::checkpointed();
            }
            Err(LeaseError::TakenByAnother { owner }) => {
                events::lease_lost(&lease.key, &owner);
                reader.request();
                return FinalWrite::Unwritten;
            }
            Err(error) => {
                events::lease_failed(&lease.key, &error);
                wait = interval.min(WRITE_RETRY);
            }
        }
    }
}

/// For so long after a write began its writer is sure to have the lease: less than [`EXPIRY`], by
/// what a task may be late.
const SURE: Duration = Duration::from_secs(8);

/// Writes the position down whenever it changes, and at least every [`RENEWAL`], until the holder
/// drops its end of `position`; then gives the lease up. `taken_at` is from before the lease was
/// taken. Unlike [`renew_until_done`] it asks `holder` to stop not only when another relay has
/// the lease but before another can have it.
pub(crate) async fn renew_while_sure<P: LeasePosition>(
    leases: &dyn LeaseTable,
    mut lease: Lease,
    mut position: watch::Receiver<P>,
    taken_at: Instant,
    holder: &Shutdown,
) {
    let mut sure_until = taken_at + SURE;
    let mut wait = RENEWAL;
    loop {
        let next = (Instant::now() + wait).min(sure_until);
        if let Ok(Err(_)) = tokio::time::timeout_at(next, position.changed()).await {
            let reached = position.borrow().to_stored();
            give_up(leases, lease, reached).await;
            return;
        }
        let (began, reached) = (Instant::now(), position.borrow_and_update().to_stored());
        if began >= sure_until {
            // Whether it was written or not: it is taken anew.
            return holder.request();
        }
        match tokio::time::timeout_at(sure_until, leases.renew(&lease, reached)).await {
            Ok(Ok(next)) => {
                (lease, sure_until, wait) = (next, began + SURE, RENEWAL);
                events::checkpointed();
            }
            Ok(Err(LeaseError::TakenByAnother { owner })) => {
                events::lease_lost(&lease.key, &owner);
                return holder.request();
            }
            Ok(Err(error)) => {
                events::lease_failed(&lease.key, &error);
                wait = WRITE_RETRY;
            }
            // The next round ends it.
            Err(_) => {}
        }
    }
}

async fn closed<P>(position: &mut watch::Receiver<P>) {
    while position.changed().await.is_ok() {}
}

/// The last write of a reader is tried a few times. If it fails, the lease expires by itself,
/// and what was read since the last position is read again.
async fn give_up(
    leases: &dyn LeaseTable,
    mut lease: Lease,
    position: StoredPosition,
) -> FinalWrite {
    let mut pauses = retry::QUEUE_ENTRIES.pauses();
    loop {
        match leases.give_up(&lease, position.clone()).await {
            Ok(given) if given.owner.is_none() => {
                events::checkpointed();
                return FinalWrite::Written;
            }
            // An earlier write, whose answer was lost.
            Ok(found) => lease = found,
            Err(LeaseError::TakenByAnother { owner }) => {
                events::lease_lost(&lease.key, &owner);
                return FinalWrite::Unwritten;
            }
            Err(error) => events::lease_failed(&lease.key, &error),
        }
        match pauses.next() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return FinalWrite::Unwritten,
        }
    }
}
