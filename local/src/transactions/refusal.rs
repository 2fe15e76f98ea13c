//! Every answer by which no money has moved.

use axum::{
    Json,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::journal_reader::JournalError;
use super::{answer::BodyStatus, echo::Echo};

/// Seconds after which a request that found the queue full may come again.
const RETRY_SOON: &str = "1";

/// Why a request was not served. The text is the `reason` of the error body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    MalformedBody(String),
    #[error("Idempotency-Key: {0}")]
    MalformedKey(&'static str),
    #[error("the query is not ?idempotency_key=KEY with a key of 1 to 255 characters")]
    MalformedQuery,
    #[error("the body is longer than {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("nothing was settled or taken under this key")]
    UnknownKey,
    #[error("another body was settled or taken under this key")]
    KeyReused,
    #[error("the beneficiary's bank takes no payments for this account")]
    RejectedByBeneficiaryBank,
    /// It was accepted with 202 before: the answer says so.
    #[error("the beneficiary's bank takes no payments for this account")]
    RejectedSince(Echo),
    #[error("the service is out of order for a moment; nothing was done")]
    Unavailable,
    #[error("more requests or payments are waiting than the service can take; nothing was done")]
    Overloaded,
    #[error("the journal cannot be written; ask for the key before trying again")]
    JournalUnwritable(#[source] JournalError),
    #[error("no such path")]
    NoSuchPath,
    #[error("no such method on this path")]
    NoSuchMethod,
}

impl Refusal {
    /// The `code` of the error body.
    pub(crate) fn code(&self) -> &'static str {
        self.status_and_code().1
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::MalformedBody(_) => (StatusCode::BAD_REQUEST, "malformed_body"),
            Self::MalformedKey(_) => (StatusCode::BAD_REQUEST, "malformed_idempotency_key"),
            Self::MalformedQuery => (StatusCode::BAD_REQUEST, "malformed_query"),
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::UnknownKey => (StatusCode::NOT_FOUND, "unknown_key"),
            Self::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            Self::RejectedByBeneficiaryBank | Self::RejectedSince(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "rejected_by_beneficiary_bank")
            }
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            Self::JournalUnwritable(_) => (StatusCode::INTERNAL_SERVER_ERROR, "journal_unwritable"),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no_such_path"),
            Self::NoSuchMethod => (StatusCode::METHOD_NOT_ALLOWED, "no_such_method"),
        }
    }
}

/// The body of every error, whatever its status.
#[derive(Serialize)]
struct RefusalBody {
    code: &'static str,
    reason: String,
    #[serde(flatten)]
    taken: Option<RejectedAfterAcceptance>,
}

/// What the answer also says of a payment that was accepted and rejected since.
#[derive(Serialize)]
struct RejectedAfterAcceptance {
    #[serde(flatten)]
    echo: Echo,
    status: BodyStatus,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        if let Self::JournalUnwritable(cause) = &self {
            tracing::error!(error = cause as &dyn std::error::Error, "{self}");
        }
        let reason = self.to_string();
        let soon = matches!(self, Self::Overloaded);
        let taken = match self {
            Self::RejectedSince(echo) => {
                Some(RejectedAfterAcceptance { echo, status: BodyStatus::Rejected })
            }
            _ => None,
        };
        let body = (status, Json(RefusalBody { code, reason, taken }));
        if soon {
            return ([(RETRY_AFTER, RETRY_SOON)], body).into_response();
        }
        body.into_response()
    }
}
