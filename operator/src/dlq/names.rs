//! How people name a dead letter: pure.

use std::str::FromStr;

use domain::PaymentRef;

use super::dead_letter::DeadLetterMessage;

/// A dead letter, or the payment that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterName {
    /// The payment.
    Payment(PaymentRef),
    /// SQS's id of the message, or the payment's id.
    Id(String),
}

/// How a command has come to a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// Its message id was typed: this message and no other is meant.
    ByMessageId,
    /// A filter took it, or its payment was named.
    Otherwise,
}

impl DeadLetterName {
    /// Whether it is the id of this message, of which there is only one.
    pub(super) fn is_message(&self, message_id: &str) -> bool {
        match self {
            Self::Payment(_) => false,
            Self::Id(id) => id == message_id,
        }
    }

    /// Whether a dead letter has this name.
    pub(super) fn is_of(&self, dead_letter: &DeadLetterMessage) -> bool {
        match self {
            Self::Payment(payment) => dead_letter.reference().as_ref() == Some(payment),
            Self::Id(id) => {
                let of_payment = || dead_letter.reference().map(|of| of.id.to_string());
                self.is_message(&dead_letter.message_id) || of_payment().as_ref() == Some(id)
            }
        }
    }
}

impl FromStr for DeadLetterName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return text
                .parse()
                .map(Self::Payment)
                .map_err(|error: domain::ReferenceError| error.to_string());
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(
                "it is neither an id nor <AccountID>/<ScheduledDate>/<PaymentID>".to_owned()
            );
        }
        Ok(Self::Id(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYMENT: &str = r#"{"PaymentID":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab","AccountID":"ACC-1","ScheduledDate":"2026-11-23","Amount":1,"Currency":"EUR","BeneficiaryID":"B","TraceKey":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab","CreatedAt":"2026-11-23T01:00:00Z"}"#;

    #[test]
    fn a_dead_letter_is_named_by_its_message_or_by_its_payment() {
        let dead_letter = DeadLetterMessage::read("m-1", "ACC-1", PAYMENT.to_owned());
        let id = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
        let is_of = |name: &str| name.parse::<DeadLetterName>().unwrap().is_of(&dead_letter);
        assert!(is_of("m-1") && is_of(id) && is_of(&format!("ACC-1/2026-11-23/{id}")));
        assert!(!is_of("m-2") && !is_of(&format!("ACC-2/2026-11-23/{id}")));
        for bad in ["", "a b", "ACC-1/2026-11-23", "../x"] {
            assert!(bad.parse::<DeadLetterName>().is_err(), "{bad}");
        }
    }
}
