//! Settings of the confirmer.

use std::time::Duration;

use shared::config::{Receiving, Settings, SweptDays};
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
    pub confirming: Confirming,
}

/// How a confirmer's work is bounded.
#[derive(Debug, Clone)]
pub struct Confirming {
    /// Batches worked on at once.
    pub receivers: usize,
    /// When the table is swept.
    pub sweeping: Sweeping,
    /// Which days of it.
    pub days: SweptDays,
}

/// When the table is swept for payments that are stuck.
#[derive(Debug, Clone, Copy)]
pub struct Sweeping {
    /// How often.
    pub interval: Duration,
    /// How long a payment may be PENDING.
    pub limit: Duration,
}

impl Sweeping {
    fn read(settings: &mut Settings, receiving: Option<Receiving>) -> Option<Self> {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        let interval = settings.duration("DUEFLOW_PENDING_SWEEP_INTERVAL", second..=hour * 24);
        let limit = settings.duration("DUEFLOW_PENDING_LIMIT", second..=hour * 168);
        if let (Some(limit), Some(receiving)) = (limit, receiving)
            && limit <= receiving.visibility
        {
            let reason = "must be longer than DUEFLOW_VISIBILITY_TIMEOUT";
            settings.refuse("DUEFLOW_PENDING_LIMIT", reason);
            return None;
        }
        Some(Self { interval: interval?, limit: limit? })
    }
}

impl ConfirmerConfig {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let receiving = Receiving::read(settings);
        let transaction = TransactionSettings::read(settings);
        let receivers = settings.number("DUEFLOW_CONFIRMER_RECEIVERS", 1..=64);
        let sweeping = Sweeping::read(settings, receiving);
        let callbacks = CallbackSettings::read(settings);
        let days = SweptDays::read(settings);
        let confirming = Confirming { receivers: receivers?, sweeping: sweeping?, days: days? };
        Some(Self { receiving: receiving?, transaction: transaction?, callbacks, confirming })
    }
}
