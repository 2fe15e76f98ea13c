//! Settings of the dispatcher.

use std::time::Duration;

use domain::AttemptLimits;
use jiff::tz::TimeZone;
use shared::config::{Receiving, Settings, attempt_limits, time_zone};
use shared::dispatch_stop::StopLimits;
use shared::transaction::TransactionSettings;

use crate::calls::settings::{CallLimiterSettings, CallLimits};

/// How many intervals between two readings of the stored stop one reading counts for, and for
/// how long at least: a reading may take some seconds on a bad day.
const READING_COUNTS_FOR: (u32, Duration) = (5, Duration::from_secs(10));

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
    pub limits: DispatcherLimits,
}

/// How a dispatcher's work is bounded.
#[derive(Debug, Clone, Copy)]
pub struct DispatcherLimits {
    /// Calls to the transaction service; as many payments are in hand at once as calls may be
    /// under way.
    pub calls: CallLimits,
    /// Receive requests in flight at once.
    pub receivers: usize,
    /// The bounds of trying.
    pub attempts: AttemptLimits,
    /// When refusals stop dispatching.
    pub stop: StopLimits,
    /// Time between two readings of the stored stop.
    pub stop_check: Duration,
}

impl DispatcherLimits {
    fn read(settings: &mut Settings) -> Option<Self> {
        let calls = CallLimits::read(settings);
        let receivers = settings.number("DUEFLOW_DISPATCHER_RECEIVERS", 1..=64);
        let attempts = attempt_limits(settings);
        let stop = StopLimits::read(settings);
        let check = Duration::from_millis(100)..=Duration::from_secs(60);
        let stop_check = settings.duration("DUEFLOW_STOP_CHECK_INTERVAL", check);
        Some(Self {
            calls: calls?,
            receivers: receivers?,
            attempts: attempts?,
            stop: stop?,
            stop_check: stop_check?,
        })
    }

    pub(crate) fn limiter_settings(&self) -> CallLimiterSettings {
        CallLimiterSettings {
            bounds: self.calls.bounds(),
            per_second: self.calls.rate,
            stop: self.stop,
            validity: (self.stop_check * READING_COUNTS_FOR.0).max(READING_COUNTS_FOR.1),
        }
    }
}

impl DispatcherConfig {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let receiving = Receiving::read(settings);
        let transaction = TransactionSettings::read(settings);
        let zone = time_zone(settings);
        let limits = DispatcherLimits::read(settings);
        Some(Self {
            receiving: receiving?,
            transaction: transaction?,
            zone: zone?,
            limits: limits?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(own: &[(&str, &str)]) -> DispatcherConfig {
        let url = ("DUEFLOW_TRANSACTION_URL", "http://127.0.0.1:1");
        let pairs = own.iter().chain([&url]);
        let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut settings = Settings::load(pairs);
        let config = DispatcherConfig::read(&mut settings);
        settings.finish(config).unwrap()
    }

    #[test]
    fn each_setting_bounds_what_it_names() {
        let limits = read(&[
            ("DUEFLOW_DISPATCHER_CONCURRENCY", "50"),
            ("DUEFLOW_DISPATCHER_MIN_CONCURRENCY", "20"),
            ("DUEFLOW_DISPATCHER_RATE_LIMIT", "7"),
            ("DUEFLOW_DISPATCHER_RECEIVERS", "3"),
        ])
        .limits;
        let bounds = limits.calls.bounds();
        assert_eq!((bounds.least, bounds.most), (20, 50));
        assert_eq!((limits.calls.rate, limits.receivers), (Some(7), 3));
    }

    #[test]
    fn no_rate_is_no_limit_and_the_least_is_never_above_the_most() {
        let calls = read(&[
            ("DUEFLOW_DISPATCHER_CONCURRENCY", "10"),
            ("DUEFLOW_DISPATCHER_RATE_LIMIT", "0"),
        ])
        .limits
        .calls;
        assert_eq!((calls.rate, calls.least, calls.most), (None, 10, 10));
    }

    #[test]
    fn a_reading_of_the_stop_counts_for_five_intervals_and_ten_seconds_at_least() {
        for (interval, validity) in [("1s", 10), ("2s", 10), ("3s", 15)] {
            let limits = read(&[("DUEFLOW_STOP_CHECK_INTERVAL", interval)]).limits;
            assert_eq!(limits.limiter_settings().validity, Duration::from_secs(validity));
        }
    }
}
