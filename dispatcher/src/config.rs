//! Settings of the dispatcher.

use shared::config::{Receiving, Settings};
use shared::transaction::TransactionSettings;

/// Settings of the dispatcher.
#[derive(Debug, Clone)]
pub struct DispatcherConfig {
    /// How messages are received.
    pub receiving: Receiving,
    /// The transaction service.
    pub transaction: TransactionSettings,
    /// Payments in hand at once.
    pub concurrency: usize,
    /// Receive requests in flight at once.
    pub receivers: usize,
}

impl DispatcherConfig {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let receiving = Receiving::read(settings);
        let transaction = TransactionSettings::read(settings);
        let concurrency = settings.number("DUEFLOW_DISPATCHER_CONCURRENCY", 10..=10_000);
        let receivers = settings.number("DUEFLOW_DISPATCHER_RECEIVERS", 1..=64);
        Some(Self {
            receiving: receiving?,
            transaction: transaction?,
            concurrency: concurrency?,
            receivers: receivers?,
        })
    }
}
