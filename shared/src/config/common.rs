//! Settings that several services read.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::{Names, Settings};
use crate::telemetry::LogLevel;
use domain::AttemptLimits;

/// Settings of every service.
#[derive(Debug, Clone)]
pub struct Common {
    /// Names of tables and queues.
    pub names: Names,
    /// Where the admin port is bound.
    pub admin_address: SocketAddr,
    /// Where that address is written to.
    pub admin_address_file: Option<PathBuf>,
    /// What is logged.
    pub log_level: LogLevel,
    /// How long work in hand may take after SIGTERM.
    pub drain_timeout: Duration,
    /// Threads of the runtime.
    pub worker_threads: usize,
    /// Partitions of the index `due`.
    pub due_shards: u16,
    /// By what it notices that the process that started it has ended.
    pub parent_pipe: ParentPipe,
    /// The same, and the bank's time zone, as all services must have them.
    pub installation: Installation,
}

/// What all services and commands of an installation must have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The bank's time zone, by its name.
    pub zone: String,
    /// Partitions of the index `due`.
    pub due_shards: u16,
}

/// By what a service notices that the process that started it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentPipe {
    /// By nothing: it lives on.
    None,
    /// By the end of its standard input.
    Stdin,
}

impl FromStr for ParentPipe {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "stdin" => Ok(Self::Stdin),
            _ => Err("must be none or stdin"),
        }
    }
}

impl Common {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let second = Duration::from_secs(1);
        let names = settings.parse("DUEFLOW_PREFIX");
        let admin_address = settings.parse("DUEFLOW_ADMIN_ADDRESS");
        let log_level = settings.parse("DUEFLOW_LOG");
        let drain_timeout = settings.duration("DUEFLOW_DRAIN_TIMEOUT", second..=second * 900);
        let worker_threads = settings.number("DUEFLOW_WORKER_THREADS", 1..=64);
        let due_shards = settings.number("DUEFLOW_DUE_SHARDS", 1..=99);
        let parent_pipe = settings.parse("DUEFLOW_PARENT_PIPE");
        Some(Self {
            names: names?,
            admin_address: admin_address?,
            admin_address_file: settings.optional("DUEFLOW_ADMIN_ADDRESS_FILE").map(PathBuf::from),
            log_level: log_level?,
            drain_timeout: drain_timeout?,
            worker_threads: worker_threads?,
            due_shards: due_shards?,
            parent_pipe: parent_pipe?,
            installation: installation(settings, due_shards?),
        })
    }
}

/// Settings of services that receive from a queue.
#[derive(Debug, Clone, Copy)]
pub struct Receiving {
    /// How long a received message stays hidden from others.
    pub visibility: Duration,
    /// How long a receive waits for messages.
    pub wait: Duration,
}

impl Receiving {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let second = Duration::from_secs(1);
        let visibility =
            settings.duration("DUEFLOW_VISIBILITY_TIMEOUT", second * 2..=second * 12 * 3600);
        let wait = settings.duration("DUEFLOW_RECEIVE_WAIT", second..=second * 20);
        Some(Self { visibility: visibility?, wait: wait? })
    }
}

/// Which days a sweep of the table looks at.
#[derive(Debug, Clone)]
pub struct SweptDays {
    /// The bank's time zone, which decides what day it is.
    pub zone: TimeZone,
    /// How many days before today.
    pub before: u16,
}

impl SweptDays {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let zone = time_zone(settings);
        let before = settings.number("DUEFLOW_SWEEP_DAYS", 0..=366);
        Some(Self { zone: zone?, before: before? })
    }
}

/// How often the days before [`SweptDays`] are looked through; `None` when it is wrong, which
/// `settings` then knows.
pub fn old_days_interval(settings: &mut Settings) -> Option<Duration> {
    let hour = Duration::from_secs(3600);
    settings.duration("DUEFLOW_OLD_DAYS_INTERVAL", hour..=hour * 168)
}

/// Reads the bank's time zone; `None` when it is wrong, which `settings` then knows. A POSIX
/// TZ string whose names repeat the offset serves where a bank keeps an offset of its own.
pub fn time_zone(settings: &mut Settings) -> Option<TimeZone> {
    settings.parse_with("DUEFLOW_TIME_ZONE", |text| super::zone::parse(text).map(|(zone, _)| zone))
}

/// What this process holds against the installation. A zone that is wrong, whoever reads it says.
fn installation(settings: &Settings, due_shards: u16) -> Installation {
    let text = settings.optional("DUEFLOW_TIME_ZONE").unwrap_or_default();
    let zone = super::zone::parse(&text).map_or(text, |(_, name)| name);
    Installation { zone, due_shards }
}

/// Reads how long a payment is tried; `None` when a setting is wrong, which `settings` then
/// knows.
pub fn attempt_limits(settings: &mut Settings) -> Option<AttemptLimits> {
    let minute = Duration::from_secs(60);
    let attempts = settings.number("DUEFLOW_MAX_ATTEMPTS", 1..=1_000);
    let retention = settings.duration("DUEFLOW_KEY_RETENTION", minute * 10..=minute * 525_600);
    Some(AttemptLimits { attempts: attempts?, key_retention: retention? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(text: &str) -> Option<TimeZone> {
        let pair = ("DUEFLOW_TIME_ZONE".to_owned(), text.to_owned());
        time_zone(&mut Settings::load(std::iter::once(pair)))
    }

    #[test]
    fn a_bank_keeps_a_zone_of_the_list_or_an_offset_of_its_own() {
        assert!(zone("Europe/Madrid").is_some());
        let own = zone("<+052310>-5:23:10").unwrap();
        assert_eq!(own.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds(), 5 * 3600 + 23 * 60 + 10);
        for wrong in ["", "Madrid", "Europe/Madrd", "+05:30", "UTC+14"] {
            assert!(zone(wrong).is_none(), "{wrong} was taken");
        }
    }
}
