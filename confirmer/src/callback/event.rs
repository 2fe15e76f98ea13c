//! What a callback says (`docs/transaction-service.yaml`, `webhooks`): pure.

use domain::{AccountId, Amount, Currency, Failure, FailureCode, Money, PaymentRef, Settlement};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::error::Category;
use shared::queue::{Confirmation, ReportedResult};
use shared::transaction::EchoPolicy;

#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "data")]
enum CallbackEvent {
    #[serde(rename = "transaction.settled")]
    Settled {
        #[serde(flatten)]
        payment: EventPayment,
        amount: Option<Amount>,
        currency: Option<Currency>,
        transaction_id: String,
        settled_at: Timestamp,
    },
    #[serde(rename = "transaction.rejected")]
    Rejected {
        #[serde(flatten)]
        payment: EventPayment,
        code: String,
        reason: String,
    },
}

#[derive(Debug, Deserialize)]
struct EventPayment {
    payment_id: String,
    account_id: String,
    scheduled_date: String,
}

impl EventPayment {
    fn parse(&self) -> Result<PaymentRef, String> {
        // Named, not shown: the reason is logged, and one member may hold another's value.
        Ok(PaymentRef {
            account: AccountId::parse(&*self.account_id)
                .map_err(|_| "account_id: not an account id")?,
            due: self.scheduled_date.parse().map_err(|_| "scheduled_date: not a date")?,
            id: self.payment_id.parse().map_err(|_| "payment_id: not a payment id")?,
        })
    }
}

/// Reads a callback's body.
///
/// # Errors
/// What is wrong with it, without its values: it is logged.
pub(super) fn read(body: &[u8], echo: EchoPolicy) -> Result<Confirmation, String> {
    let event: CallbackEvent = serde_json::from_slice(body).map_err(|error| place(&error))?;
    let (payment, result, money) = match event {
        CallbackEvent::Settled { payment, amount, currency, transaction_id, settled_at } => {
            let settlement = Settlement::new(transaction_id, settled_at)
                .ok_or("transaction_id: must be 1 to 64 bytes, printable")?;
            let money = match (amount, currency, echo) {
                (Some(amount), Some(currency), _) => Some(Money { amount, currency }),
                (None, None, EchoPolicy::Accepted) => None,
                _ => return Err("amount and currency: missing".to_owned()),
            };
            (payment, ReportedResult::Settled(settlement), money)
        }
        CallbackEvent::Rejected { payment, code, reason } => {
            let failure = Failure::new(FailureCode::Refused, format!("{code}: {reason}"));
            (payment, ReportedResult::Rejected(failure), None)
        }
    };
    Ok(Confirmation { payment: payment.parse()?, result, money, trace_key: None })
}

/// Of which kind an error is and where. Its own words quote the body.
fn place(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        Category::Io => "cannot be read",
        Category::Syntax => "is no JSON",
        Category::Data => "is no event",
        Category::Eof => "ends early",
    };
    format!("the body {kind}: line {}, column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLED: &str = r#"{"type":"transaction.settled","timestamp":"2026-11-23T01:00:00.000Z","data":{"payment_id":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab","account_id":"ACC-1","scheduled_date":"2026-11-23","amount":1250,"currency":"EUR","transaction_id":"T1","settled_at":"2026-11-23T01:00:00.000Z"}}"#;
    const REJECTED: &str = r#"{"type":"transaction.rejected","timestamp":"2026-11-23T01:00:00.000Z","data":{"payment_id":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab","account_id":"ACC-1","scheduled_date":"2026-11-23","code":"closed","reason":"the account is closed"}}"#;

    #[test]
    fn both_events_are_read_whole() {
        let settled = read(SETTLED.as_bytes(), EchoPolicy::Required).unwrap();
        let reference = "ACC-1/2026-11-23/019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
        assert_eq!(settled.payment.to_string(), reference);
        assert!(matches!(settled.result, ReportedResult::Settled(s) if s.transaction_id == "T1"));
        assert_eq!(settled.money.unwrap().to_string(), "12.50 EUR");
        let rejected = read(REJECTED.as_bytes(), EchoPolicy::Required).unwrap();
        assert_eq!(rejected.payment.to_string(), reference);
        let words = "closed: the account is closed";
        // Not `rejected`: that is what answers a submission, and may be submitted again.
        let failure = Failure::new(FailureCode::Refused, words);
        assert!(matches!(rejected.result, ReportedResult::Rejected(f) if f == failure));
    }

    #[test]
    fn what_is_wrong_is_told_without_a_value_of_the_body() {
        for (what, with) in [
            (r#""019ab1f4-5c1e-7d3a-8b2f-0123456789ab""#, r#""HUNTER2""#),
            (r#""ACC-1""#, r#""HUNTER2 #""#),
            (r#""2026-11-23","a"#, r#""HUNTER2","a"#),
            (r#""EUR""#, r#""HUNTER2""#),
            ("transaction.settled", "HUNTER2"),
            (r#""settled_at":"2026-11-23T01:00:00.000Z""#, r#""settled_at":"HUNTER2""#),
            ("}}", r#"},"HUNTER2""#),
        ] {
            let body = SETTLED.replace(what, with);
            assert!(body.contains("HUNTER2"), "{what}");
            let reason = read(body.as_bytes(), EchoPolicy::Required).unwrap_err();
            assert!(!reason.contains("HUNTER"), "{reason}");
        }
    }

    #[test]
    fn a_body_that_is_no_event_is_told_by_its_kind_and_place() {
        let reason = |body: &str| read(body.as_bytes(), EchoPolicy::Required).unwrap_err();
        assert_eq!(reason("{"), "the body ends early: line 1, column 1");
        assert_eq!(reason("{}\n}"), "the body is no event: line 1, column 2");
        assert_eq!(reason("no"), "the body is no JSON: line 1, column 2");
    }

    #[test]
    fn only_the_setting_lets_a_settlement_name_no_amount() {
        let silent = SETTLED.replace(r#""amount":1250,"currency":"EUR","#, "");
        assert!(read(silent.as_bytes(), EchoPolicy::Required).is_err());
        assert_eq!(read(silent.as_bytes(), EchoPolicy::Accepted).unwrap().money, None);
        let half = SETTLED.replace(r#""currency":"EUR","#, "");
        assert!(read(half.as_bytes(), EchoPolicy::Accepted).is_err());
    }

    #[test]
    fn what_is_not_one_of_them_is_refused() {
        let long = format!(r#""{}""#, "T".repeat(65));
        for (what, with) in [
            ("transaction.settled", "transaction.reversed"),
            ("payment_id", "id"),
            ("019ab1f4", "x"),
            (r#""ACC-1""#, r#""""#),
            ("2026-11-23\"", "2026-11-31\""),
            (r#""T1""#, r#""""#),
            (r#""T1""#, &long),
            ("1250", "0"),
            ("1250", "12.5"),
            ("1250", r#""1250""#),
            ("EUR", "eur"),
            (r#","settled_at":"2026-11-23T01:00:00.000Z""#, ""),
            ("}}", "}"),
        ] {
            let body = SETTLED.replace(what, with);
            assert_ne!(body, SETTLED);
            assert!(read(body.as_bytes(), EchoPolicy::Required).is_err(), "{body}");
        }
    }
}
