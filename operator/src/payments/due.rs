//! `dueflow payments due`: the payments of a day in a status, of all accounts. Memory does not
//! grow with their number, and the first page is printed as soon as it is there.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use domain::{DueDate, PaymentRef, Status};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::{
    DueCursor, DuePage, DuePayments, DueTable, PaymentsError, PaymentsTable, StoredPayment,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::fields::{blob, fields, indexed, money};
use super::options::DueOptions;
use super::output::{self, Align, Columns};

/// Payments printed at once.
const PAGE: usize = 1_000;
/// The same with details: what one `BatchGetItem` returns.
const DETAILED_PAGE: usize = 100;
/// Pages whose details are read at the same time.
const PARALLEL: usize = 4;

/// The command.
pub(crate) async fn due(
    common: &Common,
    zone: &TimeZone,
    options: DueOptions,
) -> anyhow::Result<ExitCode> {
    output::ended(list(common, zone, options).await)
}

async fn list(common: &Common, zone: &TimeZone, options: DueOptions) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let name = common.names.payments_table();
    let table = Arc::new(PaymentsTable::new(aws.dynamodb("due"), &name, common.due_shards));
    let day = options.date.date(Timestamp::now(), zone);
    let mut list = DueList::new(day, &options);
    if options.count {
        list.payments = table.count_due(day, options.status).await?;
        return list.finish(None);
    }
    let mut cursor = options.cursor.clone();
    let page = if options.details { DETAILED_PAGE } else { PAGE };
    let scan = match table.due(day, options.status, cursor.clone()) {
        Ok(scan) => scan,
        Err(error) => {
            eprintln!("dueflow: --cursor {error}");
            return Ok(ExitCode::from(crate::start::EX_USAGE));
        }
    };
    let details = options.details.then_some(table);
    let mut read =
        Detailed::of(scan.pages(page, output::people_limit(options.limit, options.json)), details);
    let failed = |list: &DueList, cursor: &Option<DueCursor>| match cursor {
        Some(cursor) => format!("after {} payments; go on with --cursor {cursor}", list.payments),
        None => "at the first page".to_owned(),
    };
    while let Some(next) = read.next().await {
        let (page, details) = next.with_context(|| failed(&list, &cursor))?;
        list.unreadable += page.unreadable;
        match details {
            None => list.print(&page.references)?,
            Some(details) => list.print_details(details)?,
        }
        cursor = page.next;
    }
    list.finish(cursor.as_ref())
}

type Read = Result<(DuePage, Option<DuePayments>), PaymentsError>;

/// Pages with their details, of which some are read ahead, in their order.
struct Detailed {
    reading: mpsc::Receiver<JoinHandle<Read>>,
}

impl Detailed {
    fn of(
        mut pages: mpsc::Receiver<Result<DuePage, PaymentsError>>,
        table: Option<Arc<PaymentsTable>>,
    ) -> Self {
        let (started, reading) = mpsc::channel(PARALLEL);
        tokio::spawn(async move {
            while let Some(page) = pages.recv().await {
                let table = table.clone();
                let read = tokio::spawn(async move {
                    let page = page?;
                    let details = match table {
                        None => None,
                        Some(table) => Some(table.get_many(&page.references).await?),
                    };
                    Ok((page, details))
                });
                if started.send(read).await.is_err() {
                    return;
                }
            }
        });
        Self { reading }
    }

    async fn next(&mut self) -> Option<Read> {
        let read = self.reading.recv().await?;
        Some(read.await.unwrap_or_else(|panicked| Err(PaymentsError::DueTask(panicked))))
    }
}

/// What is printed.
struct DueList {
    day: DueDate,
    status: Status,
    json: bool,
    plain: Columns<2>,
    detailed: Columns<6>,
    payments: u64,
    unreadable: u64,
    /// Payments that were in another status, or gone, when their details were read.
    moved_on: u64,
}

impl DueList {
    fn new(day: DueDate, options: &DueOptions) -> Self {
        let detailed = Columns::new([
            ("STATUS", Align::Left),
            ("PAYMENT", Align::Left),
            ("AMOUNT", Align::Right),
            ("BENEFICIARY", Align::Left),
            ("ATTEMPTS", Align::Right),
            ("BLOB", Align::Right),
        ]);
        let plain = Columns::new([("STATUS", Align::Left), ("PAYMENT", Align::Left)]);
        let (status, json) = (options.status, options.json);
        Self { day, status, json, plain, detailed, payments: 0, unreadable: 0, moved_on: 0 }
    }

    fn print(&mut self, references: &[PaymentRef]) -> anyhow::Result<()> {
        if references.is_empty() {
            return Ok(());
        }
        self.payments += references.len() as u64;
        let lines = if self.json {
            references.iter().map(|r| format!("{}\n", indexed(r, self.status))).collect()
        } else {
            let row = |r: &PaymentRef| [self.status.to_string(), r.to_string()];
            let rows = references.iter().map(row).collect();
            self.plain.lines(rows)
        };
        Ok(output::print(&lines)?)
    }

    fn print_details(&mut self, details: DuePayments) -> anyhow::Result<()> {
        let mut page = Vec::with_capacity(details.len());
        for (reference, stored) in details {
            match stored {
                Ok(stored) if stored.status == self.status => page.push(stored),
                Ok(_) => self.moved_on += 1,
                Err(error) => {
                    self.unreadable += 1;
                    eprintln!("dueflow: {reference}: {error}");
                }
            }
        }
        if page.is_empty() {
            return Ok(());
        }
        self.payments += page.len() as u64;
        let lines = if self.json {
            let line = |stored| Ok(format!("{}\n", serde_json::to_string(&fields(stored)?)?));
            page.iter().map(line).collect::<anyhow::Result<String>>()?
        } else {
            let rows = page.iter().map(row).collect::<anyhow::Result<_>>()?;
            self.detailed.lines(rows)
        };
        Ok(output::print(&lines)?)
    }

    fn finish(&self, cursor: Option<&DueCursor>) -> anyhow::Result<ExitCode> {
        let Self { day, status, payments, unreadable, moved_on, .. } = *self;
        let cursor = cursor.map(ToString::to_string);
        let text = if self.json {
            let summary = json!({
                "payments": payments, "unreadable": unreadable, "moved_on": moved_on,
                "whole": cursor.is_none(), "cursor": cursor,
            });
            format!("{}\n", json!({ "summary": summary }))
        } else {
            let mut text = format!("{payments} payments of {day} are {status}");
            if moved_on > 0 {
                text += &format!("; {moved_on} moved on meanwhile");
            }
            if unreadable > 0 {
                text += &format!("; {unreadable} entries are no payments");
            }
            if let Some(cursor) = cursor {
                text += &format!("; go on with --cursor {cursor}");
            }
            text + "\n"
        };
        output::print(&text)?;
        Ok(if unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn row(stored: &StoredPayment) -> anyhow::Result<[String; 6]> {
    let payment = &stored.payment;
    Ok([
        stored.status.to_string(),
        payment.reference().to_string(),
        money(payment),
        payment.beneficiary.to_string(),
        stored.attempts.to_string(),
        blob(stored)?,
    ])
}
