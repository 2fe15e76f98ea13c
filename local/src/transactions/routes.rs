//! HTTP in, HTTP out.

use std::{future, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

use super::{
    answer::AcceptedAnswer,
    echo::Echo,
    handler::{AdmittedRequest, LookupResult, RequestHandler, SubmissionResult},
    instruction::{IdempotencyKey, Instruction},
    refusal::Refusal,
};

/// Bytes of a body: dueflow's longest payment (8 KB) with every character of
/// its data escaped, and some room.
const BODY_LIMIT: usize = 64 * 1024;

type BodyRead = Result<Bytes, BytesRejection>;

/// The whole service, as `docs/transaction-service.yaml` describes it.
pub(crate) fn routes(handler: Arc<RequestHandler>) -> Router {
    Router::new()
        .route("/v1/transactions", get(find).post(settle))
        .route("/healthz", get(healthy))
        .fallback(async || Refusal::NoSuchPath)
        .method_not_allowed_fallback(async || Refusal::NoSuchMethod)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(handler)
}

async fn settle(
    State(handler): State<Arc<RequestHandler>>,
    headers: HeaderMap,
    body: BodyRead,
) -> Response {
    let request = match handler.admit_request().await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let served = serve_now(&handler, &request, &headers, body);
    pause(request.faults.latency).await;
    handler.answered(&request);
    match served {
        Ok(SubmissionResult::Settled(settlement)) => {
            (StatusCode::CREATED, Json(settlement)).into_response()
        }
        Ok(SubmissionResult::Replayed(settlement)) => Json(settlement).into_response(),
        Ok(SubmissionResult::UnderWay(echo)) => accepted(echo),
        Ok(SubmissionResult::AnswerLost) => {
            // Its worker goes on to others.
            drop(request);
            // Dropped when the client goes away or the service stops.
            future::pending().await
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn serve_now(
    handler: &RequestHandler,
    request: &AdmittedRequest,
    headers: &HeaderMap,
    body: BodyRead,
) -> Result<SubmissionResult, Refusal> {
    request.draw_unavailable()?;
    let body = body.map_err(unreadable)?;
    let key = IdempotencyKey::from_headers(headers)?;
    let instruction = Instruction::parse(&body)?;
    handler.serve(&request.faults, key, instruction)
}

#[derive(Deserialize)]
struct Question {
    idempotency_key: String,
}

async fn find(State(handler): State<Arc<RequestHandler>>, uri: axum::http::Uri) -> Response {
    let request = match handler.admit_request().await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let found = request.draw_unavailable().and_then(|()| {
        let Query(question) =
            Query::<Question>::try_from_uri(&uri).map_err(|_| Refusal::MalformedQuery)?;
        let key =
            IdempotencyKey::parse(&question.idempotency_key).ok_or(Refusal::MalformedQuery)?;
        handler.find(&request.faults, &key)
    });
    pause(request.faults.latency).await;
    handler.answered(&request);
    match found {
        Ok(LookupResult::Settled(settlement)) => Json(settlement).into_response(),
        Ok(LookupResult::UnderWay(echo)) => accepted(echo),
        Err(refusal) => refusal.into_response(),
    }
}

fn accepted(echo: Echo) -> Response {
    (StatusCode::ACCEPTED, Json(AcceptedAnswer::of(echo))).into_response()
}

/// Says that the service runs, whatever its faults: a demo waits for it.
async fn healthy() -> &'static str {
    "ok\n"
}

/// A timer costs a turn of its own, so there is none without latency.
async fn pause(latency: Duration) {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
}

fn unreadable(rejection: BytesRejection) -> Refusal {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Refusal::BodyTooLarge { limit: BODY_LIMIT }
    } else {
        Refusal::MalformedBody(rejection.body_text())
    }
}
