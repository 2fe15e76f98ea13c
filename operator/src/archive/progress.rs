//! How far a run is: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use shared::payments::archive::Counters;
use tokio::time::{Instant, MissedTickBehavior};

/// How often the bar moves.
const LOOK: Duration = Duration::from_millis(250);
/// How often a line is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

/// Shows the counters of a run of so many partitions on standard error until it is dropped by
/// whoever waits for the run itself.
pub(super) async fn show(counters: Arc<Counters>, partitions: u64) {
    let began = Instant::now();
    let bar = std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}");
        let bar = ProgressBar::new(partitions);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Bar(bar)
    });
    let mut looks = tokio::time::interval(if bar.is_some() { LOOK } else { LINE });
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.tick().await;
    loop {
        looks.tick().await;
        let moved = counters.moved.load(Ordering::Relaxed);
        let done = counters.partitions.load(Ordering::Relaxed);
        let rate = moved as f64 / began.elapsed().as_secs_f64();
        let line = format!("archived {moved} · {rate:.0}/s · partition {done} of {partitions}");
        match &bar {
            Some(Bar(bar)) => {
                bar.set_position(done);
                bar.set_message(line);
            }
            None => eprintln!("{line}"),
        }
    }
}

/// Leaves no half drawn line behind.
struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
