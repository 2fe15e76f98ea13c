//! How far a reading is: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

/// Shows how far a reading is.
#[derive(Debug)]
pub(crate) struct Bar {
    doing: &'static str,
    bar: Option<ProgressBar>,
    started: Instant,
    printed: Instant,
    /// Rows and place at the start, for a reading that goes on.
    from: (u64, u64),
    end: u64,
}

impl Bar {
    /// A reading from `from` rows and that place on, which ends at the place `end` (bytes or rows).
    pub(crate) fn new(doing: &'static str, from: (u64, u64), end: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(end);
            let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let now = Instant::now();
        Self { doing, bar, started: now, printed: now, from, end }
    }

    /// Shows that `rows` are done and the reading stands at `place`.
    pub(crate) fn show(&mut self, rows: u64, place: u64) {
        let line = || self.line(rows, place, self.started.elapsed());
        match &self.bar {
            Some(bar) => {
                bar.set_message(line());
                bar.set_position(place);
            }
            None if self.printed.elapsed() >= LINE => {
                eprintln!("{} ({}%)", line(), place * 100 / self.end.max(1));
                self.printed = Instant::now();
            }
            None => {}
        }
    }

    fn line(&self, rows: u64, place: u64, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64().max(0.001);
        let rate = rows.saturating_sub(self.from.0) as f64 / seconds;
        let passed = place.saturating_sub(self.from.1);
        let left = match passed {
            0 => "…".to_owned(),
            passed => {
                let left = self.end.saturating_sub(place) as f64 * seconds / passed as f64;
                format!("{left:.0}s left")
            }
        };
        format!("{}: {rows} rows · {rate:.0}/s · {left}", self.doing)
    }

    /// Takes the bar away; how long it took.
    pub(crate) fn finish(self) -> Duration {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_goes_on_tells_the_rate_of_what_it_did_itself() {
        let bar = Bar::new("scheduling", (1_000, 1_000), 4_000);
        let line = bar.line(2_000, 2_000, Duration::from_secs(2));
        assert_eq!(line, "scheduling: 2000 rows · 500/s · 4s left");
        assert!(bar.line(1_000, 1_000, Duration::ZERO).ends_with("0/s · …"));
    }
}
