//! Waiting for the end of a run.

use std::time::{Duration, Instant};

use super::live::{Live, look};
use super::progress::LiveLine;
use crate::local_world::Process;

/// How often the progress is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// A run in which nothing moves for this long is over, and will not balance.
pub(super) const STALLED: Duration = Duration::from_secs(90);

/// Waits until every payment has ended; false when nothing moves any more.
pub(super) async fn until_ended(
    total: u64,
    processes: &mut [Process],
    progress: &mut LiveLine,
) -> bool {
    let mut last = (Live::default(), Instant::now());
    loop {
        let live = look(total, processes).await;
        progress.show(&live);
        if live.ended() >= total {
            return true;
        }
        if live != last.0 {
            last = (live, Instant::now());
        } else if last.1.elapsed() > STALLED {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
}
