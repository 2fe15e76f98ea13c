//! `dueflow reconcile`: the books of a day; and no two payments have one transaction id.
//!
//! A transaction id is one payment's. On their way payments are held against those that a
//! process saw last (`shared::transaction::UniqueTransactionIds`); here all of both tables are, exactly.
//!
//! | module | what it holds |
//! |---|---|
//! | `day` | the books of one day, with `--date` |
//! | `repeats` | which transaction ids come again, in bounded memory |
//! | `report` | what is printed of those |

mod day;
mod repeats;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use domain::DueDate;
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::archive::{PaymentsAndArchive, SettledPayment};
use shared::retry;
use shared::telemetry::Metrics;

use crate::archive::units;
use repeats::{Candidates, RepeatedIds};

/// Options of `reconcile`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ReconcileOptions {
    /// Reconcile the payments due on this day. [default: compare the transaction ids of all days]
    #[arg(long, value_name = "DATE")]
    pub date: Option<DueDate>,
    /// The transaction service's journal: a file of JSON lines, one for each settlement, with
    /// idempotency_key, transaction_id, amount in minor units and, if it has them, currency and
    /// scheduled_date.
    #[arg(long, value_name = "FILE", requires = "date")]
    pub journal: Option<PathBuf>,
    /// How many payments were scheduled for the day. Without it a payment that no table and no
    /// journal holds leaves no trace.
    #[arg(long, value_name = "N", requires = "date")]
    pub expect_count: Option<u64>,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

const HELP: &str = "\
With --date the command reads every payment of the day in the payments table and in the archive, the \
dead letters, the number of messages in both queues and, with --journal, the journal. Each payment \
must be in exactly one table and have ended: PROCESSED, settled once in the journal with the same \
amount, currency, date and transaction id; CANCELLED, and not settled; or FAILED, not settled and \
with a dead letter. Each settlement of the day must be a payment's; so must each without a \
scheduled_date, so give a journal without dates for this day alone. The command hides dead letters \
from others while it reads them, and proves nothing when it could not read all.

Without --date it reads the payments table and the archive whole, twice, and checks that no two \
payments have one transaction id; both readings cost read units (--json says how many). A payment \
that is settled meanwhile may be missed: run it again. What to do about a transaction id of two \
payments: docs/runbooks/dead-letters.md#conflict.

Nothing is changed. Exit status: 0 when nothing differs, 1 when something does or could not be read, \
64 for bad usage or settings.";

/// The command.
pub(crate) async fn reconcile(
    common: &Common,
    options: &ReconcileOptions,
) -> anyhow::Result<ExitCode> {
    if let Some(day) = options.date {
        return day::reconcile_day(common, day, options).await;
    }
    let metrics = Metrics::install(&[])?;
    let aws = Aws::from_environment().await;
    let tables =
        PaymentsAndArchive::new(&aws.dynamodb("reconcile"), &common.names, common.due_shards);
    let mut candidates = Candidates::default();
    each_settled(&tables, |settled| candidates.note(&settled.transaction_id)).await?;
    let mut repeats = RepeatedIds::of(candidates);
    if !repeats.is_empty() {
        each_settled(&tables, |settled| repeats.count(settled)).await?;
    }
    let report = repeats.finish();
    let (_, read_units) = units(&metrics);
    if options.json {
        println!("{}", report.as_json(read_units));
    } else {
        report.print();
    }
    Ok(if report.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Hands on what was settled. The payments table comes first: a move puts a payment into the
/// archive before it leaves the table, so each is seen in one of them.
async fn each_settled(
    tables: &PaymentsAndArchive,
    mut see: impl FnMut(&SettledPayment),
) -> anyhow::Result<()> {
    for archive in [false, true] {
        let mut cursor = None;
        let mut pauses = retry::TABLE_STATEMENTS.pauses();
        loop {
            let page = if archive {
                tables.settled_archived(cursor.clone()).await
            } else {
                tables.settled_payments(cursor.clone()).await
            };
            let page = match (page, pauses.next()) {
                (Ok(page), _) => page,
                (Err(_), Some(pause)) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                (Err(error), None) => return Err(error.into()),
            };
            pauses = retry::TABLE_STATEMENTS.pauses();
            page.settled.iter().for_each(&mut see);
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
    }
    Ok(())
}
