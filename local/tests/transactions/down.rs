//! A service that cannot be reached.

use std::{sync::Arc, time::Duration};

use local::transactions::{Availability, Faults, Requests};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::bank::{Bank, PATIENCE, payment};

fn down() -> Faults {
    Faults { availability: Availability::Down, ..Faults::default() }
}

impl Bank {
    /// Posts over a connection of its own and expects to be cut off.
    async fn cut_off(&self, key: &str) {
        let request = reqwest::Client::new().post(self.url("/v1/transactions"));
        let request = request.header("Idempotency-Key", key).json(&payment(100)).send();
        timeout(PATIENCE, request).await.unwrap().expect_err("answered");
    }

    fn address(&self) -> String {
        self.service.endpoint().trim_start_matches("http://").to_owned()
    }
}

#[tokio::test]
async fn a_service_that_is_down_cuts_every_request_and_counts_it_once() {
    let bank = Bank::open(Faults::default()).await;
    assert_eq!(bank.post("k", &payment(100)).await.status, 201);
    bank.service.set_faults(down());
    for _ in 0..5 {
        bank.cut_off("k2").await;
    }
    assert_eq!(bank.service.requests(), Requests { total: 6, while_down: 5 });
    bank.service.set_faults(Faults::default());
    assert_eq!(bank.get("k2").await.status, 404);
    assert_eq!(bank.service.requests(), Requests { total: 7, while_down: 5 });
    assert_eq!(bank.entries().len(), 1);
}

#[tokio::test]
async fn a_request_in_hand_is_cut_at_once_when_the_service_goes_down() {
    let latency = Duration::from_secs(24 * 3600);
    let bank = Arc::new(Bank::open(Faults { latency, ..Faults::default() }).await);
    let slow = tokio::spawn({
        let bank = bank.clone();
        async move { bank.cut_off("k").await }
    });
    bank.until("settled", |bank| bank.service.settled() == 1).await;
    bank.service.set_faults(down());
    timeout(PATIENCE, slow).await.unwrap().unwrap();
    assert_eq!(bank.service.requests().while_down, 0);
}

#[tokio::test]
async fn not_a_byte_is_answered_and_a_connection_without_a_request_is_no_request() {
    let bank = Bank::open(down()).await;
    let silent = TcpStream::connect(bank.address()).await.unwrap();
    let mut asking = TcpStream::connect(bank.address()).await.unwrap();
    asking.write_all(b"GET /healthz HTTP/1.1\r\nHost: bank\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Cut in order or by a reset: both are the end.
    let _ = timeout(PATIENCE, asking.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"");
    assert_eq!(bank.service.requests(), Requests { total: 1, while_down: 1 });

    // The silent one is served when the service is up again.
    bank.service.set_faults(Faults::default());
    let mut silent = silent;
    silent
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: bank\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    timeout(PATIENCE, silent.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
}
