//! Handles one callback: checks its signature, drops repetitions, and queues what it says.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response};
use shared::clock::Clock;
use shared::queue::{ConfirmationSource, Producer};
use shared::transaction::EchoPolicy;
use tokio::time::{Instant, timeout};

use super::event;
use super::replay_cache::{ReplayCache, ReplayCheck};
use super::response::CallbackResponse;
use super::secret::Secret;
use super::signature::SignatureHeaders;
use crate::events;

/// Where callbacks are taken.
const PATH: &str = "/v1/confirmations";
/// Longest body; a callback has some 400 bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(5);
/// How long the queue may take in all.
const QUEUE_LIMIT: Duration = Duration::from_secs(10);

/// Handles callbacks.
#[derive(Debug, Clone)]
pub(super) struct CallbackHandler {
    pub(super) secrets: Arc<[Secret]>,
    pub(super) confirmations: Producer,
    pub(super) replays: ReplayCache,
    /// Whether a settlement must name its amount.
    pub(super) echo: EchoPolicy,
    pub(super) clock: Clock,
}

impl CallbackHandler {
    /// Answers a request; every answer is counted. May be dropped at any time: what was not
    /// answered comes again.
    pub(super) async fn respond(&self, request: Request<Body>) -> Response<Body> {
        let answer = self.take(request).await;
        events::callback(answer.as_str(), answer.refusal());
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        response
    }

    /// Takes one callback. What is not signed is read no further than the signature needs,
    /// and 204 means that the confirmation is in the queue.
    pub(super) async fn take(&self, request: Request<Body>) -> CallbackResponse {
        if request.uri().path() != PATH {
            return CallbackResponse::NoSuchPath;
        }
        if request.method() != Method::POST {
            return CallbackResponse::NoSuchMethod;
        }
        let (head, body) = request.into_parts();
        let headers = match SignatureHeaders::read(&head.headers, self.clock.now()) {
            Ok(headers) => headers,
            Err(error) => return CallbackResponse::Unsigned(error),
        };
        let body = match timeout(BODY_LIMIT, to_bytes(body, MAX_BODY_BYTES)).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) if is_too_long(&error) => return CallbackResponse::TooLarge,
            Ok(Err(_)) | Err(_) => return CallbackResponse::TooSlow,
        };
        if let Err(error) = headers.verify(&body, &self.secrets) {
            return CallbackResponse::Unsigned(error);
        }
        let under_way = match self.replays.check(&headers.id, Instant::now()) {
            ReplayCheck::New(under_way) => under_way,
            ReplayCheck::UnderWay => return CallbackResponse::UnderWay,
            ReplayCheck::Accepted => return CallbackResponse::Again,
        };
        let confirmation = match event::read(&body, self.echo) {
            Ok(confirmation) => confirmation,
            Err(reason) => return CallbackResponse::Malformed(reason),
        };
        // The same callback through another confirmer is dropped by SQS for 5 minutes.
        let message = [confirmation.message(ConfirmationSource::Callback(&headers.id))];
        match timeout(QUEUE_LIMIT, self.confirmations.send(&message)).await {
            Ok(Ok(())) => {
                under_way.taken(Instant::now());
                CallbackResponse::Accepted
            }
            Ok(Err(unsent)) => {
                events::error("callback", &unsent);
                CallbackResponse::NotQueued
            }
            Err(elapsed) => {
                events::error("callback", &elapsed);
                CallbackResponse::NotQueued
            }
        }
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let first: &dyn std::error::Error = error;
    let mut causes = std::iter::successors(Some(first), |error| error.source());
    causes.any(|cause| cause.is::<http_body_util::LengthLimitError>())
}
