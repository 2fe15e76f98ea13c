//! Limits of the calls to the transaction service.

use std::time::Duration;

use shared::config::Settings;
use shared::dispatch_stop::StopLimits;

use crate::calls::concurrency_limit::ConcurrencyBounds;

/// How many calls may be under way at once, and how many may begin a second.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Most at once.
    pub most: usize,
    /// Least at once that adaptation leaves.
    pub least: usize,
    /// Calls a second; `None` for as many as the service takes.
    pub rate: Option<u32>,
}

impl CallLimits {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let most = settings.number("DUEFLOW_DISPATCHER_CONCURRENCY", 10..=10_000);
        let least = settings.number("DUEFLOW_DISPATCHER_MIN_CONCURRENCY", 1..=10_000);
        let rate = settings.number("DUEFLOW_DISPATCHER_RATE_LIMIT", 0..=1_000_000_u32);
        Some(Self {
            most: most?,
            least: least?.min(most?),
            rate: rate.map(|rate| (rate > 0).then_some(rate))?,
        })
    }

    pub(crate) fn bounds(&self) -> ConcurrencyBounds {
        ConcurrencyBounds { least: self.least, most: self.most }
    }
}

/// How a call limiter admits calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallLimiterSettings {
    /// Calls at once.
    pub(crate) bounds: ConcurrencyBounds,
    /// Calls a second, if there is a limit.
    pub(crate) per_second: Option<u32>,
    /// When refusals stop dispatching.
    pub(crate) stop: StopLimits,
    /// How long a reading of the stored stop counts.
    pub(crate) validity: Duration,
}
