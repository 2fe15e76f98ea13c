//! The live line: a bar on a terminal, a line every few seconds elsewhere.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::live::Live;

/// How often a line is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(5);
/// The rate is that of this last while.
const WINDOW: Duration = Duration::from_secs(5);

/// Shows how far a demo is.
#[derive(Debug)]
pub(super) struct LiveLine {
    total: u64,
    bar: Option<ProgressBar>,
    printed_at: Option<Instant>,
    seen: VecDeque<(Instant, u64)>,
}

impl LiveLine {
    pub(super) fn new(total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { total, bar, printed_at: None, seen: VecDeque::new() }
    }

    /// Shows the counts.
    pub(super) fn show(&mut self, live: &Live) {
        let now = Instant::now();
        // While everything is being scheduled first, that is what moves.
        let (doing, done) = if live.forwarded == 0 && live.inserted < self.total {
            ("scheduling", live.inserted)
        } else {
            ("processing", live.ended())
        };
        let rate = self.rate(now, done);
        let left = if rate > 0.0 {
            format!("{:.0}s left", (self.total.saturating_sub(done)) as f64 / rate)
        } else {
            "…".to_owned()
        };
        let line = format!(
            "{doing}: scheduled {} · queued {} · pending {} · processed {} · failed {} · {rate:.0}/s · {left}",
            live.scheduled(),
            live.queued(),
            live.pending(),
            live.processed,
            live.failed,
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(line);
            }
            None if self.printed_at.is_none_or(|at| now - at >= LINE) => {
                self.printed_at = Some(now);
                eprintln!("{line}");
            }
            None => {}
        }
    }

    fn rate(&mut self, now: Instant, done: u64) -> f64 {
        // Another phase starts counting anew.
        if self.seen.back().is_some_and(|(_, before)| *before > done) {
            self.seen.clear();
        }
        self.seen.push_back((now, done));
        while self.seen.len() > 2 && self.seen.front().is_some_and(|(at, _)| now - *at > WINDOW) {
            self.seen.pop_front();
        }
        match self.seen.front() {
            Some((at, before)) if now > *at => (done - before) as f64 / (now - *at).as_secs_f64(),
            Some(_) | None => 0.0,
        }
    }

    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
