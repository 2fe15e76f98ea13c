//! `dueflow payments show`: one payment.

use std::process::ExitCode;

use serde_json::{Map, Value, json};
use shared::aws::Aws;
use shared::config::Common;
use shared::domain::Data;
use shared::payments::{PaymentStore, PaymentsTable, StoredPayment};

use crate::cli::ShowOptions;

/// The command.
pub(crate) async fn show(common: &Common, options: ShowOptions) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let name = common.names.payments_table();
    let table = PaymentsTable::new(aws.dynamodb("show"), &name, common.due_shards);
    let Some(mut stored) = table.get(&options.reference).await? else {
        eprintln!("dueflow: {} is not in the table {name}", options.reference);
        return Ok(ExitCode::FAILURE);
    };
    if let Some(digest) = stored.payment.blob_beside() {
        let blobs = table.blobs(&[(options.reference.clone(), digest)]).await?;
        match blobs.into_iter().next() {
            Some(Ok(blob)) => stored.payment.data = Some(Data::Whole(blob)),
            // The rest of the payment can be shown all the same, with the digest.
            Some(Err(error)) => eprintln!("dueflow: {error}"),
            None => {}
        }
    }
    let fields = fields(&stored)?;
    if options.json {
        println!("{}", serde_json::to_string(&fields)?);
    } else {
        for (name, value) in fields {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            println!("{name:<14} {text}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// All there is to show, by the bank's names.
fn fields(stored: &StoredPayment) -> anyhow::Result<Map<String, Value>> {
    let mut fields = Map::new();
    fields.insert("Status".to_owned(), json!(stored.status.as_str()));
    if let Value::Object(payment) = serde_json::to_value(&stored.payment)? {
        fields.extend(payment);
    }
    fields.insert("UpdatedAt".to_owned(), json!(stored.updated_at.to_string()));
    fields.insert("Attempts".to_owned(), json!(stored.attempts));
    if let Some(transaction_id) = &stored.transaction_id {
        fields.insert("TransactionID".to_owned(), json!(transaction_id));
    }
    if let Some(settled_at) = stored.settled_at {
        fields.insert("SettledAt".to_owned(), json!(settled_at.to_string()));
    }
    if let Some(failure) = &stored.failure {
        fields.insert("FailureCode".to_owned(), json!(failure.code));
        fields.insert("FailureReason".to_owned(), json!(failure.reason));
    }
    Ok(fields)
}
