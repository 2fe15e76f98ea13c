//! Settings of the relay.

use std::time::Duration;

use jiff::tz::TimeZone;
use shared::config::{Settings, SweptDays};
use uuid::Uuid;

use crate::lease::RENEWAL;

/// Settings of the relay.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// The bank's time zone.
    pub zone: TimeZone,
    /// The name under which leases are held.
    pub name: String,
    /// How often the position is written down.
    pub checkpoint_interval: Duration,
    /// Requests to the queue in flight at once.
    pub sends: usize,
    /// How many days before today a sweep looks at.
    pub sweep_days: u16,
}

impl RelayConfig {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let days = SweptDays::read(settings);
        let millis = Duration::from_millis;
        let checkpoint_interval =
            settings.duration("DUEFLOW_CHECKPOINT_INTERVAL", millis(100)..=RENEWAL);
        let sends = settings.number("DUEFLOW_RELAY_SENDS", 1..=64);
        let name = settings.optional("DUEFLOW_RELAY_NAME");
        let SweptDays { zone, before } = days?;
        Some(Self {
            zone,
            name: name.unwrap_or_else(|| format!("relay-{}", Uuid::now_v7())),
            checkpoint_interval: checkpoint_interval?,
            sends: sends?,
            sweep_days: before,
        })
    }
}
