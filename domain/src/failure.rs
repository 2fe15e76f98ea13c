//! Why a payment, record or message ended in the dead-letter queue.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The closed list of reasons: a metric label, and a page of the runbook each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The transaction service refused the payment for good (4xx).
    Rejected,
    /// The transaction service took the payment (202) and refused it afterwards: final, unlike
    /// a rejection in answer to the submission.
    Refused,
    /// A stream record of the payments table could not be read.
    MalformedRecord,
    /// A queue message could not be read.
    MalformedMessage,
    /// An item of the payments table reads as a payment, but breaks the item contract: a key
    /// that does not follow from the others, or a time in the future.
    InvalidItem,
    /// An item that dueflow knows was written over by another program.
    Overwritten,
    /// The queue's copy of a payment is not what the table holds.
    Mismatch,
    /// The message names a payment that the table does not hold.
    Missing,
    /// The transaction service's answer contradicts what is recorded.
    Conflict,
    /// It was attempted too often; nothing was settled under its key when it was last asked.
    Exhausted,
    /// It may have been settled, and the transaction service may have forgotten its key.
    Unknown,
}

impl FailureCode {
    /// Every code.
    pub const ALL: [Self; 11] = [
        Self::Rejected,
        Self::Refused,
        Self::MalformedRecord,
        Self::MalformedMessage,
        Self::InvalidItem,
        Self::Overwritten,
        Self::Mismatch,
        Self::Missing,
        Self::Conflict,
        Self::Exhausted,
        Self::Unknown,
    ];

    /// The name stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::MalformedRecord => "malformed_record",
            Self::MalformedMessage => "malformed_message",
            Self::InvalidItem => "invalid_item",
            Self::Overwritten => "overwritten",
            Self::Mismatch => "mismatch",
            Self::Missing => "missing",
            Self::Conflict => "conflict",
            Self::Exhausted => "exhausted",
            Self::Unknown => "unknown",
        }
    }
}

impl FromStr for FailureCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|code| code.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a failure code"))
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure with the words of whoever reported it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which kind.
    pub code: FailureCode,
    /// What was said, at most [`Failure::MAX_REASON_BYTES`] long.
    pub reason: String,
}

impl Failure {
    /// Longest reason in bytes: it lies on the item, whose size is charged on each write.
    pub const MAX_REASON_BYTES: usize = 256;

    /// A failure; an overlong reason is cut at a character boundary.
    #[must_use]
    pub fn new(code: FailureCode, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(Self::MAX_REASON_BYTES));
        Self { code, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlong_reason_is_cut_between_characters() {
        let failure = Failure::new(FailureCode::Rejected, "é".repeat(200));
        assert_eq!(failure.reason.len(), 256);
        let failure = Failure::new(FailureCode::Rejected, format!("x{}", "é".repeat(200)));
        assert_eq!(failure.reason.len(), 255);
    }

    #[test]
    fn codes_read_back() {
        for code in FailureCode::ALL {
            assert_eq!(code.to_string().parse(), Ok(code));
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
