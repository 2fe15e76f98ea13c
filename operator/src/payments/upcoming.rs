//! `dueflow payments upcoming`: what leaves an account in the days to come.

use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::{PaymentsTable, StoredPayment, UpcomingCursor};

use super::fields::{blob, fields, money};
use super::options::UpcomingOptions;
use super::output::{self, Align, Columns};

/// The command.
pub(crate) async fn upcoming(
    common: &Common,
    zone: &TimeZone,
    options: UpcomingOptions,
) -> anyhow::Result<ExitCode> {
    output::ended(list(common, zone, options).await)
}

async fn list(
    common: &Common,
    zone: &TimeZone,
    options: UpcomingOptions,
) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let name = common.names.payments_table();
    let table = PaymentsTable::new(aws.dynamodb("upcoming"), &name, common.due_shards);
    let from = options.from.date(Timestamp::now(), zone);
    let days = from..=from.days_after(options.days - 1);
    let mut list = UpcomingList::new(&options);
    let mut cursor = options.cursor.clone();
    loop {
        let read = table.upcoming(&options.account, days.clone(), options.status, cursor.as_ref());
        let page = read.await.with_context(|| match &cursor {
            Some(cursor) => format!("after {} payments, at --cursor {cursor}", list.payments),
            None => "at the first page".to_owned(),
        })?;
        for item in &page.unreadable {
            list.unreadable += 1;
            eprintln!("dueflow: {item}");
        }
        let cut = list.print(page.payments)?;
        cursor = cut.or(page.next);
        if cursor.is_none() || list.left == 0 {
            break;
        }
    }
    list.finish(cursor.as_ref())
}

/// What is printed.
struct UpcomingList {
    json: bool,
    columns: Columns<6>,
    payments: u64,
    unreadable: u64,
    /// Payments that may still be printed.
    left: u64,
}

impl UpcomingList {
    fn new(options: &UpcomingOptions) -> Self {
        let columns = Columns::new([
            ("DUE", Align::Left),
            ("STATUS", Align::Left),
            ("AMOUNT", Align::Right),
            ("BENEFICIARY", Align::Left),
            ("PAYMENT", Align::Left),
            ("BLOB", Align::Right),
        ]);
        let left = output::people_limit(options.limit, options.json).unwrap_or(u64::MAX);
        Self { json: options.json, columns, payments: 0, unreadable: 0, left }
    }

    /// Prints what may be printed of a page; where it was cut, if it was.
    fn print(&mut self, mut page: Vec<StoredPayment>) -> anyhow::Result<Option<UpcomingCursor>> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let cut = page.len() > most;
        page.truncate(most);
        self.left -= page.len() as u64;
        self.payments += page.len() as u64;
        if page.is_empty() {
            return Ok(None);
        }
        let lines = if self.json {
            let line = |stored| Ok(format!("{}\n", serde_json::to_string(&fields(stored)?)?));
            page.iter().map(line).collect::<anyhow::Result<String>>()?
        } else {
            let rows = page.iter().map(row).collect::<anyhow::Result<_>>()?;
            self.columns.lines(rows)
        };
        output::print(&lines)?;
        let last = page.last().filter(|_| cut);
        Ok(last.map(|stored| UpcomingCursor::behind(&stored.payment.reference())))
    }

    fn finish(&self, cursor: Option<&UpcomingCursor>) -> anyhow::Result<ExitCode> {
        let Self { payments, unreadable, .. } = *self;
        let cursor = cursor.map(ToString::to_string);
        let text = if self.json {
            let summary = json!({
                "payments": payments, "unreadable": unreadable, "whole": cursor.is_none(),
                "cursor": cursor,
            });
            format!("{}\n", json!({ "summary": summary }))
        } else {
            let more = cursor.map(|cursor| format!("; go on with --cursor {cursor}"));
            format!("{payments} payments{}\n", more.unwrap_or_default())
        };
        output::print(&text)?;
        Ok(if unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn row(stored: &StoredPayment) -> anyhow::Result<[String; 6]> {
    let payment = &stored.payment;
    Ok([
        payment.due.to_string(),
        stored.status.to_string(),
        money(payment),
        payment.beneficiary.to_string(),
        payment.id.to_string(),
        blob(stored)?,
    ])
}
