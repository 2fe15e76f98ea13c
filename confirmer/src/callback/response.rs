//! How a callback is answered: pure.

use axum::http::StatusCode;

use super::signature::SignatureError;

/// How a callback was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallbackResponse {
    /// It is in the queue.
    Accepted,
    /// It was taken before.
    Again,
    /// Another request brings it at this moment: it is not in the queue yet.
    UnderWay,
    /// Not the transaction service's.
    Unsigned(SignatureError),
    /// It cannot be read.
    Malformed(String),
    /// The body is too long.
    TooLarge,
    /// The body did not arrive in time, or not at all.
    TooSlow,
    /// The queue did not take it.
    NotQueued,
    /// No such path.
    NoSuchPath,
    /// No such method on this path.
    NoSuchMethod,
}

impl CallbackResponse {
    /// The status of the response.
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Accepted => StatusCode::NO_CONTENT,
            Self::Again => StatusCode::CONFLICT,
            Self::UnderWay | Self::NotQueued => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unsigned(_) => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// The label in the metric of callbacks.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Again => "duplicate",
            Self::UnderWay => "under_way",
            Self::Unsigned(_) => "unsigned",
            Self::Malformed(_) => "malformed",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::NotQueued => "not_queued",
            Self::NoSuchPath => "no_such_path",
            Self::NoSuchMethod => "no_such_method",
        }
    }

    /// Why the callback is refused, for the log; `None` when its sender has made no mistake.
    pub(super) fn refusal(&self) -> Option<String> {
        let reason = match self {
            Self::Accepted | Self::Again | Self::UnderWay | Self::NotQueued => return None,
            Self::Unsigned(error) => return Some(error.to_string()),
            Self::Malformed(reason) => return Some(reason.clone()),
            Self::TooLarge => "the body is longer than 64 KiB",
            Self::TooSlow => "the body did not arrive within 5 seconds",
            Self::NoSuchPath => "the path is not /v1/confirmations",
            Self::NoSuchMethod => "the method is not POST",
        };
        Some(reason.to_owned())
    }
}
