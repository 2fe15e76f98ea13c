//! Settings of the dispatcher.

use jiff::tz::TimeZone;
use shared::config::{Receiving, Settings, attempt_limits, time_zone};
use shared::domain::AttemptLimits;
use shared::transaction::TransactionSettings;

use crate::limit::Bounds;

/// Settings of the dispatcher.
#[derive(Debug, Clone)]
pub struct DispatcherConfig {
    /// How messages are received.
    pub receiving: Receiving,
    /// The transaction service.
    pub transaction: TransactionSettings,
    /// The bank's time zone.
    pub zone: TimeZone,
    /// How its work is bounded.
    pub dispatching: Dispatching,
}

/// How a dispatcher's work is bounded.
#[derive(Debug, Clone, Copy)]
pub struct Dispatching {
    /// Payments in hand at once.
    pub concurrency: usize,
    /// Least calls under way that adaptation leaves.
    pub least_concurrency: usize,
    /// Calls to the transaction service per second; `None` for as many as it takes.
    pub rate: Option<u32>,
    /// Receive requests in flight at once.
    pub receivers: usize,
    /// The bounds of trying.
    pub attempts: AttemptLimits,
}

impl Dispatching {
    fn read(settings: &mut Settings) -> Option<Self> {
        let concurrency = settings.number("DUEFLOW_DISPATCHER_CONCURRENCY", 10..=10_000);
        let least = settings.number("DUEFLOW_DISPATCHER_MIN_CONCURRENCY", 1..=10_000);
        let rate = settings.number("DUEFLOW_DISPATCHER_RATE_LIMIT", 0..=1_000_000_u32);
        let receivers = settings.number("DUEFLOW_DISPATCHER_RECEIVERS", 1..=64);
        let attempts = attempt_limits(settings);
        Some(Self {
            concurrency: concurrency?,
            least_concurrency: least?.min(concurrency?),
            rate: rate.map(|rate| (rate > 0).then_some(rate))?,
            receivers: receivers?,
            attempts: attempts?,
        })
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { least: self.least_concurrency, most: self.concurrency }
    }
}

impl DispatcherConfig {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let receiving = Receiving::read(settings);
        let transaction = TransactionSettings::read(settings);
        let zone = time_zone(settings);
        let dispatching = Dispatching::read(settings);
        Some(Self {
            receiving: receiving?,
            transaction: transaction?,
            zone: zone?,
            dispatching: dispatching?,
        })
    }
}
