//! What lies in the dead-letter queue, read: pure.

use std::fmt;
use std::str::FromStr;

use domain::{AccountId, FailureCode, Payment, PaymentRef};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::queue::{Confirmation, DeadLetter};

/// Why a letter lies there: what `--reason` takes and the lists show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A service wrote it, with this code.
    Given(FailureCode),
    /// SQS moved the message by itself, after too many deliveries.
    Moved,
}

impl Reason {
    /// The name shown.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Given(code) => code.as_str(),
            Self::Moved => "moved",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = || text.parse().map(Self::Given);
        if text == Self::Moved.as_str() {
            return Ok(Self::Moved);
        }
        code().map_err(|_: String| {
            let codes = FailureCode::ALL.map(FailureCode::as_str).join(", ");
            format!("it is none of {codes}, moved")
        })
    }
}

/// A message of the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// The queue's own id of it.
    pub(crate) message_id: String,
    /// Its group: the account, as a rule.
    pub(crate) group: String,
    /// When it was put into the queue, if SQS says so.
    pub(crate) sent_at: Option<Timestamp>,
    /// What it says.
    pub(crate) body: Body,
}

/// How long SQS keeps a letter (`shared::resources`).
const RETENTION: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What a letter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// A service gave something up.
    Written(Box<DeadLetter>),
    /// SQS moved a message of `payments.fifo`.
    Payment(Box<Payment>),
    /// SQS moved a message of `confirmations.fifo`.
    Confirmation(Box<Confirmation>),
    /// Neither.
    Unreadable(String),
}

impl Letter {
    /// Reads a message.
    pub(crate) fn read(message_id: &str, group: &str, text: String) -> Self {
        let body = if let Ok(letter) = serde_json::from_str(&text) {
            Body::Written(letter)
        } else if let Ok(payment) = serde_json::from_str(&text) {
            Body::Payment(payment)
        } else if let Ok(confirmation) = serde_json::from_str(&text) {
            Body::Confirmation(confirmation)
        } else {
            Body::Unreadable(text)
        };
        let (message_id, group) = (message_id.to_owned(), group.to_owned());
        Self { message_id, group, sent_at: None, body }
    }

    /// The same, put into the queue at this time.
    pub(crate) fn sent(self, sent_at: Option<Timestamp>) -> Self {
        Self { sent_at, ..self }
    }

    /// Since when it lies in the queue: SQS's own time, else the writer's.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.sent_at.or_else(|| self.at())
    }

    /// When SQS deletes it.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.since()?.checked_add(RETENTION).ok()
    }

    /// Why it is here.
    pub(crate) fn reason(&self) -> Reason {
        match &self.body {
            Body::Written(letter) => Reason::Given(letter.failure.code),
            Body::Payment(_) | Body::Confirmation(_) | Body::Unreadable(_) => Reason::Moved,
        }
    }

    /// The payment it is about, also where only the raw text tells.
    pub(crate) fn reference(&self) -> Option<PaymentRef> {
        match &self.body {
            Body::Written(letter) => {
                letter.payment.as_ref().map(Payment::reference).or_else(|| {
                    let raw = letter.raw.as_deref()?;
                    serde_json::from_str::<Payment>(raw).ok().map(|payment| payment.reference())
                })
            }
            Body::Payment(payment) => Some(payment.reference()),
            Body::Confirmation(confirmation) => Some(confirmation.payment.clone()),
            Body::Unreadable(_) => None,
        }
    }

    /// The payment as the table held it when the dead letter was written.
    pub(crate) fn payment(&self) -> Option<&Payment> {
        match &self.body {
            Body::Written(letter) => letter.payment.as_ref(),
            Body::Payment(_) | Body::Confirmation(_) | Body::Unreadable(_) => None,
        }
    }

    /// The payment as a message has it that contradicts the table, or that SQS moved.
    pub(crate) fn message(&self) -> Option<Payment> {
        match &self.body {
            Body::Written(letter) => serde_json::from_str(letter.raw.as_deref()?).ok(),
            Body::Payment(payment) => Some((**payment).clone()),
            Body::Confirmation(_) | Body::Unreadable(_) => None,
        }
    }

    /// Whether it says that message and table contradict each other.
    pub(crate) fn is_of_mismatch(&self) -> bool {
        self.reason() == Reason::Given(FailureCode::Mismatch)
    }

    /// When it was written; SQS does not say when it moved a message.
    pub(crate) fn at(&self) -> Option<Timestamp> {
        match &self.body {
            Body::Written(letter) => Some(letter.at),
            Body::Payment(_) | Body::Confirmation(_) | Body::Unreadable(_) => None,
        }
    }

    /// Whether it is of this account.
    pub(crate) fn is_of(&self, account: &AccountId) -> bool {
        self.group == account.as_str()
            || self.reference().is_some_and(|reference| reference.account == *account)
    }

    /// The words of whoever wrote it.
    pub(crate) fn words(&self) -> &str {
        match &self.body {
            Body::Written(letter) => &letter.failure.reason,
            Body::Payment(_) => "SQS moved it here after too many deliveries",
            Body::Confirmation(_) => "SQS moved this confirmation here after too many deliveries",
            Body::Unreadable(_) => "neither a letter nor a payment nor a confirmation",
        }
    }

    /// The service that gave it up.
    pub(crate) fn service(&self) -> &str {
        match &self.body {
            Body::Written(letter) => &letter.service,
            Body::Payment(_) | Body::Confirmation(_) | Body::Unreadable(_) => "sqs",
        }
    }

    /// Everything, for programs.
    pub(crate) fn json(&self) -> Value {
        let (payment, raw) = match &self.body {
            Body::Written(letter) => (json!(letter.payment), json!(letter.raw)),
            Body::Payment(payment) => (json!(payment), Value::Null),
            Body::Confirmation(confirmation) => (Value::Null, json!(confirmation)),
            Body::Unreadable(text) => (Value::Null, json!(text)),
        };
        json!({
            "message_id": self.message_id,
            "group": self.group,
            "at": self.at().map(|at| at.to_string()),
            "expires_at": self.expires_at().map(|at| at.to_string()),
            "code": self.reason().as_str(),
            "reason": self.words(),
            "service": self.service(),
            "reference": self.reference().map(|reference| reference.to_string()),
            "payment": payment,
            "raw": raw,
            "message": self.message(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYMENT: &str = r#"{"PaymentID":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab","AccountID":"ACC-1","ScheduledDate":"2026-11-23","Amount":1,"Currency":"EUR","BeneficiaryID":"B","TraceKey":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab","CreatedAt":"2026-11-23T01:00:00Z"}"#;
    const REFERENCE: &str = "ACC-1/2026-11-23/019ab1f4-5c1e-7d3a-8b2f-0123456789ab";

    fn read(text: &str) -> Letter {
        Letter::read("m", "ACC-1", text.to_owned())
    }

    #[test]
    fn each_kind_of_letter_tells_its_reason_and_its_payment() {
        let written = format!(
            r#"{{"code":"rejected","reason":"422 x: y","service":"dispatcher","at":"2026-11-23T01:00:00Z","payment":{PAYMENT}}}"#
        );
        let confirmation = format!(
            r#"{{"payment":"{REFERENCE}","transaction_id":"T","settled_at":"2026-11-23T01:00:00Z"}}"#
        );
        for (text, reason) in [
            (written.as_str(), Reason::Given(FailureCode::Rejected)),
            (PAYMENT, Reason::Moved),
            (confirmation.as_str(), Reason::Moved),
        ] {
            let letter = read(text);
            assert_eq!(letter.reason(), reason);
            assert_eq!(letter.reference().unwrap().to_string(), REFERENCE);
            assert!(letter.is_of(&AccountId::parse("ACC-1").unwrap()));
        }
        assert_eq!(read("{nonsense").reference(), None);
    }

    #[test]
    fn a_letter_whose_payment_lies_in_its_raw_text_still_tells_which() {
        let raw = serde_json::to_string(PAYMENT).unwrap();
        let letter = read(&format!(
            r#"{{"code":"mismatch","reason":"x","service":"dispatcher","at":"2026-11-23T01:00:00Z","raw":{raw}}}"#
        ));
        assert_eq!(letter.reference().unwrap().to_string(), REFERENCE);
    }

    #[test]
    fn a_letter_expires_fourteen_days_after_it_was_put_into_the_queue() {
        let moved = read(PAYMENT);
        assert_eq!(moved.expires_at(), None, "nobody said when");
        let sent: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
        let expires = moved.sent(Some(sent)).expires_at().unwrap();
        assert_eq!(expires.to_string(), "2026-12-07T01:00:00Z");
        let at = r#"{"code":"unknown","reason":"x","service":"d","at":"2026-11-24T02:00:00Z"}"#;
        assert_eq!(read(at).expires_at().unwrap().to_string(), "2026-12-08T02:00:00Z");
        let retention = shared::resources::queues(&"dueflow".parse().unwrap())
            .into_iter()
            .flat_map(|queue| queue.attributes)
            .filter(|(name, _)| *name == "MessageRetentionPeriod");
        let seconds = RETENTION.as_secs().to_string();
        assert!(retention.map(|(_, value)| value).all(|value| value == seconds));
    }

    #[test]
    fn reasons_read_back() {
        for code in FailureCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(Reason::Given(code)));
        }
        assert_eq!("moved".parse(), Ok(Reason::Moved));
        assert!("rejectd".parse::<Reason>().unwrap_err().contains("rejected, "));
    }
}
