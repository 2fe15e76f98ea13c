//! Callbacks as a sender makes them, signed by another implementation of the scheme.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Frame;
use jiff::Timestamp;
use shared::clock::Clock;
use shared::config::Settings;
use shared::queue::{
    Confirmation, OutgoingMessage, Producer, QueueApi, QueueCallError, ReceivedMessage,
    RefusedEntry, Visibility,
};
use shared::shutdown::Shutdown;
use shared::transaction::EchoPolicy;
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::CallbackServer;
use super::CallbackSettings;
use super::handler::CallbackHandler;
use super::replay_cache::ReplayCache;
use super::response::CallbackResponse;
use super::secret::Secret;
use super::signature::SignatureError;

const BODY: &str = r#"{"type":"transaction.settled","timestamp":"2026-11-23T01:00:00.000Z","data":{"payment_id":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab","account_id":"ACC-1","scheduled_date":"2026-11-23","amount":1250,"currency":"EUR","transaction_id":"T1","settled_at":"2026-11-23T01:00:00.000Z"}}"#;

fn now() -> Timestamp {
    "2026-11-23T01:00:05Z".parse().unwrap()
}

fn secret(byte: u8) -> String {
    format!("whsec_{}", STANDARD.encode([byte; 32]))
}

/// Takes messages while it has permits, and fails when it is down.
#[derive(Debug)]
struct FakeQueue {
    sent: Mutex<Vec<OutgoingMessage>>,
    permits: Semaphore,
    down: Mutex<bool>,
}

#[async_trait]
impl QueueApi for FakeQueue {
    fn name(&self) -> &'static str {
        "fake.fifo"
    }

    async fn receive(
        &self,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        Err(QueueCallError::other("nothing is received"))
    }

    async fn delete(&self, _: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        Err(QueueCallError::other("nothing is deleted"))
    }

    async fn change_visibility(
        &self,
        _: &[(&str, Duration)],
        _: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        Err(QueueCallError::other("nothing is held"))
    }

    async fn send(
        &self,
        messages: &[&OutgoingMessage],
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        self.permits.acquire().await.unwrap().forget();
        if *self.down.lock().unwrap() {
            return Err(QueueCallError::other("down"));
        }
        self.sent.lock().unwrap().extend(messages.iter().map(|message| (*message).clone()));
        Ok(Vec::new())
    }
}

struct TestHandler {
    handler: CallbackHandler,
    queue: Arc<FakeQueue>,
}

impl TestHandler {
    fn new(secrets: &[u8]) -> Self {
        let queue = FakeQueue {
            sent: Mutex::default(),
            permits: Semaphore::new(1_000),
            down: Mutex::new(false),
        };
        let queue = Arc::new(queue);
        let handler = CallbackHandler {
            secrets: secrets.iter().map(|byte| Secret::parse(&secret(*byte)).unwrap()).collect(),
            confirmations: Producer::new(queue.clone()),
            echo: EchoPolicy::Required,
            replays: ReplayCache::default(),
            clock: Clock::new(now),
        };
        Self { handler, queue }
    }

    async fn take(&self, callback: &SignedCallback) -> CallbackResponse {
        self.handler.take(callback.request()).await
    }

    fn sent(&self) -> Vec<OutgoingMessage> {
        self.queue.sent.lock().unwrap().clone()
    }
}

/// A body of which nothing ever comes.
struct NeverEnding;

impl HttpBody for NeverEnding {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// A body whose sender goes away.
struct BreaksOff;

impl HttpBody for BreaksOff {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
    }
}

/// A callback that can be spoilt.
#[derive(Clone)]
struct SignedCallback {
    id: String,
    timestamp: String,
    signature: String,
    body: String,
}

impl SignedCallback {
    fn new(id: &str, key: u8, seconds_from_now: i64) -> Self {
        Self::with_body(id, key, seconds_from_now, BODY)
    }

    fn with_body(id: &str, key: u8, seconds_from_now: i64, body: &str) -> Self {
        let timestamp = now().as_second() + seconds_from_now;
        let webhook = Webhook::new(&secret(key)).unwrap();
        let signature = webhook.sign(id, timestamp, body.as_bytes()).unwrap();
        let (id, body) = (id.to_owned(), body.to_owned());
        Self { id, timestamp: timestamp.to_string(), signature, body }
    }

    fn request(&self) -> Request<Body> {
        self.request_without("")
    }

    fn request_without(&self, left_out: &str) -> Request<Body> {
        let headers = [
            ("webhook-id", &self.id),
            ("webhook-timestamp", &self.timestamp),
            ("webhook-signature", &self.signature),
        ];
        let mut request = Request::post("/v1/confirmations");
        for (name, value) in headers.into_iter().filter(|(name, _)| *name != left_out) {
            request = request.header(name, value);
        }
        request.body(Body::from(self.body.clone())).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_signed_callback_is_in_the_queue_when_it_is_answered() {
    let receiver = TestHandler::new(&[1]);
    assert_eq!(
        receiver.take(&SignedCallback::new("msg_1", 1, 0)).await,
        CallbackResponse::Accepted
    );
    let sent = receiver.sent();
    assert_eq!(sent.len(), 1);
    let confirmation: Confirmation = serde_json::from_str(&sent[0].body).unwrap();
    assert_eq!(confirmation.payment.account.as_str(), "ACC-1");
    // SQS takes no longer deduplication ids.
    assert!(sent[0].deduplication.len() <= 128);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_or_a_tampered_part_is_refused() {
    let receiver = TestHandler::new(&[1]);
    let good = SignedCallback::new("msg_1", 1, 0);
    let mut spoilt = vec![SignedCallback::new("msg_1", 2, 0)];
    spoilt.push(SignedCallback { body: good.body.replace("T1", "T2"), ..good.clone() });
    spoilt.push(SignedCallback { id: "msg_2".to_owned(), ..good.clone() });
    spoilt.push(SignedCallback { timestamp: (now().as_second() + 1).to_string(), ..good.clone() });
    spoilt.push(SignedCallback { signature: good.signature.replace("v1,", "v2,"), ..good.clone() });
    spoilt.push(SignedCallback { signature: good.signature[..20].to_owned(), ..good.clone() });
    for callback in spoilt {
        assert_eq!(
            receiver.take(&callback).await,
            CallbackResponse::Unsigned(SignatureError::Signature)
        );
    }
    assert!(receiver.sent().is_empty());
    assert_eq!(receiver.take(&good).await, CallbackResponse::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_timestamp_more_than_five_minutes_away_is_refused() {
    let receiver = TestHandler::new(&[1]);
    for seconds in [-301, 301, -86_400] {
        let answer = receiver.take(&SignedCallback::new("msg_1", 1, seconds)).await;
        assert_eq!(answer, CallbackResponse::Unsigned(SignatureError::Timestamp), "{seconds}");
    }
    for (id, seconds) in [("msg_2", -300), ("msg_3", 300)] {
        assert_eq!(
            receiver.take(&SignedCallback::new(id, 1, seconds)).await,
            CallbackResponse::Accepted
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_or_unreadable_header_is_refused() {
    let receiver = TestHandler::new(&[1]);
    let good = SignedCallback::new("msg_1", 1, 0);
    for header in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let answer = receiver.handler.take(good.request_without(header)).await;
        assert_eq!(answer, CallbackResponse::Unsigned(SignatureError::Header), "{header}");
    }
    for timestamp in ["soon", "-5", "1795395605.0", "9999999999999"] {
        let callback = SignedCallback { timestamp: timestamp.to_owned(), ..good.clone() };
        assert_eq!(
            receiver.take(&callback).await,
            CallbackResponse::Unsigned(SignatureError::Header),
            "{timestamp}"
        );
    }
    let longest = SignedCallback::new(&"m".repeat(255), 1, 0);
    assert_eq!(receiver.take(&longest).await, CallbackResponse::Accepted);
    let long = SignedCallback::new(&"m".repeat(256), 1, 0);
    assert_eq!(receiver.take(&long).await, CallbackResponse::Unsigned(SignatureError::Header));
}

#[tokio::test(start_paused = true)]
async fn both_secrets_are_taken_and_one_good_signature_of_several_is_enough() {
    let receiver = TestHandler::new(&[1, 2]);
    assert_eq!(
        receiver.take(&SignedCallback::new("msg_1", 2, 0)).await,
        CallbackResponse::Accepted
    );
    let (wrong, right) = (SignedCallback::new("msg_2", 3, 0), SignedCallback::new("msg_2", 1, 0));
    let signature = format!("v1a,abc {} {}", wrong.signature, right.signature);
    assert_eq!(
        receiver.take(&SignedCallback { signature, ..right }).await,
        CallbackResponse::Accepted
    );
}

#[tokio::test(start_paused = true)]
async fn a_replay_is_refused_under_whichever_signature() {
    let receiver = TestHandler::new(&[1]);
    assert_eq!(
        receiver.take(&SignedCallback::new("msg_1", 1, 0)).await,
        CallbackResponse::Accepted
    );
    for seconds in [0, 30] {
        assert_eq!(
            receiver.take(&SignedCallback::new("msg_1", 1, seconds)).await,
            CallbackResponse::Again
        );
    }
    assert_eq!(receiver.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_the_queue_did_not_take_may_come_again() {
    let receiver = TestHandler::new(&[1]);
    let callback = SignedCallback::new("msg_1", 1, 0);
    *receiver.queue.down.lock().unwrap() = true;
    assert_eq!(receiver.take(&callback).await, CallbackResponse::NotQueued);
    *receiver.queue.down.lock().unwrap() = false;
    assert_eq!(receiver.take(&callback).await, CallbackResponse::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_repetition_is_not_told_that_it_was_taken_before_it_was() {
    let receiver = TestHandler::new(&[1]);
    let permits = receiver.queue.permits.forget_permits(1_000);
    let (handler, callback) = (receiver.handler.clone(), SignedCallback::new("msg_1", 1, 0));
    let first = tokio::spawn({
        let request = callback.request();
        async move { handler.take(request).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(receiver.take(&callback).await, CallbackResponse::UnderWay);
    receiver.queue.permits.add_permits(permits);
    assert_eq!(first.await.unwrap(), CallbackResponse::Accepted);
    assert_eq!(receiver.take(&callback).await, CallbackResponse::Again);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_hangs_is_waited_for_no_longer_than_its_limit() {
    let receiver = TestHandler::new(&[1]);
    receiver.queue.permits.forget_permits(1_000);
    assert_eq!(
        receiver.take(&SignedCallback::new("msg_1", 1, 0)).await,
        CallbackResponse::NotQueued
    );
}

#[tokio::test(start_paused = true)]
async fn a_malformed_body_is_refused_and_may_come_again_corrected() {
    let receiver = TestHandler::new(&[1]);
    let callback = SignedCallback::with_body("msg_1", 1, 0, "{}");
    assert!(matches!(receiver.take(&callback).await, CallbackResponse::Malformed(_)));
    assert_eq!(
        receiver.take(&SignedCallback::new("msg_1", 1, 0)).await,
        CallbackResponse::Accepted
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_long_or_never_ends_is_refused() {
    let receiver = TestHandler::new(&[1]);
    let callback = SignedCallback::with_body("msg_1", 1, 0, &" ".repeat(64 * 1024 + 1));
    assert_eq!(receiver.take(&callback).await, CallbackResponse::TooLarge);
    let longest = SignedCallback::with_body("msg_1", 1, 0, &" ".repeat(64 * 1024));
    assert!(matches!(receiver.take(&longest).await, CallbackResponse::Malformed(_)));
    let request = SignedCallback::new("msg_1", 1, 0).request().map(|_| Body::new(NeverEnding));
    assert_eq!(receiver.handler.take(request).await, CallbackResponse::TooSlow);
    let request = SignedCallback::new("msg_1", 1, 0).request().map(|_| Body::new(BreaksOff));
    assert_eq!(receiver.handler.take(request).await, CallbackResponse::TooSlow);
}

#[tokio::test(start_paused = true)]
async fn only_a_post_to_the_one_path_is_taken() {
    let receiver = TestHandler::new(&[1]);
    let mut request = SignedCallback::new("msg_1", 1, 0).request();
    *request.method_mut() = axum::http::Method::GET;
    assert_eq!(receiver.handler.take(request).await, CallbackResponse::NoSuchMethod);
    let mut request = SignedCallback::new("msg_1", 1, 0).request();
    *request.uri_mut() = "/metrics".parse().unwrap();
    assert_eq!(receiver.handler.take(request).await, CallbackResponse::NoSuchPath);
}

#[tokio::test]
async fn a_callback_over_a_connection_is_answered_with_its_status_and_shutdown_ends_the_server() {
    let TestHandler { handler, queue } = TestHandler::new(&[1]);
    let settings = CallbackSettings {
        address: "127.0.0.1:0".parse().unwrap(),
        address_file: None,
        secrets: handler.secrets.to_vec(),
    };
    let server = CallbackServer::open(&settings, EchoPolicy::Required).await.unwrap();
    let address = server.address().unwrap();
    let shutdown = Shutdown::new(Duration::from_secs(1));
    let serving =
        tokio::spawn(server.serve(handler.confirmations, Clock::new(now), shutdown.clone()));
    let signed = SignedCallback::new("msg_1", 1, 0);
    for status in ["204 No Content", "409 Conflict"] {
        let answer = post(address, &signed).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    let answer = post(address, &SignedCallback::new("msg_2", 2, 0)).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(queue.sent.lock().unwrap().len(), 1);
    shutdown.request();
    serving.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "it still listens");
}

/// What comes back over a connection that is closed after it.
async fn post(address: SocketAddr, callback: &SignedCallback) -> String {
    let SignedCallback { id, timestamp, signature, body } = callback;
    let request = format!(
        "POST /v1/confirmations HTTP/1.1\r\nhost: confirmer\r\nconnection: close\r\n\
         webhook-id: {id}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[test]
fn only_what_its_sender_can_mend_is_logged_with_a_reason() {
    let refusal = |answer: CallbackResponse| answer.refusal();
    for unspoilt in [
        CallbackResponse::Accepted,
        CallbackResponse::Again,
        CallbackResponse::UnderWay,
        CallbackResponse::NotQueued,
    ] {
        assert_eq!(unspoilt.refusal(), None);
    }
    let malformed = CallbackResponse::Malformed("amount: missing".to_owned());
    assert_eq!(refusal(malformed).as_deref(), Some("amount: missing"));
    let unsigned = CallbackResponse::Unsigned(SignatureError::Timestamp);
    assert_eq!(refusal(unsigned), Some(SignatureError::Timestamp.to_string()));
    assert!(refusal(CallbackResponse::TooLarge).unwrap().contains("64 KiB"));
    assert!(refusal(CallbackResponse::TooSlow).unwrap().contains("5 seconds"));
    assert!(refusal(CallbackResponse::NoSuchPath).unwrap().contains("/v1/confirmations"));
    assert!(refusal(CallbackResponse::NoSuchMethod).unwrap().contains("POST"));
}

#[test]
fn every_answer_has_its_status() {
    let status = |answer: CallbackResponse| answer.status().as_u16();
    assert_eq!(status(CallbackResponse::Accepted), 204);
    assert_eq!(status(CallbackResponse::Again), 409);
    assert_eq!(status(CallbackResponse::UnderWay), 503);
    assert_eq!(status(CallbackResponse::Unsigned(SignatureError::Signature)), 401);
    assert_eq!(status(CallbackResponse::Malformed(String::new())), 400);
    assert_eq!(status(CallbackResponse::TooLarge), 413);
    assert_eq!(status(CallbackResponse::TooSlow), 408);
    assert_eq!(status(CallbackResponse::NotQueued), 503);
    assert_eq!(status(CallbackResponse::NoSuchPath), 404);
    assert_eq!(status(CallbackResponse::NoSuchMethod), 405);
}

fn read(pairs: &[(&str, &str)]) -> (Option<CallbackSettings>, String) {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut settings = Settings::load(pairs);
    let read = CallbackSettings::read(&mut settings);
    let errors = settings.finish(Some(())).err().map(|errors| errors.to_string());
    (read, errors.unwrap_or_default())
}

#[test]
fn callbacks_are_off_without_an_address_and_need_a_secret_with_one() {
    const ADDRESS: (&str, &str) = ("DUEFLOW_CALLBACK_ADDRESS", "127.0.0.1:0");
    let (settings, errors) = read(&[]);
    assert!(settings.is_none() && errors.is_empty());
    let (settings, errors) = read(&[ADDRESS]);
    assert!(settings.is_none() && errors.contains("DUEFLOW_CALLBACK_SECRET"), "{errors}");
    let (good, previous) = (secret(1), secret(2));
    let (settings, errors) = read(&[
        ADDRESS,
        ("DUEFLOW_CALLBACK_SECRET", &good),
        ("DUEFLOW_CALLBACK_SECRET_PREVIOUS", &previous),
    ]);
    let settings = settings.unwrap();
    assert!(errors.is_empty() && settings.secrets.len() == 2);
    let shown = format!("{settings:?}");
    assert!(!shown.contains("whsec") && shown.contains("Secret(***)"), "{shown}");
    let (_, errors) = read(&[ADDRESS, ("DUEFLOW_CALLBACK_SECRET", "whsec_short")]);
    assert!(errors.contains("DUEFLOW_CALLBACK_SECRET: ") && !errors.contains("short"), "{errors}");
}
