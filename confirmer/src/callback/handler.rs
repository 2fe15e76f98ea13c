//! One callback: who sent it, whether it is new, what it says, and into the queue with it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode};
use shared::clock::Clock;
use shared::queue::{ConfirmationSource, Producer};
use shared::transaction::EchoPolicy;
use tokio::time::{Instant, timeout};

use super::event;
use super::replay_cache::{Seen, TakenLately};
use super::secret::Secret;
use super::signature::{Claim, Unsigned};
use crate::events;

/// Where callbacks are taken.
const PATH: &str = "/v1/confirmations";
/// Longest body; a callback has some 400 bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(5);
/// How long the queue may take in all.
const QUEUE_LIMIT: Duration = Duration::from_secs(10);

/// How a callback was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is in the queue.
    Taken,
    /// It was taken before.
    Again,
    /// Another request brings it at this moment: it is not in the queue yet.
    UnderWay,
    /// Not the transaction service's.
    Unsigned(Unsigned),
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

impl Answer {
    /// The label, and the status.
    pub(super) const fn told(&self) -> (&'static str, StatusCode) {
        match self {
            Self::Taken => ("accepted", StatusCode::NO_CONTENT),
            Self::Again => ("duplicate", StatusCode::CONFLICT),
            Self::UnderWay => ("under_way", StatusCode::SERVICE_UNAVAILABLE),
            Self::Unsigned(_) => ("unsigned", StatusCode::UNAUTHORIZED),
            Self::Malformed(_) => ("malformed", StatusCode::BAD_REQUEST),
            Self::TooLarge => ("too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::TooSlow => ("too_slow", StatusCode::REQUEST_TIMEOUT),
            Self::NotQueued => ("not_queued", StatusCode::SERVICE_UNAVAILABLE),
            Self::NoSuchPath => ("no_such_path", StatusCode::NOT_FOUND),
            Self::NoSuchMethod => ("no_such_method", StatusCode::METHOD_NOT_ALLOWED),
        }
    }
}

/// Takes callbacks.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) secrets: Arc<[Secret]>,
    pub(super) confirmations: Producer,
    pub(super) taken: TakenLately,
    /// Whether a settlement must name its amount.
    pub(super) echo: EchoPolicy,
    pub(super) clock: Clock,
}

impl Desk {
    /// Answers a request; every answer is counted. May be dropped at any time: what was not
    /// answered comes again.
    pub(super) async fn respond(&self, request: Request<Body>) -> Response<Body> {
        let answer = self.take(request).await;
        let (label, status) = answer.told();
        events::callback(label, &answer);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        response
    }

    /// Takes one callback. What is not signed is read no further than the signature needs,
    /// and 204 means that the confirmation is in the queue.
    pub(super) async fn take(&self, request: Request<Body>) -> Answer {
        if request.uri().path() != PATH {
            return Answer::NoSuchPath;
        }
        if request.method() != Method::POST {
            return Answer::NoSuchMethod;
        }
        let (head, body) = request.into_parts();
        let claim = match Claim::read(&head.headers, self.clock.now()) {
            Ok(claim) => claim,
            Err(unsigned) => return Answer::Unsigned(unsigned),
        };
        let body = match timeout(BODY_LIMIT, to_bytes(body, MAX_BODY_BYTES)).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) if is_too_long(&error) => return Answer::TooLarge,
            Ok(Err(_)) | Err(_) => return Answer::TooSlow,
        };
        if let Err(unsigned) = claim.verify(&body, &self.secrets) {
            return Answer::Unsigned(unsigned);
        }
        let under_way = match self.taken.see(&claim.id, Instant::now()) {
            Seen::New(under_way) => under_way,
            Seen::UnderWay => return Answer::UnderWay,
            Seen::Taken => return Answer::Again,
        };
        let confirmation = match event::read(&body, self.echo) {
            Ok(confirmation) => confirmation,
            Err(reason) => return Answer::Malformed(reason),
        };
        // The same callback through another confirmer is dropped by SQS for 5 minutes.
        let message = [confirmation.message(ConfirmationSource::Callback(&claim.id))];
        match timeout(QUEUE_LIMIT, self.confirmations.send(&message)).await {
            Ok(Ok(())) => {
                under_way.taken(Instant::now());
                Answer::Taken
            }
            Ok(Err(unsent)) => {
                events::error("callback", &unsent);
                Answer::NotQueued
            }
            Err(elapsed) => {
                events::error("callback", &elapsed);
                Answer::NotQueued
            }
        }
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let first: &dyn std::error::Error = error;
    let mut causes = std::iter::successors(Some(first), |error| error.source());
    causes.any(|cause| cause.is::<http_body_util::LengthLimitError>())
}
