//! How far a run is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::HumanCount;
use shared::payments::archive::Counters;
use tokio::time::{Instant, MissedTickBehavior};

use crate::progress::CommandProgress;

/// How often the counters are read.
const INTERVAL: Duration = Duration::from_millis(250);

/// Shows the counters of a run of so many partitions on standard error until it is dropped by
/// the run itself.
pub(super) async fn show(counters: Arc<Counters>, partitions: u64) {
    let began = Instant::now();
    let progress = CommandProgress::new(partitions);
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let moved = counters.moved.load(Ordering::Relaxed);
        let done = counters.partitions.load(Ordering::Relaxed);
        progress.show(done, || {
            let rate = moved as f64 / began.elapsed().as_secs_f64();
            format!(
                "archived {} · {rate:.0}/s · partition {done} of {partitions}",
                HumanCount(moved)
            )
        });
    }
}
