//! `dueflow payments show`: one payment, in whichever of the two tables it is.

use std::process::ExitCode;

use clap::Args;
use domain::{Data, KeyStatus, Payment, PaymentRef, Status};
use serde_json::{Map, Value};
use shared::aws::Aws;
use shared::config::{Common, Settings};
use shared::http::chain;
use shared::payments::archive::{ArchiveLookup, ArchiveTable};
use shared::payments::{PaymentStore, PaymentsTable, StoredPayment, attribute};
use shared::transaction::{TransactionClient, TransactionService, TransactionSettings};

use super::fields::{fields, money};
use super::output;
use crate::escape::escaped;

/// Options of `payments show`.
#[derive(Debug, Args)]
pub struct ShowOptions {
    /// The payment: `<AccountID>/<ScheduledDate>/<PaymentID>`.
    #[arg(value_name = "REF")]
    pub reference: PaymentRef,
    /// Print it as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Whether the payment lies in the archive: not an attribute, but what people ask.
const ARCHIVED: &str = "Archived";

/// What the transaction service says of a payment that is PENDING or FAILED: not an attribute
/// either. It is asked for, because writing down why an answer was of no use would cost a write
/// for each attempt.
const SAYS: &str = "TransactionService";

/// Where a command that only looks asks, if an address is set.
pub(crate) fn transaction_if_set(settings: &mut Settings) -> Option<Option<TransactionSettings>> {
    if settings.optional("DUEFLOW_TRANSACTION_URL").is_none() {
        return Some(None);
    }
    TransactionSettings::read(settings).map(Some)
}

/// The command. Exit status 1 when neither table holds the payment.
pub(crate) async fn show(
    common: &Common,
    transaction: Option<&TransactionSettings>,
    options: ShowOptions,
) -> anyhow::Result<ExitCode> {
    let (aws, names) = (Aws::from_environment().await, &common.names);
    let (name, archive) = (names.payments_table(), names.archive_table());
    let (stored, archived) = match in_payments(&aws, &name, common, &options.reference).await? {
        Some(stored) => (Some(stored), false),
        // Asked second: a payment is in the archive before it leaves the payments table.
        None => {
            let archive = ArchiveTable::new(aws.dynamodb("show"), &archive, common.due_shards);
            (archive.find(&options.reference).await?, true)
        }
    };
    let Some(stored) = stored else {
        eprintln!("dueflow: {} is neither in {name} nor in {archive}", options.reference);
        return Ok(ExitCode::FAILURE);
    };
    let mut fields = fields(&stored)?;
    if archived {
        fields.insert(ARCHIVED.to_owned(), Value::Bool(true));
    }
    if let Some(settings) = transaction.filter(|_| !archived && is_open(&stored)) {
        fields.insert(SAYS.to_owned(), Value::String(says(settings, &stored.payment).await));
    }
    let text = if options.json {
        format!("{}\n", serde_json::to_string(&fields)?)
    } else {
        for_people(&stored, fields)
    };
    output::ended(output::print(&text).map(|()| ExitCode::SUCCESS).map_err(Into::into))
}

/// Whether the transaction service may know more of a payment than its item tells.
fn is_open(stored: &StoredPayment) -> bool {
    match stored.status {
        Status::Pending | Status::Failed => true,
        Status::Scheduled | Status::Processed | Status::Cancelled => false,
    }
}

/// What the transaction service says of a payment at this moment, or what is wrong with its
/// answer. Nothing is changed by it.
pub(crate) async fn says(settings: &TransactionSettings, payment: &Payment) -> String {
    let client = match TransactionClient::new(settings) {
        Ok(client) => client,
        Err(error) => return format!("not asked: {}", chain(&error)),
    };
    match client.find(payment.into()).await {
        KeyStatus::Settled(settlement) => {
            format!("settled as {} at {}", settlement.transaction_id, settlement.settled_at)
        }
        KeyStatus::UnderWay => "taken, and not ended yet".to_owned(),
        KeyStatus::Rejected { reason } => format!("taken, and refused for good: {reason}"),
        KeyStatus::Nothing => "nothing was settled or taken under its key so far".to_owned(),
        KeyStatus::NoAnswer { reason, .. } => format!("no answer that counts: {reason}"),
    }
}

/// The payment with its blob, if the payments table holds it.
async fn in_payments(
    aws: &Aws,
    name: &str,
    common: &Common,
    reference: &PaymentRef,
) -> anyhow::Result<Option<StoredPayment>> {
    let table = PaymentsTable::new(aws.dynamodb("show"), name, common.due_shards);
    let Some(mut stored) = table.get(reference).await? else { return Ok(None) };
    if let Some(digest) = stored.payment.blob_beside() {
        let blobs = table.blobs(&[(reference.clone(), digest)]).await?;
        match blobs.into_iter().next() {
            Some(Ok(blob)) => stored.payment.data = Some(Data::Whole(blob)),
            // The rest of the payment can be shown all the same, with the digest.
            Some(Err(error)) => eprintln!("dueflow: {error}"),
            None => {}
        }
    }
    Ok(Some(stored))
}

/// One attribute a line, the amount also as people write it.
pub(crate) fn for_people(stored: &StoredPayment, fields: Map<String, Value>) -> String {
    let line = |(name, value): (String, Value)| {
        let text = match (name.as_str(), value) {
            (attribute::AMOUNT, minor) => format!("{} ({minor})", money(&stored.payment)),
            // Of the bank's, so it may hold what a terminal would obey.
            (_, Value::String(text)) => escaped(&text),
            (_, value) => value.to_string(),
        };
        format!("{name:<18} {text}\n")
    };
    fields.into_iter().map(line).collect()
}
