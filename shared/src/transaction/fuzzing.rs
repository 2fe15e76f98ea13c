//! What a fuzz target needs of the meaning of answers (`tests/fuzz`).

use super::answer::{self, Answer};
use super::terms::Terms;
use domain::{Asked, Found, Outcome};

/// Classes the answer to a submission.
#[must_use]
pub fn outcome(status: u16, retry_after: Option<&str>, body: &[u8], asked: &Asked) -> Outcome {
    answer::outcome(&read(status, retry_after, body), asked, &Terms::default())
}

/// Classes the answer to a question.
#[must_use]
pub fn found(status: u16, retry_after: Option<&str>, body: &[u8], asked: &Asked) -> Found {
    answer::found(&read(status, retry_after, body), asked, &Terms::default())
}

fn read(status: u16, retry_after: Option<&str>, body: &[u8]) -> Answer {
    Answer { status, retry_after: retry_after.map(str::to_owned), body: body.to_owned() }
}
