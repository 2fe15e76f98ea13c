//! Worlds for tests, and their time of day.

use demo::local_world::{World, temporary_folder};
use domain::DueDate;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use local::LocalOptions;
use local::transactions::Faults;
use shared::config::zone_ahead_by;
use tempfile::TempDir;

/// A world of its own, with the tables and queues of `dueflow`, and the folder it lives in.
///
/// # Errors
/// What did not start.
pub async fn without_services() -> anyhow::Result<(World, TempDir)> {
    let dir = temporary_folder()?;
    let options = LocalOptions::passing(dir.path(), Faults::default());
    let names = "dueflow".parse().map_err(anyhow::Error::msg)?;
    Ok((World::start(options, names, "".into()).await?, dir))
}

/// A zone in which the day that UTC has now begins `seconds` from now, as `TZ` has it.
#[must_use]
pub fn where_the_day_begins_in(seconds: i64) -> String {
    let day = DueDate::today(Timestamp::now(), &TimeZone::UTC).start(&TimeZone::UTC);
    zone_ahead_by(-(Timestamp::now().duration_since(day).as_secs() + seconds))
}
