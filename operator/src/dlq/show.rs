//! `dueflow dlq show`: a dead letter whole, with what the table, the archive and the transaction
//! service have of its payment. It changes nothing, and submits nothing.

use std::cell::RefCell;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use domain::{Payment, PaymentRef};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::archive::{ArchiveLookup, ArchiveTable};
use shared::payments::{PaymentStore, PaymentsError, StoredPayment};
use shared::shutdown::Shutdown;
use shared::transaction::TransactionSettings;

use super::dead_letter::DeadLetterMessage;
use super::list::{heard, table};
use super::names::DeadLetterName;
use super::options::DlqShowOptions;
use super::reader::{DeadLetterReader, Unread};
use super::reading::{Looking, look_at_all};
use crate::age;
use crate::escape::escaped;
use crate::payments::{fields, for_people, says};

/// The command. Exit status 1 when nothing is found, or no dead letter.
pub(crate) async fn show(
    common: &Common,
    transaction: Option<&TransactionSettings>,
    options: DlqShowOptions,
) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let (dead_letters, left) = find(&aws, common, &options.id).await?;
    let named = match &options.id {
        DeadLetterName::Payment(reference) => Some(reference.clone()),
        DeadLetterName::Id(_) => dead_letters.iter().find_map(DeadLetterMessage::reference),
    };
    let known = match &named {
        Some(reference) => {
            let payment = dead_letters.iter().find_map(DeadLetterMessage::any_version);
            Some(Known::of(&aws, common, transaction, reference, payment).await?)
        }
        None => None,
    };
    if dead_letters.is_empty() {
        let unread = left.behind + left.in_flight;
        eprintln!("dueflow: no dead letter found; about {unread} could not be read");
        if known.is_none() {
            return Ok(ExitCode::FAILURE);
        }
    }
    let text = if options.json {
        let letters: Vec<_> = dead_letters.iter().map(DeadLetterMessage::json).collect();
        let known = known.as_ref().map(Known::json).transpose()?;
        let reference = named.as_ref().map(PaymentRef::to_string);
        let shown = json!({ "reference": reference, "dead_letters": letters, "payment": known });
        format!("{shown}\n")
    } else {
        let letters: String = dead_letters.iter().map(letter_for_people).collect();
        letters + &known.as_ref().map(Known::for_people).transpose()?.unwrap_or_default()
    };
    if let Err(error) = std::io::stdout().lock().write_all(text.as_bytes()) {
        return heard(error.into());
    }
    Ok(if dead_letters.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The dead letters of this name, and what was not looked at.
async fn find(
    aws: &Aws,
    common: &Common,
    name: &DeadLetterName,
) -> anyhow::Result<(Vec<DeadLetterMessage>, Unread)> {
    let shutdown = Shutdown::new(Duration::ZERO).on_signals()?;
    let reader = DeadLetterReader::open(aws, &common.names, shutdown).await?;
    let found = RefCell::new(Vec::new());
    let looked = look_at_all(&reader, async |dead_letters| {
        // A payment may have several.
        let mut found = found.borrow_mut();
        found.extend(dead_letters.into_iter().filter(|one| name.is_of(one)));
        let is_message = |one: &DeadLetterMessage| name.is_message(&one.message_id);
        Ok(if found.iter().any(is_message) { Looking::IsDone } else { Looking::GoesOn })
    });
    let looked = looked.await;
    let left = reader.finish(aws, &common.names).await?;
    looked?;
    Ok((found.into_inner(), left))
}

/// What is known of a payment.
struct Known {
    table: Option<StoredPayment>,
    /// Why the table's item cannot be shown.
    unreadable: Option<String>,
    archive: Option<StoredPayment>,
    service: String,
}

impl Known {
    async fn of(
        aws: &Aws,
        common: &Common,
        transaction: Option<&TransactionSettings>,
        reference: &PaymentRef,
        in_dead_letter: Option<Payment>,
    ) -> anyhow::Result<Self> {
        let (stored, unreadable) = match table(aws, common).get(reference).await {
            Ok(stored) => (stored, None),
            Err(PaymentsError::Item(error)) => (None, Some(error.to_string())),
            Err(error) => return Err(error).context("reading the payment"),
        };
        let name = common.names.archive_table();
        let archive = ArchiveTable::new(aws.dynamodb("archive"), &name, common.due_shards);
        let archive = archive.find(reference).await.context("reading the archive")?;
        let held = [&stored, &archive].into_iter().flatten().map(|held| held.payment.clone());
        let service = match (transaction, held.chain(in_dead_letter).next()) {
            (None, _) => "not asked: DUEFLOW_TRANSACTION_URL is not set".to_owned(),
            (Some(_), None) => "not asked: no version of the payment is known".to_owned(),
            (Some(settings), Some(payment)) => says(settings, &payment).await,
        };
        Ok(Self { table: stored, unreadable, archive, service })
    }

    fn json(&self) -> anyhow::Result<Value> {
        let held = |held: &Option<StoredPayment>| held.as_ref().map(fields).transpose();
        Ok(json!({
            "table": held(&self.table)?, "unreadable": self.unreadable,
            "archive": held(&self.archive)?, "transaction_service": self.service,
        }))
    }

    fn for_people(&self) -> anyhow::Result<String> {
        let part = |title: &str, held: &Option<StoredPayment>| {
            let Some(stored) = held else { return anyhow::Ok(format!("\n{title}: not there\n")) };
            Ok(format!("\n{title}\n{}", for_people(stored, fields(stored)?)))
        };
        let table = match &self.unreadable {
            Some(reason) => format!("\npayments table: the item is no payment: {reason}\n"),
            None => part("payments table", &self.table)?,
        };
        let (archive, service) = (part("archive", &self.archive)?, escaped(&self.service));
        Ok(format!("{table}{archive}\ntransaction service: {service}\n"))
    }
}

/// A field a line, objects with their own fields.
fn letter_for_people(dead_letter: &DeadLetterMessage) -> String {
    let now = Timestamp::now();
    let mut lines = String::from("dead letter\n");
    let Value::Object(fields) = dead_letter.json() else { return lines };
    for (name, value) in fields {
        let text = match value {
            Value::Null => continue,
            Value::Object(fields) => nested(fields),
            Value::String(text) => escaped(&text),
            value => value.to_string(),
        };
        lines += &format!("{name:<18} {text}\n");
    }
    if let Some(since) = dead_letter.since() {
        lines += &format!("{:<18} {}\n", "age", age::since(since, now));
    }
    lines
}

fn nested(fields: Map<String, Value>) -> String {
    let fields = fields.into_iter().map(|(name, value)| match value {
        Value::String(text) => format!("\n  {name:<16} {}", escaped(&text)),
        value => format!("\n  {name:<16} {value}"),
    });
    fields.collect()
}
