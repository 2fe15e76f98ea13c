//! What a fuzz target needs of the meaning of answers (`tests/fuzz`).

use super::answer;
use crate::domain::{Found, Outcome};

/// Classes the answer to a submission.
#[must_use]
pub fn outcome(status: u16, retry_after: Option<&str>, body: &[u8]) -> Outcome {
    answer::outcome(status, retry_after, body)
}

/// Classes the answer to a question.
#[must_use]
pub fn found(status: u16, retry_after: Option<&str>, body: &[u8]) -> Found {
    answer::found(status, retry_after, body)
}
