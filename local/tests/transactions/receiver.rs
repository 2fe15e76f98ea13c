//! A stub of the bank's client: receives callbacks and answers as it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::bank::PATIENCE;

pub(crate) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// One attempt that arrived.
#[derive(Clone, Debug)]
pub(crate) struct WebhookEvent {
    pub(crate) id: String,
    pub(crate) timestamp: i64,
    pub(crate) text: String,
    pub(crate) body: Value,
}

/// What the stub does with an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reaction {
    Answer(u16),
    Hang,
}

#[derive(Default)]
struct ReceiverState {
    events: Mutex<Vec<WebhookEvent>>,
    reactions: Mutex<VecDeque<Reaction>>,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<ReceiverState>,
    _server: AbortOnDropHandle<()>,
}

impl Receiver {
    /// Answers 204, after the given reactions to the first attempts.
    pub(crate) async fn open(reactions: &[Reaction]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(ReceiverState::default());
        state.reactions.lock().unwrap().extend(reactions);
        let routes =
            Router::new().route("/v1/confirmations", post(receive)).with_state(state.clone());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, state, _server: AbortOnDropHandle::new(server) }
    }

    /// All attempts so far.
    pub(crate) fn events(&self) -> Vec<WebhookEvent> {
        self.state.events.lock().unwrap().clone()
    }

    /// Waits for so many attempts.
    pub(crate) async fn received(&self, count: usize) -> Vec<WebhookEvent> {
        let waiting = async {
            loop {
                let events = self.events();
                if events.len() >= count {
                    return events;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("too few callbacks")
    }
}

/// An event whose signature does not hold is a failed test.
async fn receive(
    State(state): State<Arc<ReceiverState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let verified = Webhook::new(SECRET).unwrap().verify(&body, &headers);
    let event = WebhookEvent {
        id: headers["webhook-id"].to_str().unwrap().to_owned(),
        timestamp: headers["webhook-timestamp"].to_str().unwrap().parse().unwrap(),
        text: String::from_utf8(body.to_vec()).unwrap(),
        body: match verified {
            Ok(()) => serde_json::from_slice(&body).unwrap(),
            Err(error) => Value::String(format!("not verified: {error}")),
        },
    };
    state.events.lock().unwrap().push(event);
    let reaction = state.reactions.lock().unwrap().pop_front().unwrap_or(Reaction::Answer(204));
    match reaction {
        Reaction::Hang => std::future::pending().await,
        Reaction::Answer(302) => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        Reaction::Answer(status) => StatusCode::from_u16(status).unwrap().into_response(),
    }
}
