//! Arguments of `dueflow archive`.

use std::num::{NonZeroU16, NonZeroU32};

use clap::{ArgGroup, Args};
use domain::{AccountId, DueDate};
use jiff::Timestamp;
use shared::config::SweptDays;

/// Options of `archive run`.
#[derive(Debug, Clone, Args)]
pub struct ArchiveRunOptions {
    /// Only the payments due on this day, which must be over in the bank's time zone.
    /// [default: every day from yesterday back to DUEFLOW_SWEEP_DAYS, so that what was settled
    /// late moves too]
    #[arg(long, value_name = "DATE")]
    pub date: Option<DueDate>,
    /// Most payments a second. One costs 5 write units: 3 in the archive and 2 in the payments
    /// table, and as many units more as it has KB above the first.
    #[arg(long, value_name = "N", default_value = "500")]
    pub rate: NonZeroU32,
    /// Requests under way at once.
    #[arg(long, value_name = "N", default_value = "4")]
    pub writers: NonZeroU16,
    /// Print a line of JSON for each day, and a summary as the last line.
    #[arg(long)]
    pub json: bool,
}

/// Options of `archive find`.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["transaction", "account", "date"])))]
pub struct ArchiveFindOptions {
    /// The payment that this transaction has settled.
    #[arg(long, value_name = "ID")]
    pub transaction: Option<String>,
    /// The payments of this account, oldest first.
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub account: Option<AccountId>,
    /// All payments due on this day, in the order of account and id.
    #[arg(long, value_name = "DATE")]
    pub date: Option<DueDate>,
    /// Of the account: only those due on this day or later.
    #[arg(long, value_name = "DATE", requires = "account")]
    pub from: Option<DueDate>,
    /// Of the account: only those due on this day or earlier.
    #[arg(long, value_name = "DATE", requires = "account")]
    pub to: Option<DueDate>,
    /// Print each payment whole as a line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `archive verify`.
#[derive(Debug, Clone, Args)]
pub struct ArchiveVerifyOptions {
    /// The day.
    #[arg(long, value_name = "DATE")]
    pub date: DueDate,
    /// How many payments were scheduled for it; another number in both tables together is an
    /// error.
    #[arg(long, value_name = "N")]
    pub expect_count: Option<u64>,
    /// Name so many payments at most and count the rest. At most a hundred of each kind are kept.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

fn account(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text).map_err(|error| error.to_string())
}

/// The days to archive at `now`, the oldest first; `Err` when `asked` is not over.
///
/// The dispatchers rely on it: they ask the archive about payments of days that are over, and
/// no others.
pub(super) fn days(
    swept: &SweptDays,
    asked: Option<DueDate>,
    now: Timestamp,
) -> Result<Vec<DueDate>, String> {
    let today = DueDate::today(now, &swept.zone);
    match asked {
        Some(day) if day < today => Ok(vec![day]),
        Some(day) => Err(format!("--date {day}: that day is not over, today is {today}")),
        None => {
            let back = swept.before.max(1);
            Ok((1..=back).rev().map(|days| today.days_before(days)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    #[test]
    fn only_days_that_are_over_at_the_bank_are_archived_the_oldest_first() {
        let zone = TimeZone::get("Europe/Madrid").unwrap();
        let swept = SweptDays { zone, before: 2 };
        let late_evening_in_utc: Timestamp = "2026-11-23T23:30:00Z".parse().unwrap();
        let days = |asked: Option<&str>| {
            let asked = asked.map(|day| day.parse().unwrap());
            let days = super::days(&swept, asked, late_evening_in_utc)?;
            Ok(days.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(days(None), Ok(vec!["2026-11-22".to_owned(), "2026-11-23".to_owned()]));
        assert_eq!(days(Some("2026-11-23")), Ok(vec!["2026-11-23".to_owned()]));
        let refused: Result<_, String> = days(Some("2026-11-24"));
        assert!(refused.unwrap_err().contains("not over"));
    }
}
