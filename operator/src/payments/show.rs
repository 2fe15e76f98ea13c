//! `dueflow payments show`: one payment.

use std::process::ExitCode;

use serde_json::{Map, Value};
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::{PaymentStore, PaymentsTable, StoredPayment, attribute};

use super::fields::{fields, money};
use super::output;
use crate::cli::ShowOptions;

/// The command. Exit status 1 when the table does not hold the payment.
pub(crate) async fn show(common: &Common, options: ShowOptions) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let name = common.names.payments_table();
    let table = PaymentsTable::new(aws.dynamodb("show"), &name, common.due_shards);
    let Some(stored) = table.get(&options.reference).await? else {
        eprintln!("dueflow: {} is not in the table {name}", options.reference);
        return Ok(ExitCode::FAILURE);
    };
    let fields = fields(&stored)?;
    let text = if options.json {
        format!("{}\n", serde_json::to_string(&fields)?)
    } else {
        for_people(&stored, fields)
    };
    output::ended(output::print(&text).map(|()| ExitCode::SUCCESS).map_err(Into::into))
}

/// One attribute a line, the amount also as people write it.
fn for_people(stored: &StoredPayment, fields: Map<String, Value>) -> String {
    let line = |(name, value): (String, Value)| {
        let text = match (name.as_str(), value) {
            (attribute::AMOUNT, minor) => format!("{} ({minor})", money(&stored.payment)),
            // Of the bank's, so it may hold what a terminal would obey.
            (_, Value::String(text)) => text.chars().flat_map(shown).collect(),
            (_, value) => value.to_string(),
        };
        format!("{name:<14} {text}\n")
    };
    fields.into_iter().map(line).collect()
}

/// A character, or how it is written when it is a control character.
fn shown(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}
