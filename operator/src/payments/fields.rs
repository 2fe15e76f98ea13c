//! A payment as people and programs read it.

use domain::{Money, Payment, PaymentRef, Status};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use shared::payments::{StoredPayment, attribute as a};

/// How many bytes the blob has: not an attribute of the table, but what people ask for.
pub(super) const BLOB_BYTES: &str = "DataBlobBytes";

/// All there is to show of a payment, by the table's names.
pub(crate) fn fields(stored: &StoredPayment) -> anyhow::Result<Map<String, Value>> {
    let time = |at: Timestamp| json!(at.to_string());
    let mut fields = Map::new();
    fields.insert(a::STATUS.to_owned(), json!(stored.status.as_str()));
    if let Value::Object(payment) = serde_json::to_value(&stored.payment)? {
        fields.extend(payment);
    }
    if let Some(bytes) = blob_bytes(&fields) {
        fields.insert(BLOB_BYTES.to_owned(), json!(bytes));
    }
    let mut add = |name: &str, value: Option<Value>| {
        fields.extend(value.map(|value| (name.to_owned(), value)));
    };
    add(a::UPDATED_AT, Some(time(stored.updated_at)));
    add(a::ATTEMPTS, Some(json!(stored.attempts)));
    add(a::ATTEMPTS_BEFORE, (stored.attempts_before > 0).then(|| json!(stored.attempts_before)));
    add(a::ATTEMPTS_NOT_DONE, (stored.not_done > 0).then(|| json!(stored.not_done)));
    add(a::CLAIMED_AT, stored.claimed_at.map(time));
    add(a::TRANSACTION_ID, stored.transaction_id.as_ref().map(|id| json!(id)));
    add(a::SETTLED_AT, stored.settled_at.map(time));
    add(a::FAILURE_CODE, stored.failure.as_ref().map(|failure| json!(failure.code)));
    add(a::FAILURE_REASON, stored.failure.as_ref().map(|failure| json!(failure.reason)));
    let letters = stored.dead_letters;
    add(a::DEAD_LETTERS, (letters.count > 0).then(|| json!(letters.count)));
    add(a::DEAD_LETTERED_AT, letters.last.map(time));
    Ok(fields)
}

/// What the index says of a payment, by the table's names.
pub(super) fn indexed(reference: &PaymentRef, status: Status) -> Value {
    json!({
        a::STATUS: status.as_str(), a::ACCOUNT: reference.account, a::DUE: reference.due,
        a::ID: reference.id,
    })
}

/// A payment's amount with its currency.
pub(super) fn money(payment: &Payment) -> String {
    Money { amount: payment.amount, currency: payment.currency }.to_string()
}

/// How large its blob is, for a column.
pub(super) fn blob(stored: &StoredPayment) -> anyhow::Result<String> {
    let fields = fields(stored)?;
    let beside = fields.keys().any(|name| name.starts_with("Blob"));
    Ok(match fields.get(BLOB_BYTES) {
        Some(bytes) => format!("{bytes} B"),
        None if beside => "beside".to_owned(),
        None => "-".to_owned(),
    })
}

fn blob_bytes(fields: &Map<String, Value>) -> Option<usize> {
    fields.get(a::DATA)?.as_str().map(str::len)
}
