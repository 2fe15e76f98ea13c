//! A message of the dead-letter queue, read: pure.

use std::fmt;
use std::str::FromStr;

use domain::{AccountId, FailureCode, Payment, PaymentRef};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::queue::{Confirmation, DeadLetter};

/// Why a message is in the dead-letter queue: what `--reason` takes and the lists show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadLetterReason {
    /// A service wrote it, with this code.
    Given(FailureCode),
    /// SQS moved the message by itself, after too many deliveries.
    Moved,
}

impl DeadLetterReason {
    /// The name shown.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Given(code) => code.as_str(),
            Self::Moved => "moved",
        }
    }
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DeadLetterReason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = || text.parse().map(Self::Given);
        if text == Self::Moved.as_str() {
            return Ok(Self::Moved);
        }
        code().map_err(|_: String| {
            let codes = FailureCode::ALL.map(FailureCode::as_str).join(", ");
            format!("the codes are {codes}, and moved")
        })
    }
}

/// A message of the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetterMessage {
    /// The queue's own id of it.
    pub(crate) message_id: String,
    /// Its group: the account, as a rule.
    pub(crate) group: String,
    /// When it was put into the queue, if SQS says so.
    pub(crate) sent_at: Option<Timestamp>,
    /// What it says.
    pub(crate) body: DeadLetterBody,
}

/// How long SQS keeps a message (`shared::resources`).
const RETENTION: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeadLetterBody {
    /// A service gave something up.
    Written(Box<DeadLetter>),
    /// SQS moved a message of `payments.fifo`.
    Payment(Box<Payment>),
    /// SQS moved a message of `confirmations.fifo`.
    Confirmation(Box<Confirmation>),
    /// Neither.
    Unreadable(String),
}

impl DeadLetterMessage {
    /// Reads a message.
    pub(crate) fn read(message_id: &str, group: &str, text: String) -> Self {
        let body = if let Ok(dead_letter) = serde_json::from_str(&text) {
            DeadLetterBody::Written(dead_letter)
        } else if let Ok(payment) = serde_json::from_str(&text) {
            DeadLetterBody::Payment(payment)
        } else if let Ok(confirmation) = serde_json::from_str(&text) {
            DeadLetterBody::Confirmation(confirmation)
        } else {
            DeadLetterBody::Unreadable(text)
        };
        let (message_id, group) = (message_id.to_owned(), group.to_owned());
        Self { message_id, group, sent_at: None, body }
    }

    /// The same, put into the queue at this time.
    pub(crate) fn sent(self, sent_at: Option<Timestamp>) -> Self {
        Self { sent_at, ..self }
    }

    /// Since when it is in the queue: SQS's own time, else the writer's.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.sent_at.or_else(|| self.at())
    }

    /// When SQS deletes it.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.since()?.checked_add(RETENTION).ok()
    }

    /// Why it is here.
    pub(crate) fn reason(&self) -> DeadLetterReason {
        match &self.body {
            DeadLetterBody::Written(dead_letter) => {
                DeadLetterReason::Given(dead_letter.failure.code)
            }
            DeadLetterBody::Payment(_)
            | DeadLetterBody::Confirmation(_)
            | DeadLetterBody::Unreadable(_) => DeadLetterReason::Moved,
        }
    }

    /// The payment it is about, also where only the raw text tells.
    pub(crate) fn reference(&self) -> Option<PaymentRef> {
        match &self.body {
            DeadLetterBody::Written(dead_letter) => {
                dead_letter.payment.as_ref().map(Payment::reference).or_else(|| {
                    let raw = dead_letter.raw.as_deref()?;
                    serde_json::from_str::<Payment>(raw).ok().map(|payment| payment.reference())
                })
            }
            DeadLetterBody::Payment(payment) => Some(payment.reference()),
            DeadLetterBody::Confirmation(confirmation) => Some(confirmation.payment.clone()),
            DeadLetterBody::Unreadable(_) => None,
        }
    }

    /// The payment as the table held it when the dead letter was written.
    pub(crate) fn payment(&self) -> Option<&Payment> {
        match &self.body {
            DeadLetterBody::Written(dead_letter) => dead_letter.payment.as_ref(),
            DeadLetterBody::Payment(_)
            | DeadLetterBody::Confirmation(_)
            | DeadLetterBody::Unreadable(_) => None,
        }
    }

    /// The payment as a message has it that contradicts the table, or that SQS moved.
    pub(crate) fn message(&self) -> Option<Payment> {
        match &self.body {
            DeadLetterBody::Written(dead_letter) => {
                serde_json::from_str(dead_letter.raw.as_deref()?).ok()
            }
            DeadLetterBody::Payment(payment) => Some((**payment).clone()),
            DeadLetterBody::Confirmation(_) | DeadLetterBody::Unreadable(_) => None,
        }
    }

    /// The payment, in whatever version is known: the table's first.
    pub(crate) fn any_version(&self) -> Option<Payment> {
        self.payment().cloned().or_else(|| self.message())
    }

    /// Whether it says that message and table contradict each other.
    pub(crate) fn is_of_mismatch(&self) -> bool {
        self.reason() == DeadLetterReason::Given(FailureCode::Mismatch)
    }

    /// When it was written; SQS does not say when it moved a message.
    pub(crate) fn at(&self) -> Option<Timestamp> {
        match &self.body {
            DeadLetterBody::Written(dead_letter) => Some(dead_letter.at),
            DeadLetterBody::Payment(_)
            | DeadLetterBody::Confirmation(_)
            | DeadLetterBody::Unreadable(_) => None,
        }
    }

    /// Whether it is of this account.
    pub(crate) fn is_of(&self, account: &AccountId) -> bool {
        self.group == account.as_str()
            || self.reference().is_some_and(|reference| reference.account == *account)
    }

    /// Whether it has this text: in why it is here, in its payment or in what was found instead.
    pub(crate) fn contains(&self, text: &str) -> bool {
        let json = |value: &Value| value.to_string().contains(text);
        self.explanation().contains(text)
            || match &self.body {
                DeadLetterBody::Written(written) => {
                    written.raw.as_ref().is_some_and(|raw| raw.contains(text))
                        || written.payment.as_ref().is_some_and(|payment| json(&json!(payment)))
                }
                DeadLetterBody::Payment(payment) => json(&json!(payment)),
                DeadLetterBody::Confirmation(confirmation) => json(&json!(confirmation)),
                DeadLetterBody::Unreadable(found) => found.contains(text),
            }
    }

    /// Why, in the words of the service that wrote it.
    pub(crate) fn explanation(&self) -> &str {
        match &self.body {
            DeadLetterBody::Written(dead_letter) => &dead_letter.failure.reason,
            DeadLetterBody::Payment(_) => "SQS moved this payment here after too many deliveries",
            DeadLetterBody::Confirmation(_) => {
                "SQS moved this confirmation here after too many deliveries"
            }
            DeadLetterBody::Unreadable(_) => {
                "it is no dead letter of a service, no payment and no confirmation"
            }
        }
    }

    /// The service that gave it up.
    pub(crate) fn service(&self) -> &str {
        match &self.body {
            DeadLetterBody::Written(dead_letter) => &dead_letter.service,
            DeadLetterBody::Payment(_)
            | DeadLetterBody::Confirmation(_)
            | DeadLetterBody::Unreadable(_) => "sqs",
        }
    }

    /// Everything, for programs.
    pub(crate) fn json(&self) -> Value {
        let (payment, raw) = match &self.body {
            DeadLetterBody::Written(dead_letter) => {
                (json!(dead_letter.payment), json!(dead_letter.raw))
            }
            DeadLetterBody::Payment(payment) => (json!(payment), Value::Null),
            DeadLetterBody::Confirmation(confirmation) => (Value::Null, json!(confirmation)),
            DeadLetterBody::Unreadable(text) => (Value::Null, json!(text)),
        };
        json!({
            "message_id": self.message_id,
            "group": self.group,
            "at": self.at().map(|at| at.to_string()),
            "expires_at": self.expires_at().map(|at| at.to_string()),
            "code": self.reason().as_str(),
            "reason": self.explanation(),
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

    fn read(text: &str) -> DeadLetterMessage {
        DeadLetterMessage::read("m", "ACC-1", text.to_owned())
    }

    #[test]
    fn each_kind_of_dead_letter_tells_its_reason_and_its_payment() {
        let written = format!(
            r#"{{"code":"rejected","reason":"422 x: y","service":"dispatcher","at":"2026-11-23T01:00:00Z","payment":{PAYMENT}}}"#
        );
        let confirmation = format!(
            r#"{{"payment":"{REFERENCE}","transaction_id":"T","settled_at":"2026-11-23T01:00:00Z"}}"#
        );
        for (text, reason) in [
            (written.as_str(), DeadLetterReason::Given(FailureCode::Rejected)),
            (PAYMENT, DeadLetterReason::Moved),
            (confirmation.as_str(), DeadLetterReason::Moved),
        ] {
            let dead_letter = read(text);
            assert_eq!(dead_letter.reason(), reason);
            assert_eq!(dead_letter.reference().unwrap().to_string(), REFERENCE);
            assert!(dead_letter.is_of(&AccountId::parse("ACC-1").unwrap()));
        }
        assert_eq!(read("{nonsense").reference(), None);
    }

    #[test]
    fn a_dead_letter_whose_payment_is_in_its_raw_text_still_tells_which() {
        let raw = serde_json::to_string(PAYMENT).unwrap();
        let dead_letter = read(&format!(
            r#"{{"code":"mismatch","reason":"x","service":"dispatcher","at":"2026-11-23T01:00:00Z","raw":{raw}}}"#
        ));
        assert_eq!(dead_letter.reference().unwrap().to_string(), REFERENCE);
    }

    #[test]
    fn a_dead_letter_expires_fourteen_days_after_it_was_put_into_the_queue() {
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
            assert_eq!(code.as_str().parse(), Ok(DeadLetterReason::Given(code)));
        }
        assert_eq!("moved".parse(), Ok(DeadLetterReason::Moved));
        assert!("rejectd".parse::<DeadLetterReason>().unwrap_err().contains("rejected, "));
    }
}
