//! The bodies of answers, read strictly: what is not as the contract has it says nothing.
//! Whatever is wrong is told by name and place, without a value: it is logged.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::error::Category;

use super::contract::{ContractSettings, EchoPolicy};
use domain::{KeyQuery, RefusalCode, Settlement};

/// The members that answers may have. Each is read as whatever it is, so that a wrong one can
/// be named; one that comes twice is refused by the parser.
#[derive(Debug, Default, Deserialize)]
struct AnswerMembers {
    payment_id: Option<Value>,
    amount: Option<Value>,
    currency: Option<Value>,
    status: Option<Value>,
    transaction_id: Option<Value>,
    settled_at: Option<Value>,
}

/// The body of an error: exactly these members.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorBody {
    code: String,
    reason: String,
    payment_id: Option<Value>,
    amount: Option<Value>,
    currency: Option<Value>,
    status: Option<Value>,
}

/// An error in the contract's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorAnswer {
    pub(super) code: RefusalCode,
    pub(super) reason: String,
    pub(super) what: ErrorSubject,
}

/// What an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorSubject {
    /// Of this request.
    Request,
    /// Of a payment that was taken with 202 and has been refused since.
    Taken,
}

/// Reads a settlement of what was asked for.
pub(super) fn settlement(
    body: &[u8],
    asked: &KeyQuery,
    contract: &ContractSettings,
) -> Result<Settlement, String> {
    let members = members(body)?;
    members.has_status("settled")?;
    members.echoes(asked, contract.echo)?;
    let id = text("transaction_id", members.transaction_id.as_ref())?;
    let settled_at: Timestamp = text("settled_at", members.settled_at.as_ref())?
        .parse()
        .map_err(|_| "settled_at: not a time as RFC 3339 has it")?;
    Settlement::new(id.to_owned(), settled_at).ok_or_else(|| {
        format!(
            "transaction_id: not 1 to {} bytes without control characters, one of them visible",
            Settlement::MAX_TRANSACTION_ID_BYTES
        )
    })
}

/// Reads that what was asked for was taken for later settlement.
pub(super) fn acceptance(
    body: &[u8],
    asked: &KeyQuery,
    contract: &ContractSettings,
) -> Result<(), String> {
    let members = members(body)?;
    members.has_status("accepted")?;
    members.echoes(asked, contract.echo)
}

/// Reads an error.
pub(super) fn error(
    body: &[u8],
    asked: &KeyQuery,
    contract: &ContractSettings,
) -> Result<ErrorAnswer, String> {
    let error: ErrorBody = serde_json::from_slice(body).map_err(|error| place(&error, body))?;
    let code = contract.codes.take(&error.code).map_err(|error| format!("code: {error}"))?;
    if error.reason.is_empty() {
        return Err("reason: empty".to_owned());
    }
    let ErrorBody { reason, payment_id, amount, currency, status, .. } = error;
    let members =
        AnswerMembers { payment_id, amount, currency, status, ..AnswerMembers::default() };
    let what = if members.status.is_some() {
        members.has_status("rejected")?;
        // Whatever the setting says: only a service that knows of this kind of answer gives it.
        members.echoes(asked, EchoPolicy::Required)?;
        ErrorSubject::Taken
    } else {
        members.echoes(asked, EchoPolicy::Accepted)?;
        ErrorSubject::Request
    };
    Ok(ErrorAnswer { code, reason, what })
}

fn members(body: &[u8]) -> Result<AnswerMembers, String> {
    serde_json::from_slice(body).map_err(|error| place(&error, body))
}

impl AnswerMembers {
    fn has_status(&self, needed: &str) -> Result<(), String> {
        match text("status", self.status.as_ref())? {
            status if status == needed => Ok(()),
            // Its own words are shown only when they are the contract's.
            status @ ("settled" | "accepted" | "rejected" | "pending" | "failed") => {
                Err(format!("status: {status}, not {needed}"))
            }
            _ => Err(format!("status: not {needed}")),
        }
    }

    /// Whether the answer names what was asked for.
    fn echoes(&self, asked: &KeyQuery, echo: EchoPolicy) -> Result<(), String> {
        let needed = |member: &Option<Value>| member.is_some() || echo == EchoPolicy::Required;
        if needed(&self.payment_id)
            && text("payment_id", self.payment_id.as_ref())? != asked.key.to_string()
        {
            return Err("payment_id: another payment's".to_owned());
        }
        let Some((amount, currency)) = asked.money else { return Ok(()) };
        if needed(&self.amount) {
            let echoed = match &self.amount {
                None => return Err(missing("amount")),
                Some(Value::Number(number)) => number.as_i64(),
                Some(other) => return Err(format!("amount: {}, not a number", kind(other))),
            };
            if echoed != Some(amount.minor_units()) {
                return Err("amount: not the payment's".to_owned());
            }
        }
        if needed(&self.currency) && text("currency", self.currency.as_ref())? != currency.code() {
            return Err("currency: not the payment's".to_owned());
        }
        Ok(())
    }
}

fn text<'a>(name: &str, member: Option<&'a Value>) -> Result<&'a str, String> {
    match member {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("{name}: {}, not a text", kind(other))),
        None => Err(missing(name)),
    }
}

fn missing(name: &str) -> String {
    let echoed = ["payment_id", "amount", "currency"].contains(&name);
    let remedy = " (a service that does not echo yet needs DUEFLOW_TRANSACTION_ECHO=accepted)";
    format!("{name}: missing{}", if echoed { remedy } else { "" })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Of which kind an error is and where. The parser's own words may quote the body.
fn place(error: &serde_json::Error, body: &[u8]) -> String {
    if body.is_empty() {
        return "it is empty".to_owned();
    }
    if body.starts_with(b"\xef\xbb\xbf") {
        return "it begins with a byte order mark, which JSON does not have".to_owned();
    }
    let kind = match error.classify() {
        Category::Io => "it cannot be read",
        Category::Syntax => "it is no JSON",
        Category::Data => "its members are not the contract's",
        Category::Eof => "it ends early",
    };
    format!("{kind} (line {}, column {})", error.line(), error.column())
}
