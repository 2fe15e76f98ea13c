//! Settings of the relay.

use std::time::Duration;

use jiff::tz::TimeZone;
use shared::config::{Settings, SweptDays, old_days_interval};
use uuid::Uuid;

use crate::leases::table::RENEWAL;

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
    /// How many days before today are opened and scanned for lost messages.
    pub sweep_days: u16,
    /// How long after its start a day is opened.
    pub opening_delay: Duration,
    /// How often one relay scans for payments that no message carries.
    pub watch_interval: Duration,
    /// How often it scans the days before those as well.
    pub old_interval: Duration,
    /// How often today's payments are counted for the batch clock.
    pub batch_clock_interval: Duration,
    /// How long after its opening, or its last insert, a day's batch should have ended.
    pub batch_deadline: Duration,
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
        let minute = Duration::from_secs(60);
        let opening_delay =
            settings.duration("DUEFLOW_OPENING_DELAY", Duration::ZERO..=minute * 60);
        let watch_interval = settings.duration("DUEFLOW_WATCH_INTERVAL", minute..=minute * 60 * 24);
        let old_interval = old_days_interval(settings);
        let batch_clock_interval =
            settings.duration("DUEFLOW_BATCH_CLOCK_INTERVAL", minute / 12..=minute * 10);
        let batch_deadline = settings.duration("DUEFLOW_BATCH_DEADLINE", minute..=minute * 60 * 24);
        let SweptDays { zone, before } = days?;
        Some(Self {
            zone,
            name: name.unwrap_or_else(|| format!("relay-{}", Uuid::now_v7())),
            checkpoint_interval: checkpoint_interval?,
            sends: sends?,
            sweep_days: before,
            opening_delay: opening_delay?,
            watch_interval: watch_interval?,
            old_interval: old_interval?,
            batch_clock_interval: batch_clock_interval?,
            batch_deadline: batch_deadline?,
        })
    }
}
