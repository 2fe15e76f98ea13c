//! What a fuzz target needs of the meaning of answers (`tests/fuzz`).

use super::answer::{self, ServiceResponse};
use super::contract::ContractSettings;
use domain::{KeyQuery, KeyStatus, Outcome};

/// Classes the answer to a submission.
#[must_use]
pub fn outcome(status: u16, retry_after: Option<&str>, body: &[u8], asked: &KeyQuery) -> Outcome {
    answer::outcome(&read(status, retry_after, body), asked, &ContractSettings::default())
}

/// Classes the answer to a question.
#[must_use]
pub fn found(status: u16, retry_after: Option<&str>, body: &[u8], asked: &KeyQuery) -> KeyStatus {
    answer::key_status(&read(status, retry_after, body), asked, &ContractSettings::default())
}

fn read(status: u16, retry_after: Option<&str>, body: &[u8]) -> ServiceResponse {
    ServiceResponse { status, retry_after: retry_after.map(str::to_owned), body: body.to_owned() }
}
