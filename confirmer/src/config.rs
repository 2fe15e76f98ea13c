//! Settings of the confirmer.

use std::time::Duration;

use shared::config::{Receiving, Settings, SweptDays, attempt_limits, old_days_interval};
use shared::dispatch_stop::StopLimits;
use shared::transaction::TransactionSettings;

use crate::callback::CallbackSettings;

/// Settings of the confirmer.
#[derive(Debug, Clone)]
pub struct ConfirmerConfig {
    /// How messages are received.
    pub receiving: Receiving,
    /// The transaction service.
    pub transaction: TransactionSettings,
    /// Where callbacks are taken, if they are.
    pub callbacks: Option<CallbackSettings>,
    /// How its work is bounded.
    pub limits: ConfirmerLimits,
}

/// How a confirmer's work is bounded.
#[derive(Debug, Clone)]
pub struct ConfirmerLimits {
    /// Batches worked on at once.
    pub receivers: usize,
    /// When the table is swept.
    pub sweep: SweepSettings,
    /// Which days of it.
    pub days: SweptDays,
    /// When reported refusals stop dispatching.
    pub stop: StopLimits,
}

/// When the table is swept for payments that are stuck.
#[derive(Debug, Clone, Copy)]
pub struct SweepSettings {
    /// How often.
    pub interval: Duration,
    /// How long a payment may be PENDING.
    pub limit: Duration,
    /// How often the days before those of a sweep are looked through.
    pub old_interval: Duration,
}

impl SweepSettings {
    fn read(settings: &mut Settings, receiving: Option<Receiving>) -> Option<Self> {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        let interval = settings.duration("DUEFLOW_PENDING_SWEEP_INTERVAL", second..=hour * 24);
        let limit = settings.duration("DUEFLOW_PENDING_LIMIT", second..=hour * 168);
        let old_interval = old_days_interval(settings);
        let attempts = attempt_limits(settings);
        if let (Some(limit), Some(receiving)) = (limit, receiving)
            && limit <= receiving.visibility
        {
            let reason = "must be longer than DUEFLOW_VISIBILITY_TIMEOUT";
            settings.refuse("DUEFLOW_PENDING_LIMIT", reason);
            return None;
        }
        // Later, what nobody knows of could not be submitted any more: see `remembers`.
        if let (Some(limit), Some(attempts)) = (limit, attempts)
            && limit >= attempts.key_retention / 4 * 3
        {
            let reason = "must be shorter than three quarters of DUEFLOW_KEY_RETENTION";
            settings.refuse("DUEFLOW_PENDING_LIMIT", reason);
            return None;
        }
        attempts?;
        Some(Self { interval: interval?, limit: limit?, old_interval: old_interval? })
    }
}

impl ConfirmerConfig {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let receiving = Receiving::read(settings);
        let transaction = TransactionSettings::read(settings);
        let receivers = settings.number("DUEFLOW_CONFIRMER_RECEIVERS", 1..=64);
        let sweep = SweepSettings::read(settings, receiving);
        let callbacks = CallbackSettings::read(settings);
        let days = SweptDays::read(settings);
        let stop = StopLimits::read(settings);
        let limits =
            ConfirmerLimits { receivers: receivers?, sweep: sweep?, days: days?, stop: stop? };
        Some(Self { receiving: receiving?, transaction: transaction?, callbacks, limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_lies_between_the_visibility_timeout_and_the_memory_of_the_service() {
        let read = |limit: &str| {
            let pairs = [
                ("DUEFLOW_TRANSACTION_URL", "http://127.0.0.1:1"),
                ("DUEFLOW_VISIBILITY_TIMEOUT", "60s"),
                ("DUEFLOW_KEY_RETENTION", "24h"),
                ("DUEFLOW_PENDING_LIMIT", limit),
            ];
            let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let mut settings = Settings::load(pairs.into_iter());
            let config = ConfirmerConfig::read(&mut settings);
            settings.finish(config)
        };
        for good in ["61s", "17h", "1079m"] {
            assert!(read(good).is_ok(), "{good}: {:?}", read(good).unwrap_err());
        }
        for (bad, name) in [("60s", "VISIBILITY_TIMEOUT"), ("18h", "KEY_RETENTION")] {
            let errors = read(bad).unwrap_err().to_string();
            assert!(errors.contains("PENDING_LIMIT") && errors.contains(name), "{errors}");
        }
    }
}
