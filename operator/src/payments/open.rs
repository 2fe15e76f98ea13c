//! `dueflow payments open`: every payment that has not ended, however old its due date is, with the
//! time since which it stands where it stands (INV-17). Memory does not grow with their number.
//!
//! First the whole index `due` says on which days there are any, then those days are read, the
//! oldest first.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use domain::{DueDate, Status};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::{DueDay, DuePayments, PaymentsTable, StoredPayment};

use super::fields::{fields, money};
use super::options::OpenOptions;
use super::output::{self, Align, Columns};
use crate::age;
use crate::line_limit::LineLimit;
use crate::progress::CommandProgress;

/// The statuses of payments that have not ended.
pub(crate) const OPEN: [Status; 3] = [Status::Scheduled, Status::Pending, Status::Failed];

/// The command.
pub(crate) async fn open(
    common: &Common,
    zone: &TimeZone,
    options: OpenOptions,
) -> anyhow::Result<ExitCode> {
    output::ended(list(common, zone, &options).await)
}

async fn list(common: &Common, zone: &TimeZone, options: &OpenOptions) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let name = common.names.payments_table();
    let table = Arc::new(PaymentsTable::new(aws.dynamodb("open"), &name, common.due_shards));
    let statuses = options.status.map_or_else(|| OPEN.to_vec(), |status| vec![status]);
    let now = Timestamp::now();
    let progress = CommandProgress::without_end();
    let (days, unreadable) = days(&table, &statuses, &progress).await?;
    let mut list = OpenList::new(now, zone, options, unreadable);
    let today = DueDate::today(now, zone);
    for (day, found) in days.range(..=today) {
        for status in found {
            let mut rest = DueDay::new(Arc::clone(&table) as _, *day, *status);
            while let Some(page) =
                rest.next().await.with_context(|| format!("reading {status} of {day}"))?
            {
                progress.suspend(|| list.print(page, *status))?;
                progress.show(list.listed, || {
                    format!("{} payments listed, reading {day}", list.listed)
                });
            }
        }
    }
    list.finish()
}

/// On which days there are payments in `statuses`, and how many entries cannot be read.
async fn days(
    table: &PaymentsTable,
    statuses: &[Status],
    progress: &CommandProgress,
) -> anyhow::Result<(BTreeMap<DueDate, Vec<Status>>, u64)> {
    let mut days: BTreeMap<DueDate, Vec<Status>> = BTreeMap::new();
    let (mut cursor, mut scanned, mut unreadable) = (None, 0, 0);
    loop {
        let page = table.open_page(statuses, cursor).await?;
        scanned += page.looked_at;
        unreadable += page.unreadable;
        for (day, status) in page.counts.into_keys() {
            let found = days.entry(day).or_default();
            if !found.contains(&status) {
                found.push(status);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok((days, unreadable));
        }
        progress.show(scanned, || format!("{scanned} entries of the index `due` scanned"));
    }
}

/// Since when a payment is where it is: a payment that waits for its day waits since that began.
pub(crate) fn open_since(stored: &StoredPayment, zone: &TimeZone) -> Timestamp {
    match stored.status {
        Status::Scheduled => stored.updated_at.max(stored.payment.due.start(zone)),
        Status::Pending | Status::Failed | Status::Processed | Status::Cancelled => {
            stored.updated_at
        }
    }
}

/// What is printed.
struct OpenList<'a> {
    now: Timestamp,
    zone: &'a TimeZone,
    older_than: Option<SignedDuration>,
    json: bool,
    lines: LineLimit,
    columns: Columns<6>,
    listed: u64,
    by_status: HashMap<Status, u64>,
    unreadable: u64,
    oldest: Option<Timestamp>,
}

impl<'a> OpenList<'a> {
    fn new(now: Timestamp, zone: &'a TimeZone, options: &OpenOptions, unreadable: u64) -> Self {
        let columns = Columns::new([
            ("STATUS", Align::Left),
            ("FOR", Align::Right),
            ("PAYMENT", Align::Left),
            ("AMOUNT", Align::Right),
            ("ATTEMPTS", Align::Right),
            ("CODE", Align::Left),
        ]);
        let (older_than, json) = (options.older_than, options.json);
        let printed = LineLimit::new(options.limit, json);
        let (listed, by_status, oldest) = (0, HashMap::new(), None);
        Self {
            now,
            zone,
            older_than,
            json,
            lines: printed,
            columns,
            listed,
            by_status,
            unreadable,
            oldest,
        }
    }

    fn print(&mut self, page: DuePayments, status: Status) -> anyhow::Result<()> {
        let (mut rows, mut lines) = (Vec::new(), String::new());
        for (reference, stored) in page {
            let stored = match stored {
                Ok(stored) if stored.status == status => stored,
                // It has moved on since the index was read.
                Ok(_) => continue,
                Err(error) => {
                    self.unreadable += 1;
                    eprintln!("dueflow: {reference}: {error}");
                    continue;
                }
            };
            let since = open_since(&stored, self.zone);
            let age = self.now.duration_since(since);
            if self.older_than.is_some_and(|least| age < least) {
                continue;
            }
            self.listed += 1;
            *self.by_status.entry(status).or_default() += 1;
            self.oldest = Some(self.oldest.map_or(since, |oldest| oldest.min(since)));
            if !self.lines.takes() {
                continue;
            }
            if self.json {
                let mut fields = fields(&stored)?;
                fields.insert("StatusSince".to_owned(), json!(since.to_string()));
                fields.insert("StatusAgeSeconds".to_owned(), json!(age.as_secs().max(0)));
                lines += &format!("{}\n", serde_json::to_string(&fields)?);
            } else {
                rows.push(row(&stored, age));
            }
        }
        if !rows.is_empty() {
            lines = self.columns.lines(rows);
        }
        Ok(output::print(&lines)?)
    }

    fn finish(&self) -> anyhow::Result<ExitCode> {
        let count = |status| self.by_status.get(&status).copied().unwrap_or_default();
        let text = if self.json {
            let by_status: serde_json::Map<_, _> =
                OPEN.iter().map(|status| (status.to_string(), json!(count(*status)))).collect();
            let summary = json!({
                "payments": self.listed, "by_status": by_status, "unreadable": self.unreadable,
                "not_printed": self.lines.rest(),
                "oldest_since": self.oldest.map(|oldest| oldest.to_string()),
            });
            format!("{}\n", json!({ "summary": summary }))
        } else {
            let mut text = self.lines.rest_line("payments");
            text += &format!("{} payments are open", self.listed);
            if let Some(oldest) = self.oldest {
                let by_status = OPEN.map(|status| format!("{} {status}", count(status)));
                let age = age::since(oldest, self.now);
                text += &format!(": {}; the longest for {age}", by_status.join(", "));
            }
            if self.unreadable > 0 {
                text += &format!("; {} items or entries are no payments", self.unreadable);
            }
            text + "\n"
        };
        output::print(&text)?;
        Ok(if self.unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn row(stored: &StoredPayment, age: SignedDuration) -> [String; 6] {
    let code = stored.failure.as_ref().map_or("-", |failure| failure.code.as_str());
    [
        stored.status.to_string(),
        age::length(age),
        stored.payment.reference().to_string(),
        money(&stored.payment),
        stored.attempts.to_string(),
        code.to_owned(),
    ]
}
