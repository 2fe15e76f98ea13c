//! The end of a shard or a day: waiting for what is still open, and saying how far it is.

use std::time::Duration;

use shared::shutdown::Shutdown;
use tokio::sync::watch;

use crate::forward::dead_letter::PageTasks;
use crate::forward::progress::Progress;
use crate::forward::queues::ShutdownRequested;

/// How long one that must stop waits for open dead letters. Those that are not done then are written
/// by the relay that goes on, because the position stands before them.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits for what is open; once reading must stop, not for long.
pub(crate) async fn drain<P>(
    open: &mut PageTasks,
    progress: &mut Progress<P>,
    reading: &Shutdown,
) -> Result<(), ShutdownRequested> {
    let patience = async {
        reading.requested().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::pin!(patience);
    loop {
        let done = tokio::select! {
            done = open.join_next() => done,
            () = &mut patience => return Err(ShutdownRequested),
        };
        match done {
            Some(done) => {
                if let Ok(Some(page)) = done {
                    progress.done(page);
                }
            }
            None => return Ok(()),
        }
    }
}

/// Passes the position on to the lease renewal.
pub(crate) fn publish<P: Clone + PartialEq>(progress: &Progress<P>, position: &watch::Sender<P>) {
    position.send_if_modified(|published| {
        let moved = published != progress.position();
        if moved {
            published.clone_from(progress.position());
        }
        moved
    });
}
