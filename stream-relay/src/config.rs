//! Settings of the relay.

use std::time::Duration;

use jiff::tz::TimeZone;
use shared::config::Settings;
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
        let zone = settings.parse_with("DUEFLOW_TIME_ZONE", |text| {
            TimeZone::get(text)
                .map_err(|_| "must be an IANA time zone, such as Europe/Madrid".to_owned())
        });
        let millis = Duration::from_millis;
        let checkpoint_interval =
            settings.duration("DUEFLOW_CHECKPOINT_INTERVAL", millis(100)..=RENEWAL);
        let sends = settings.number("DUEFLOW_RELAY_SENDS", 1..=64);
        let sweep_days = settings.number("DUEFLOW_SWEEP_DAYS", 0..=366);
        let name = settings.optional("DUEFLOW_RELAY_NAME");
        Some(Self {
            zone: zone?,
            name: name.unwrap_or_else(|| format!("relay-{}", Uuid::now_v7())),
            checkpoint_interval: checkpoint_interval?,
            sends: sends?,
            sweep_days: sweep_days?,
        })
    }
}
