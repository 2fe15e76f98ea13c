//! `dueflow payments cancel`: an owner withdraws payments before they leave.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::process::ExitCode;

use domain::{PaymentRef, Status};
use jiff::Timestamp;
use serde_json::json;
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::{
    ApplyResult, Change, ChangeError, DueTable, PaymentStore, PaymentsTable, StoredPayment,
};

use super::options::CancelOptions;
use super::output;
use crate::actions::{ActionOnPayment, ActionRun, Intent};

/// Payments in one round: what one `BatchGetItem` returns, and four batches of writes.
const ROUND: usize = 100;

/// What becomes of one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Decision {
    /// It would be cancelled.
    Planned,
    /// It is cancelled now.
    Cancelled,
    /// It was cancelled before.
    CancelledBefore,
    /// It may not be cancelled.
    Refused(CancelRefusal),
    /// It could not be.
    Failed(String),
}

/// Why a payment is not cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
enum CancelRefusal {
    /// PENDING.
    UnderWay,
    /// PROCESSED.
    Paid { transaction_id: Option<String> },
    /// FAILED.
    Failed,
    /// SCHEDULED again by a replay.
    Replayed,
    /// CANCELLED after it had been attempted.
    GivenUp,
    /// The table does not hold it.
    NotFound,
}

/// What may be done with a payment that the table holds like this: pure, and the same as the
/// condition of the write.
fn decide(stored: &StoredPayment) -> Decision {
    let untried = stored.attempts == 0;
    match stored.status {
        Status::Scheduled if untried => Decision::Planned,
        Status::Cancelled if untried => Decision::CancelledBefore,
        Status::Scheduled => Decision::Refused(CancelRefusal::Replayed),
        Status::Cancelled => Decision::Refused(CancelRefusal::GivenUp),
        Status::Pending => Decision::Refused(CancelRefusal::UnderWay),
        Status::Processed => {
            let transaction_id = stored.transaction_id.clone();
            Decision::Refused(CancelRefusal::Paid { transaction_id })
        }
        Status::Failed => Decision::Refused(CancelRefusal::Failed),
    }
}

/// What the result of the write says.
fn made(result: Result<ApplyResult, ChangeError>) -> Decision {
    match result {
        Ok(ApplyResult::Now) => Decision::Cancelled,
        Ok(ApplyResult::Before) => Decision::CancelledBefore,
        Err(ChangeError::Missing) => Decision::Refused(CancelRefusal::NotFound),
        Err(ChangeError::InStatus(stored)) => match decide(&stored) {
            // The condition failed on an item that meets it.
            Decision::Planned => Decision::Failed("it changed meanwhile: run it again".to_owned()),
            decision => decision,
        },
        Err(
            error
            @ (ChangeError::Mismatch(_) | ChangeError::Item(_) | ChangeError::Database { .. }),
        ) => Decision::Failed(error.to_string()),
    }
}

/// The command.
pub(crate) async fn cancel(common: &Common, options: CancelOptions) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let name = common.names.payments_table();
    let table = PaymentsTable::new(aws.dynamodb("cancel"), &name, common.due_shards);
    let mut named = HashSet::new();
    let references = options.references.iter().filter(|reference| named.insert(*reference));
    let references: Vec<_> = references.cloned().collect();
    let mut report = CancelReport { json: options.json, counts: BTreeMap::new(), unclean: 0 };
    let actions = if options.execute {
        let first = references.first().map(ToString::to_string).unwrap_or_default();
        let what = format!("{} payments from {first} on", references.len());
        let intent = Intent { command: "payments cancel", because: options.because, what };
        Some(ActionRun::begin(&aws, &common.names, intent).await?)
    } else {
        None
    };
    for round in references.chunks(ROUND) {
        let decisions = match &actions {
            Some(actions) => execute(&table, round, actions).await?,
            None => plan(&table, round).await?,
        };
        for (reference, decision) in round.iter().zip(&decisions) {
            report.enter(reference, decision)?;
        }
    }
    if let Some(actions) = actions {
        actions.end(report.counts()).await;
    }
    report.finish(options.execute)
}

/// What would be done.
async fn plan(table: &PaymentsTable, references: &[PaymentRef]) -> anyhow::Result<Vec<Decision>> {
    let mut found = table.get_many(references).await?.into_iter().peekable();
    let decisions =
        references.iter().map(|reference| match found.next_if(|(found, _)| found == reference) {
            None => Decision::Refused(CancelRefusal::NotFound),
            Some((_, Ok(stored))) => decide(&stored),
            Some((_, Err(error))) => Decision::Failed(ChangeError::Item(error).to_string()),
        });
    Ok(decisions.collect())
}

/// Does it, each payment on the condition of its own write.
async fn execute(
    table: &PaymentsTable,
    references: &[PaymentRef],
    actions: &ActionRun,
) -> anyhow::Result<Vec<Decision>> {
    let note = |reference: &PaymentRef, outcome: String| {
        let subject = reference.to_string();
        ActionOnPayment { subject, outcome }
    };
    let planned = references.iter().map(|reference| note(reference, "cancel".to_owned()));
    actions.note(planned.collect()).await?;
    let changes: Vec<_> = references.iter().map(Change::Cancel).collect();
    let results = table.apply(&changes, Timestamp::now()).await?;
    let decisions: Vec<_> = results.into_iter().map(made).collect();
    let undone = references.iter().zip(&decisions).filter(|(_, decision)| !decision.is_clean());
    let undone = undone
        .map(|(reference, decision)| note(reference, format!("{}: {decision}", decision.as_str())));
    actions.note_afterwards(undone.collect()).await;
    Ok(decisions)
}

impl Decision {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Planned => "cancel",
            Self::Cancelled => "cancelled",
            Self::CancelledBefore => "before",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    const fn is_clean(&self) -> bool {
        match self {
            Self::Planned | Self::Cancelled | Self::CancelledBefore => true,
            Self::Refused(_) | Self::Failed(_) => false,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planned => f.write_str("it is SCHEDULED and was never attempted"),
            Self::Cancelled => f.write_str("it is CANCELLED"),
            Self::CancelledBefore => f.write_str("it was CANCELLED before"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl fmt::Display for CancelRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnderWay => f.write_str("too late: it is PENDING and may have been submitted"),
            Self::Paid { transaction_id } => {
                let id = transaction_id.as_deref().unwrap_or("no transaction id");
                write!(f, "too late: it is PROCESSED with {id}")
            }
            Self::Failed => f.write_str("it FAILED and leaves no more by itself: see dueflow dlq"),
            Self::Replayed => {
                f.write_str("it was replayed, so an earlier attempt may have been settled")
            }
            Self::GivenUp => f.write_str("it was attempted and then given up, not withdrawn"),
            Self::NotFound => f.write_str("the table holds no such payment"),
        }
    }
}

/// What a whole run came to.
struct CancelReport {
    json: bool,
    counts: BTreeMap<&'static str, u64>,
    unclean: u64,
}

impl CancelReport {
    fn enter(&mut self, reference: &PaymentRef, decision: &Decision) -> anyhow::Result<()> {
        let state = decision.as_str();
        *self.counts.entry(state).or_default() += 1;
        self.unclean += u64::from(!decision.is_clean());
        let line = if self.json {
            let why = decision.to_string();
            format!("{}\n", json!({ "reference": reference, "state": state, "why": why }))
        } else {
            format!("{state:<9}  {reference}  {decision}\n")
        };
        Ok(output::unheard(output::print(&line))?)
    }

    fn counts(&self) -> String {
        let counts = self.counts.iter().map(|(state, count)| format!("{count} {state}"));
        counts.collect::<Vec<_>>().join(", ")
    }

    fn finish(&self, executed: bool) -> anyhow::Result<ExitCode> {
        let text = if self.json {
            let summary = json!({ "execute": executed, "payments": self.counts });
            format!("{}\n", json!({ "summary": summary }))
        } else {
            let counts = self.counts();
            let dry = "This was a dry run: nothing was changed. --execute does it.\n";
            format!("{counts}\n{}", if executed { "" } else { dry })
        };
        output::unheard(output::print(&text))?;
        Ok(if self.unclean == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
