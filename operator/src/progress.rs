//! Progress of a long command on standard error: a bar on a terminal, a line every few seconds
//! elsewhere.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// A bar or a line, until it is dropped.
#[derive(Debug)]
pub(crate) struct CommandProgress {
    bar: Option<ProgressBar>,
    printed_at: Cell<Instant>,
    /// The position at which all is done; `None` when it is not known beforehand.
    end: Option<u64>,
}

impl CommandProgress {
    /// Progress towards the position `end`.
    pub(crate) fn new(end: u64) -> Self {
        Self::with(Some(end), "{bar:30} {percent:>3}% {msg}")
    }

    /// Progress towards an end that is not known beforehand.
    pub(crate) fn without_end() -> Self {
        Self::with(None, "{spinner} {msg}")
    }

    fn with(end: Option<u64>, template: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = end.map_or_else(ProgressBar::no_length, ProgressBar::new);
            let style = ProgressStyle::with_template(template);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, printed_at: Cell::new(Instant::now()), end }
    }

    /// Shows the position and the message. Without a terminal it prints a line, at most every
    /// 5 seconds.
    pub(crate) fn show(&self, position: u64, message: impl FnOnce() -> String) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(message());
                bar.set_position(position);
            }
            None if self.printed_at.get().elapsed() >= LINE_INTERVAL => {
                match self.end {
                    Some(end) => eprintln!("{} ({}%)", message(), position * 100 / end.max(1)),
                    None => eprintln!("{}", message()),
                }
                self.printed_at.set(Instant::now());
            }
            None => {}
        }
    }

    /// Runs `print`, which writes to the terminal, without the bar in between.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

/// Takes the bar away, so that no half-drawn line is left behind.
impl Drop for CommandProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The time left for `remaining` steps at `rate` steps per second, as in `4s left`.
pub(crate) fn time_left(remaining: u64, rate: f64) -> String {
    if rate > 0.0 { format!("{:.0}s left", remaining as f64 / rate) } else { "…".to_owned() }
}
