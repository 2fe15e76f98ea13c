//! `dueflow reconcile`: no two payments have one transaction id.
//!
//! A transaction id is one payment's. On their way payments are held against those that a
//! process saw last (`shared::transaction::UniqueTransactionIds`); here all of both tables are, exactly.
//!
//! | module | room |
//! |---|---|
//! | `repeats` | which ids come again, in bounded memory |
//! | `report` | what is printed |

mod repeats;
mod report;

use std::process::ExitCode;

use clap::Args;
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::archive::{PaymentsAndArchive, SettledPayment};
use shared::retry;
use shared::telemetry::Metrics;

use crate::archive::units;
use repeats::{Candidates, Repeats};

/// Options of `reconcile`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ReconcileOptions {
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

const HELP: &str = "\
It reads the payments table and the archive whole, twice, and changes nothing; both readings cost \
read units (--json says how many). A payment that is settled meanwhile may be missed: run it \
again. What to do with a finding: docs/runbooks/dead-letters.md#conflict.

Exit status: 0 when each transaction id is one payment's, 1 when one is not or something could \
not be read, 64 for bad usage or settings.";

/// The command.
pub(crate) async fn reconcile(
    common: &Common,
    options: &ReconcileOptions,
) -> anyhow::Result<ExitCode> {
    let metrics = Metrics::install(&[])?;
    let aws = Aws::from_environment().await;
    let tables =
        PaymentsAndArchive::new(&aws.dynamodb("reconcile"), &common.names, common.due_shards);
    let mut candidates = Candidates::default();
    each_settled(&tables, |settled| candidates.note(&settled.transaction_id)).await?;
    let mut repeats = Repeats::of(candidates);
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
