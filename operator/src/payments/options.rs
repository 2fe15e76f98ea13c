//! Options of the commands that look at payments and withdraw them.

use std::str::FromStr;

use clap::Args;
use domain::{AccountId, DueDate, PaymentRef, Status};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use shared::payments::{DueCursor, UpcomingCursor};

/// A day as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayArgument {
    /// The bank's today.
    Today,
    /// The bank's tomorrow.
    Tomorrow,
    /// By its date.
    On(DueDate),
}

impl DayArgument {
    /// Its date, when it is `now` in the bank's `zone`.
    #[must_use]
    pub fn date(self, now: Timestamp, zone: &TimeZone) -> DueDate {
        match self {
            Self::Today => DueDate::today(now, zone),
            Self::Tomorrow => DueDate::today(now, zone).days_after(1),
            Self::On(date) => date,
        }
    }
}

impl FromStr for DayArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "today" => Ok(Self::Today),
            "tomorrow" => Ok(Self::Tomorrow),
            date => date
                .parse()
                .map(Self::On)
                .map_err(|error: domain::DateError| format!("{error}, nor `today` or `tomorrow`")),
        }
    }
}

/// Help on what `payments upcoming` returns.
pub(super) const UPCOMING_HELP: &str = "\
The payments are in the order of due date and id. The read is not consistent: a payment that was \
written in the last second may be missing.

Exit status: 0 when all that was asked for was printed (or the reader closed the pipe), 1 when a \
call failed or an item is no payment, 64 for bad usage or settings.";

/// Help on what `payments due` returns.
pub(super) const DUE_HELP: &str = "\
The payments of all accounts are in the order of account and id. The index follows the table, so a \
payment may have changed its status since; --details reads each item consistently and leaves those out.

Exit status: 0 when all that was asked for was printed (or the reader closed the pipe), 1 when a \
call failed or an item is no payment, 64 for bad usage or settings.";

/// Help on what `payments open` returns.
pub(super) const OPEN_HELP: &str = "\
The payments are in the order of due date, the oldest first, then SCHEDULED, PENDING and FAILED, then \
account and id. Payments that are due on a later day are left out. The command reads the whole index \
`due` (25,000 read units for a million payments in the table), then the days with open payments.

Exit status: 0 when all that was asked for was printed (or the reader closed the pipe), 1 when a \
call failed or an item is no payment, 64 for bad usage or settings.";

/// Help on what `payments cancel` does.
pub(super) const CANCEL_HELP: &str = "\
The command cancels a payment only if it is SCHEDULED and was never attempted. It refuses a payment \
that is PENDING (it may have been submitted), PROCESSED, FAILED (see dueflow dlq), or SCHEDULED again \
by a replay (it may have been settled before). A payment that is CANCELLED already counts as done, so \
the command may be run again at any time. A dispatcher drops the message of a cancelled payment.

Exit status: 0 when all are CANCELLED (or would be), 1 when one was refused, not found or could not \
be changed, 64 for bad usage or settings.";

/// Options of `payments upcoming`.
#[derive(Debug, Args)]
pub struct UpcomingOptions {
    /// The account the payments leave from.
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub account: AccountId,
    /// How many days, the first one included.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3_660))]
    pub days: u16,
    /// The first day: a date, `today` or `tomorrow` in the bank's time zone.
    #[arg(long, value_name = "DATE", default_value = "today")]
    pub from: DayArgument,
    /// Only payments in this status.
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub status: Option<Status>,
    /// Print so many payments at most; a cursor at the end leads on. [default: 100, with --json all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Go on where an earlier run ended.
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<UpcomingCursor>,
    /// Print each payment as a line of JSON with the table's attribute names, and a summary as
    /// the last line.
    #[arg(long)]
    pub json: bool,
}

/// Options of `payments due`.
#[derive(Debug, Args)]
pub struct DueOptions {
    /// The day they are due: a date, `today` or `tomorrow` in the bank's time zone.
    #[arg(long, value_name = "DATE")]
    pub date: DayArgument,
    /// Only payments in this status.
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub status: Status,
    /// Print only how many there are.
    #[arg(long, conflicts_with_all = ["details", "limit", "cursor"])]
    pub count: bool,
    /// Read each payment and print what it is; without this, its reference and status.
    #[arg(long)]
    pub details: bool,
    /// Print so many payments at most; a cursor at the end leads on. [default: 100, with --json all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Go on where an earlier run ended.
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<DueCursor>,
    /// Print each payment as a line of JSON with the table's attribute names, and a summary as
    /// the last line.
    #[arg(long)]
    pub json: bool,
}

/// Options of `payments open`.
#[derive(Debug, Args)]
pub struct OpenOptions {
    /// Only payments that stand where they stand for at least so long, such as 2h or 16d: a
    /// SCHEDULED one since its day began, the others since their status changed.
    #[arg(long, value_name = "TIME", value_parser = crate::age::parse)]
    pub older_than: Option<SignedDuration>,
    /// Only SCHEDULED, PENDING or FAILED ones.
    #[arg(long, value_name = "STATUS", value_parser = open_status)]
    pub status: Option<Status>,
    /// Print so many lines at most and count the rest. [default: 100, with --json all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Print each payment as a line of JSON with the table's attribute names, StatusSince and
    /// StatusAgeSeconds, and a summary as the last line.
    #[arg(long)]
    pub json: bool,
}

/// Options of `payments cancel`.
#[derive(Debug, Args)]
pub struct CancelOptions {
    /// Payments to withdraw: `<AccountID>/<ScheduledDate>/<PaymentID>`.
    #[arg(value_name = "REF", required = true)]
    pub references: Vec<PaymentRef>,
    /// Why, for the action log.
    #[arg(long, value_name = "TEXT")]
    pub because: Option<String>,
    /// Do it. Without this it is only said what would be done.
    #[arg(long)]
    pub execute: bool,
    /// Print a line of JSON for each payment, and a summary as the last line.
    #[arg(long)]
    pub json: bool,
}

fn account(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text).map_err(|error| error.to_string())
}

fn status(text: &str) -> Result<Status, String> {
    text.to_ascii_uppercase().parse().map_err(|error: domain::StatusError| error.to_string())
}

fn open_status(text: &str) -> Result<Status, String> {
    let status = status(text)?;
    match status {
        Status::Scheduled | Status::Pending | Status::Failed => Ok(status),
        Status::Processed | Status::Cancelled => {
            Err(format!("a payment that is {status} has ended"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn today_and_tomorrow_are_the_banks() {
        let late_evening_in_utc: Timestamp = "2026-11-30T23:30:00Z".parse().unwrap();
        let madrid = TimeZone::get("Europe/Madrid").unwrap();
        let date = |text: &str, zone: &TimeZone| {
            text.parse::<DayArgument>().unwrap().date(late_evening_in_utc, zone).to_string()
        };
        assert_eq!(date("today", &madrid), "2026-12-01");
        assert_eq!(date("tomorrow", &madrid), "2026-12-02");
        assert_eq!(date("today", &TimeZone::UTC), "2026-11-30");
        assert_eq!(date("2027-01-31", &madrid), "2027-01-31");
        assert!("2027-02-29".parse::<DayArgument>().unwrap_err().contains("2027-02-29"));
    }
}
