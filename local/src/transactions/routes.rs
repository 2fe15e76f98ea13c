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
    answer::Acceptance,
    desk::{Desk, Served, Sought, Visit},
    echo::Echo,
    instruction::{IdempotencyKey, Instruction},
    refusal::Refusal,
};

/// Bytes of a body: dueflow's longest payment (8 KB) with every character of
/// its data escaped, and some room.
const BODY_LIMIT: usize = 64 * 1024;

type BodyRead = Result<Bytes, BytesRejection>;

/// The whole service, as `docs/transaction-service.yaml` describes it.
pub(crate) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/transactions", get(find).post(settle))
        .route("/healthz", get(healthy))
        .fallback(async || Refusal::NoSuchPath)
        .method_not_allowed_fallback(async || Refusal::NoSuchMethod)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(desk)
}

async fn settle(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: BodyRead) -> Response {
    let visit = match desk.let_in().await {
        Ok(visit) => visit,
        Err(refusal) => return refusal.into_response(),
    };
    let served = serve_now(&desk, &visit, &headers, body);
    pause(visit.faults.latency).await;
    desk.answered(&visit);
    match served {
        Ok(Served::SettledNow(settlement)) => {
            (StatusCode::CREATED, Json(settlement)).into_response()
        }
        Ok(Served::SettledBefore(settlement)) => Json(settlement).into_response(),
        Ok(Served::UnderWay(echo)) => accepted(echo),
        Ok(Served::Unheard) => {
            // Its worker goes on to others.
            drop(visit);
            // Dropped when the client goes away or the service stops.
            future::pending().await
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn serve_now(
    desk: &Desk,
    visit: &Visit,
    headers: &HeaderMap,
    body: BodyRead,
) -> Result<Served, Refusal> {
    visit.admit()?;
    let body = body.map_err(unreadable)?;
    let key = IdempotencyKey::from_headers(headers)?;
    let instruction = Instruction::parse(&body)?;
    desk.serve(&visit.faults, key, instruction)
}

#[derive(Deserialize)]
struct Question {
    idempotency_key: String,
}

async fn find(State(desk): State<Arc<Desk>>, uri: axum::http::Uri) -> Response {
    let visit = match desk.let_in().await {
        Ok(visit) => visit,
        Err(refusal) => return refusal.into_response(),
    };
    let found = visit.admit().and_then(|()| {
        let Query(question) =
            Query::<Question>::try_from_uri(&uri).map_err(|_| Refusal::MalformedQuery)?;
        let key =
            IdempotencyKey::parse(&question.idempotency_key).ok_or(Refusal::MalformedQuery)?;
        desk.find(&visit.faults, &key)
    });
    pause(visit.faults.latency).await;
    desk.answered(&visit);
    match found {
        Ok(Sought::Settled(settlement)) => Json(settlement).into_response(),
        Ok(Sought::UnderWay(echo)) => accepted(echo),
        Err(refusal) => refusal.into_response(),
    }
}

fn accepted(echo: Echo) -> Response {
    (StatusCode::ACCEPTED, Json(Acceptance::of(echo))).into_response()
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
