//! What a client asks for. Parsing is the only way in.

use std::ops::RangeInclusive;

use axum::http::{HeaderMap, HeaderValue};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{refusal::Refusal, stable_hash::StableHash};

/// Characters of a key or an id.
const ID_LENGTH: RangeInclusive<usize> = 1..=255;
/// Minor units. The upper end is the largest integer that every JSON parser
/// keeps exact (RFC 8259, section 6): 2^53 − 1.
const AMOUNT: RangeInclusive<i64> = 1..=9_007_199_254_740_991;

/// The key under which a payment is settled at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    const HEADER: &'static str = "idempotency-key";

    pub(crate) fn parse(text: &str) -> Option<Self> {
        ID_LENGTH.contains(&text.chars().count()).then(|| Self(text.into()))
    }

    /// Takes the key from the request's one `Idempotency-Key` header.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut given = headers.get_all(Self::HEADER).iter();
        let value = given.next().ok_or(Refusal::MalformedKey("the header is missing"))?;
        if given.next().is_some() {
            return Err(Refusal::MalformedKey("the header is there more than once"));
        }
        Self::from_header(value)
            .ok_or(Refusal::MalformedKey("not 1 to 255 visible ASCII characters"))
    }

    fn from_header(value: &HeaderValue) -> Option<Self> {
        Self::parse(value.to_str().ok()?)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_text(self) -> Box<str> {
        self.0
    }
}

/// One payment to be settled: the body of `POST /v1/transactions`. A member it
/// does not know is refused, since a part of a payment must not be overlooked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instruction {
    pub(crate) payment_id: String,
    pub(crate) account_id: String,
    pub(crate) beneficiary_id: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) scheduled_date: String,
    #[serde(default)]
    pub(crate) data: Option<String>,
}

impl Instruction {
    /// Reads the JSON body, or says what is wrong with it.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let instruction: Self = serde_json::from_slice(body)
            .map_err(|error| Refusal::MalformedBody(error.to_string()))?;
        match instruction.fault() {
            Some(fault) => Err(Refusal::MalformedBody(fault)),
            None => Ok(instruction),
        }
    }

    fn fault(&self) -> Option<String> {
        let ids = [
            ("payment_id", &self.payment_id),
            ("account_id", &self.account_id),
            ("beneficiary_id", &self.beneficiary_id),
        ];
        for (name, id) in ids {
            if !ID_LENGTH.contains(&id.chars().count()) {
                return Some(format!("{name}: not 1 to 255 characters"));
            }
        }
        if !AMOUNT.contains(&self.amount) {
            return Some(format!("amount: not between {} and {}", AMOUNT.start(), AMOUNT.end()));
        }
        if !is_currency(&self.currency) {
            return Some("currency: not an ISO 4217 code of three capital letters".to_owned());
        }
        if !is_date(&self.scheduled_date) {
            return Some("scheduled_date: not a date as YYYY-MM-DD".to_owned());
        }
        None
    }

    /// What tells one body from another under the same key: every member, the
    /// optional one included, but neither their order nor white space.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let hash = StableHash::new()
            .field(self.payment_id.as_bytes())
            .field(self.account_id.as_bytes())
            .field(self.beneficiary_id.as_bytes())
            .number(self.amount.unsigned_abs())
            .field(self.currency.as_bytes())
            .field(self.scheduled_date.as_bytes());
        let hash = match &self.data {
            Some(data) => hash.number(1).field(data.as_bytes()),
            None => hash.number(0),
        };
        Fingerprint(hash.finish())
    }
}

fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|letter| letter.is_ascii_uppercase())
}

/// The parser takes other spellings too (20260301), the contract does not.
fn is_date(text: &str) -> bool {
    text.parse::<Date>().is_ok_and(|date| date.to_string() == text)
}

/// A 64-bit digest of an [`Instruction`]. It is compared under one key only,
/// so an accidental match has a chance of 2^-64 per repeated key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Fingerprint(u64);

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        format!("{:016x}", fingerprint.0)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse_with(member: &str, value: &Value) -> Result<Instruction, Refusal> {
        let mut body = json!({
            "payment_id": "p", "account_id": "a", "beneficiary_id": "b", "amount": 100,
            "currency": "EUR", "scheduled_date": "2026-03-01"
        });
        if value.is_null() {
            body.as_object_mut().unwrap().remove(member);
        } else {
            body[member] = value.clone();
        }
        Instruction::parse(body.to_string().as_bytes())
    }

    #[test]
    fn each_malformed_member_is_refused_with_a_reason_that_names_it() {
        for (member, value, reason) in [
            ("payment_id", Value::Null, "missing field `payment_id`"),
            ("payment_id", json!(""), "payment_id:"),
            ("account_id", json!("x".repeat(256)), "account_id:"),
            ("account_id", json!(7), "expected a string"),
            ("beneficiary_id", Value::Null, "missing field `beneficiary_id`"),
            ("amount", json!(0), "amount:"),
            ("amount", json!(-5), "amount:"),
            ("amount", json!(1.5), "floating point"),
            ("amount", json!("100"), "expected i64"),
            ("amount", json!(9_007_199_254_740_992_i64), "amount:"),
            ("currency", json!("eur"), "currency:"),
            ("currency", json!("EURO"), "currency:"),
            ("scheduled_date", json!("2026-02-30"), "scheduled_date:"),
            ("scheduled_date", json!("20260301"), "scheduled_date:"),
            ("scheduled_date", json!("2026-03-01T00:00:00"), "scheduled_date:"),
            ("colour", json!("red"), "unknown field `colour`"),
        ] {
            let given = parse_with(member, &value).expect_err(member).to_string();
            assert!(given.contains(reason), "{member} {value}: {given}");
        }
    }

    #[test]
    fn the_ends_of_each_range_are_taken() {
        for (member, value) in [
            ("amount", json!(1)),
            ("amount", json!(9_007_199_254_740_991_i64)),
            ("account_id", json!("é".repeat(255))),
            ("scheduled_date", json!("2028-02-29")),
            ("data", json!("")),
        ] {
            assert!(parse_with(member, &value).is_ok(), "{member} {value}");
        }
    }

    #[test]
    fn a_fingerprint_survives_the_journal() {
        for digest in [0, 1, u64::MAX] {
            let written = serde_json::to_string(&Fingerprint(digest)).unwrap();
            assert_eq!(written.len(), 18);
            assert_eq!(serde_json::from_str::<Fingerprint>(&written).unwrap(), Fingerprint(digest));
        }
    }
}
