//! What leaves the process when a payment is submitted: its key and its body.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use domain::{
    AccountId, Amount, BeneficiaryId, BlobDigest, Data, DataBlob, Outcome, Payment, PaymentId,
    TraceKey,
};
use shared::transaction::{
    ContractSettings, EchoPolicy, TransactionClient, TransactionService, TransactionSettings,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const SETTLED: &str =
    r#"{"transaction_id":"T1","status":"settled","settled_at":"2026-11-23T01:00:00Z"}"#;

/// Answers every request with a settlement, and hands the requests on.
async fn service() -> (TransactionClient, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (seen, requests) = mpsc::channel(10);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            // The body is JSON and ends with the brace that closes it.
            while !request.ends_with(b"}") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            let (length, close) = (SETTLED.len(), "connection: close");
            let answer =
                format!("HTTP/1.1 201 C\r\ncontent-length: {length}\r\n{close}\r\n\r\n{SETTLED}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            seen.send(String::from_utf8(request).unwrap()).await.unwrap();
        }
    });
    let timeout = Duration::from_secs(10);
    let url = url.parse().unwrap();
    let contract = ContractSettings { echo: EchoPolicy::Accepted, ..ContractSettings::default() };
    let settings =
        TransactionSettings { url, proxy: None, timeout, connect_timeout: timeout, contract };
    (TransactionClient::new(&settings).unwrap(), requests)
}

fn payment() -> Payment {
    Payment {
        id: PaymentId::generate(),
        account: AccountId::parse("ACC").unwrap(),
        due: "2026-11-23".parse().unwrap(),
        amount: Amount::from_minor_units(1250).unwrap(),
        currency: "EUR".parse().unwrap(),
        beneficiary: BeneficiaryId::parse("B").unwrap(),
        data: None,
        trace_key: TraceKey::generate(),
        created_at: "2026-11-23T01:00:00Z".parse().unwrap(),
    }
}

/// The header, and the body, of one request.
fn parts(request: &str) -> (String, String) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let keys = head.lines().filter_map(|line| line.split_once(": "));
    let mut keys = keys.filter(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"));
    (keys.next().unwrap().1.to_owned(), body.to_owned())
}

#[tokio::test]
async fn a_payment_is_submitted_under_its_own_id_with_the_same_body_whoever_submits_it_again() {
    let (client, mut requests) = service().await;
    let first = payment();
    // The same payment as another worker reads it: what is not part of the instruction differs.
    let again = Payment { trace_key: TraceKey::generate(), ..first.clone() };
    let mut sent = Vec::new();
    for payment in [&first, &again] {
        assert!(matches!(client.submit(payment).await, Outcome::Settled(_)));
        sent.push(parts(&requests.recv().await.unwrap()));
    }
    assert_eq!(sent[0].0, first.id.to_string());
    assert_eq!(sent[0], sent[1]);
}

#[tokio::test]
async fn a_payment_whose_blob_was_not_read_never_leaves() {
    let (client, mut requests) = service().await;
    let digest = BlobDigest::of(&DataBlob::new("x").unwrap());
    let half = Payment { data: Some(Data::Beside(digest)), ..payment() };
    assert!(matches!(client.submit(&half).await, Outcome::NotDone { .. }));
    assert!(requests.try_recv().is_err());
}
