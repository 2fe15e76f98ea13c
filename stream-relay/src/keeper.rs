//! Keeping a lease: the reader says how far it is, the keeper writes it down in time.

use std::time::Duration;

use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::events;
use crate::lease::{Checkpoint, EXPIRY, Lease, LeaseError, Leases, RENEWAL};

/// Waits until the lease `key` is this relay's: at once when nobody or it itself held it
/// last, else when its counter has stood still for [`EXPIRY`]. `None` on shutdown.
pub(crate) async fn obtain(
    leases: &Leases,
    own: &str,
    key: &str,
    parent: Option<&str>,
    shutdown: &Shutdown,
) -> Option<Lease> {
    let mut watched: Option<(u64, Instant)> = None;
    loop {
        let free = match leases.get(key).await {
            Ok(None) => true,
            Ok(Some(lease)) if lease.owner == own => true,
            Ok(Some(lease)) => match watched {
                Some((counter, since)) if counter == lease.counter => since.elapsed() >= EXPIRY,
                Some(_) | None => {
                    watched = Some((lease.counter, Instant::now()));
                    false
                }
            },
            Err(error) => {
                events::lease_failed(key, &error);
                false
            }
        };
        if free {
            match leases.take(key, parent).await {
                Ok(lease) => return Some(lease),
                Err(error) => events::lease_failed(key, &error),
            }
        }
        if shutdown.pause(RENEWAL / 3).await {
            return None;
        }
    }
}

/// Writes the position down every `interval` if it changed, and at least every [`RENEWAL`],
/// until the reader drops its end of `position`; then once more. When the lease is lost it
/// asks `reader` to stop.
pub(crate) async fn keep(
    leases: &Leases,
    mut lease: Lease,
    mut position: watch::Receiver<Checkpoint>,
    interval: Duration,
    reader: &Shutdown,
) {
    let mut written_at = Instant::now();
    loop {
        let ended = tokio::time::timeout(interval, closed(&mut position)).await.is_ok();
        let checkpoint = position.borrow_and_update().clone();
        if checkpoint != lease.checkpoint || written_at.elapsed() >= RENEWAL {
            match write(leases, &lease, checkpoint, ended).await {
                Ok(next) if next.counter > lease.counter => {
                    (lease, written_at) = (next, Instant::now());
                    events::checkpointed();
                }
                Ok(_) => {}
                Err(owner) => {
                    events::lease_lost(&lease.key, &owner);
                    reader.request();
                    return;
                }
            }
        }
        if ended {
            return;
        }
    }
}

async fn closed(position: &mut watch::Receiver<Checkpoint>) {
    while position.changed().await.is_ok() {}
}

/// One write; the last one of a reader is tried a few times, the others come again anyway.
/// Returns the lease as it now is; the error is the new owner.
async fn write(
    leases: &Leases,
    lease: &Lease,
    checkpoint: Checkpoint,
    last: bool,
) -> Result<Lease, String> {
    let mut pauses = retry::QUEUE_ENTRIES.pauses();
    let mut lease = lease.clone();
    loop {
        match leases.checkpoint(&lease, checkpoint.clone()).await {
            Ok(next) if next.checkpoint == checkpoint => return Ok(next),
            // An earlier write, whose answer was lost.
            Ok(next) => lease = next,
            Err(LeaseError::Lost { owner }) => return Err(owner),
            Err(error) => events::lease_failed(&lease.key, &error),
        }
        match pauses.next() {
            Some(pause) if last => tokio::time::sleep(pause).await,
            Some(_) | None => return Ok(lease),
        }
    }
}
