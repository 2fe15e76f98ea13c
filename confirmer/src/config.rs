//! Settings of the confirmer.

use shared::config::{Receiving, Settings};

/// Settings of the confirmer.
#[derive(Debug, Clone, Copy)]
pub struct ConfirmerConfig {
    /// How messages are received.
    pub receiving: Receiving,
    /// Batches worked on at once.
    pub receivers: usize,
}

impl ConfirmerConfig {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let receiving = Receiving::read(settings);
        let receivers = settings.number("DUEFLOW_CONFIRMER_RECEIVERS", 1..=64);
        Some(Self { receiving: receiving?, receivers: receivers? })
    }
}
