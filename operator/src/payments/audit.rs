//! `dueflow payments audit`: every item of the payments table against the item contract.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use aws_sdk_dynamodb::types::AttributeValue;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::audit::Violation;
use shared::payments::{
    ApplyResult, Change, ChangeError, ItemAttributes, PaymentStore, PaymentsTable, attribute,
};
use shared::queue::{DeadLetterQueue, DeadLetterSource, Producer};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::output;
use crate::line_limit::LineLimit;

/// Help on what `payments audit` does.
pub(super) const AUDIT_HELP: &str = "\
The audit reads the whole table. Run it after an upgrade, after a relay has reported a gap, and when \
another program has written to the table. It lists each item that breaks docs/item-contract.md: an \
item that does not read as a payment, whose keys do not follow from it (with DUEFLOW_DUE_SHARDS), that \
says it was created in the future, or that another program has written over. Without --withhold it \
changes nothing.

With --withhold each listed item that is SCHEDULED gets a dead letter and becomes FAILED, so that it \
is not paid before a person has decided (docs/runbooks/dead-letters.md). Items in another status are \
only listed. Run the audit again at any time.

Exit status: 0 when nothing was found, 1 when something was found (withheld or not) or a call failed, \
64 for bad usage or settings.";

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);

/// Options of `payments audit`.
#[derive(Debug, Args)]
pub struct AuditOptions {
    /// Make what was found FAILED, with a dead letter each. Without this it is only listed.
    #[arg(long)]
    pub withhold: bool,
    /// Parts of the table that are read at the same time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub segments: u16,
    /// Print so many lines at most and count the rest. [default: 100, with --json all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Print a line of JSON for each item that was found, and a summary as the last line.
    #[arg(long)]
    pub json: bool,
}

/// What was done about an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AuditAction {
    /// Listed: a dry run.
    Listed,
    /// It has a dead letter and is FAILED.
    Withheld,
    /// It does not wait, or no statement can name it.
    CannotBeWithheld,
    /// It changed before it could be withheld.
    MovedOn,
}

impl AuditAction {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Withheld => "withheld",
            Self::CannotBeWithheld => "cannot be withheld",
            Self::MovedOn => "changed meanwhile",
        }
    }
}

/// What one audit works with.
#[derive(Debug)]
struct Audit {
    table: PaymentsTable,
    /// With `--withhold`.
    dead_letters: Option<DeadLetterQueue>,
    segments: u16,
    items: AtomicU64,
}

/// The command.
pub(crate) async fn audit(
    common: &Common,
    AuditOptions { withhold, segments, limit, json }: AuditOptions,
) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let (name, client) = (common.names.payments_table(), aws.dynamodb("audit"));
    let dead_letters = match withhold {
        true => {
            let producer = Producer::open(&aws, common.names.dead_letter_queue()).await?;
            Some(DeadLetterQueue::new(producer, "audit"))
        }
        false => None,
    };
    let table = PaymentsTable::new(client, &name, common.due_shards);
    let items = AtomicU64::new(0);
    let audit = Arc::new(Audit { table, dead_letters, segments, items });
    let (found, mut finding) = mpsc::channel(64);
    let mut reading = JoinSet::new();
    for segment in 0..segments {
        let (audit, found) = (Arc::clone(&audit), found.clone());
        reading.spawn(async move { audit.segment(segment, found).await });
    }
    drop(found);
    let (mut violations, mut withheld) = (0_u64, 0_u64);
    let mut lines = LineLimit::new(limit, json);
    let mut progress = tokio::time::interval(PROGRESS);
    progress.tick().await;
    loop {
        tokio::select! {
            next = finding.recv() => {
                let Some((violation, done)) = next else { break };
                violations += 1;
                withheld += u64::from(done == AuditAction::Withheld);
                if lines.takes() {
                    output::unheard(output::print(&line(&violation, done, json)))?;
                }
            }
            _ = progress.tick() => {
                let items = audit.items.load(Ordering::Relaxed);
                eprintln!("{items} items looked at, {violations} found");
            }
        }
    }
    while let Some(ended) = reading.join_next().await {
        ended??;
    }
    let items = audit.items.load(Ordering::Relaxed);
    let summary = if json {
        let summary = json!({ "items": items, "found": violations, "withheld": withheld, "not_printed": lines.rest() });
        format!("{}\n", json!({ "summary": summary }))
    } else {
        let hint = if violations > 0 && !withhold {
            "; --withhold makes those that wait FAILED"
        } else {
            ""
        };
        let rest = lines.rest_line("items");
        format!(
            "{rest}{items} items, {violations} break the contract, {withheld} withheld now{hint}\n"
        )
    };
    output::unheard(output::print(&summary))?;
    Ok(if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Audit {
    /// One part of the table, page by page.
    async fn segment(
        &self,
        segment: u16,
        found: mpsc::Sender<(Violation, AuditAction)>,
    ) -> anyhow::Result<()> {
        let mut cursor = None;
        loop {
            let place = (segment, self.segments);
            let page = self.table.audit_page(place, cursor, Timestamp::now()).await?;
            self.items.fetch_add(page.items, Ordering::Relaxed);
            for violation in page.violations {
                let done = self.deal_with(&violation).await?;
                if found.send((violation, done)).await.is_err() {
                    return Ok(());
                }
            }
            match page.next {
                None => return Ok(()),
                next => cursor = next,
            }
        }
    }

    /// The dead letter first, then the status: no position brings the item again, so what an
    /// audit that dies in between leaves must be found by the next one.
    async fn deal_with(&self, violation: &Violation) -> anyhow::Result<AuditAction> {
        let Some(dead_letters) = &self.dead_letters else { return Ok(AuditAction::Listed) };
        let Some((reference, attempts)) = &violation.withheld_at else {
            return Ok(AuditAction::CannotBeWithheld);
        };
        let failure = &violation.failure;
        let source = DeadLetterSource::Audit(reference, *attempts);
        let raw = raw(&violation.item).to_string();
        let sent = match &violation.payment {
            Some(payment) => {
                dead_letters.send_payment(source, payment, Some(raw), failure.clone()).await
            }
            None => dead_letters.send_unreadable(source, raw, failure.clone()).await,
        };
        sent.context("writing a dead letter")?;
        let change = match attempts {
            0 => Change::Withhold(reference, failure),
            attempts => Change::WithholdReplayed(reference, failure, *attempts),
        };
        let applied = self.table.apply(&[change], Timestamp::now()).await?.pop();
        match applied.context("the table gave no result")? {
            Ok(ApplyResult::Now | ApplyResult::Before) => {
                // One that dies before this leaves a dead letter that the item does not know of:
                // a message that still comes for it has a second one written.
                let before = violation.item.digits(attribute::DEAD_LETTERS);
                let before = before.and_then(|count| count.parse::<u32>().ok()).unwrap_or_default();
                let noted = Change::DeadLettered(reference, *attempts, before.saturating_add(1));
                self.table.apply(&[noted], Timestamp::now()).await?;
                Ok(AuditAction::Withheld)
            }
            Err(error @ ChangeError::Database { .. }) => Err(error.into()),
            Err(
                ChangeError::InStatus(_)
                | ChangeError::Mismatch(_)
                | ChangeError::Missing
                | ChangeError::Item(_),
            ) => Ok(AuditAction::MovedOn),
        }
    }
}

fn line(violation: &Violation, done: AuditAction, as_json: bool) -> String {
    let Violation { keys: (partition, sort), status, failure, .. } = violation;
    let status = status.map_or("no status", |status| status.as_str());
    if as_json {
        let line = json!({
            "PK": partition, "SK": sort, "Status": status, "code": failure.code,
            "reason": failure.reason, "done": done.as_str(),
        });
        return format!("{line}\n");
    }
    let (code, reason) = (failure.code, &failure.reason);
    format!("{partition} {sort}: {status}: {code}: {reason} ({})\n", done.as_str())
}

/// The item in `DynamoDB`'s own JSON.
fn raw(item: &HashMap<String, AttributeValue>) -> Value {
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(digits) => json!({ "N": digits }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        other => json!({ "other": format!("{other:?}") }),
    };
    item.iter().map(|(name, content)| (name.clone(), value(content))).collect()
}
