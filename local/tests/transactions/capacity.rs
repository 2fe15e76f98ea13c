//! How many requests the service serves at a time.

use std::{sync::Arc, time::Duration};

use local::transactions::{Faults, ServiceCapacity};
use tokio::time::{Instant, timeout};

use crate::bank::{Answer, Bank, PATIENCE, payment};

fn with(workers: usize, queue: usize, latency: Duration) -> Faults {
    Faults { capacity: Some(ServiceCapacity { workers, queue }), latency, ..Faults::default() }
}

const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

/// Posts without waiting for the answer.
fn post(bank: &Arc<Bank>, key: &'static str) -> tokio::task::JoinHandle<Answer> {
    let bank = bank.clone();
    tokio::spawn(async move { bank.post(key, &payment(100)).await })
}

impl Bank {
    async fn settled_and_came(&self, settled: u64, arrived: u64) {
        self.until(&format!("{settled} of {arrived} settled"), |bank| {
            bank.service.settled() == settled && bank.service.requests().total == arrived
        })
        .await;
    }
}

#[tokio::test]
async fn what_exceeds_the_workers_waits_and_what_exceeds_the_queue_is_refused_with_a_hint() {
    let bank = Arc::new(Bank::open(with(2, 2, FOR_EVER)).await);
    let mut posts = Vec::new();
    for (n, key) in ["k1", "k2", "k3", "k4"].into_iter().enumerate() {
        posts.push(post(&bank, key));
        bank.settled_and_came(2.min(n as u64 + 1), n as u64 + 1).await;
    }
    for request in [
        bank.client.get(bank.url("/v1/transactions?idempotency_key=k1")),
        bank.client
            .post(bank.url("/v1/transactions"))
            .header("Idempotency-Key", "k5")
            .json(&payment(100)),
    ] {
        let refused = timeout(PATIENCE, request.send()).await.unwrap().unwrap();
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers()["retry-after"], "1");
        assert!(refused.text().await.unwrap().contains(r#""code":"overloaded""#));
    }
    assert_eq!(bank.client.get(bank.url("/healthz")).send().await.unwrap().status(), 200);

    // The first who waited is the first to be served.
    bank.service.set_faults(with(3, 2, FOR_EVER));
    bank.settled_and_came(3, 6).await;
    assert_eq!(bank.entries()[2].idempotency_key, "k3");
    bank.service.set_faults(Faults::default());
    assert_eq!(timeout(PATIENCE, posts.remove(3)).await.unwrap().unwrap().status, 201);
    assert!(!bank.entries().iter().any(|entry| entry.idempotency_key == "k5"));
    for post in posts {
        post.abort();
    }
}

#[tokio::test]
async fn a_halved_service_takes_twice_as_long() {
    let latency = Duration::from_millis(20);
    let bank = Arc::new(Bank::open(with(8, 100, latency)).await);
    for workers in [8, 4] {
        bank.service.set_faults(with(workers, 100, latency));
        let started = Instant::now();
        let asked: Vec<_> = (0..32)
            .map(|_| {
                let bank = bank.clone();
                tokio::spawn(async move { bank.get("k").await })
            })
            .collect();
        for asked in asked {
            assert_eq!(timeout(PATIENCE, asked).await.unwrap().unwrap().status, 404);
        }
        let least = latency * (32 / workers as u32);
        assert!(started.elapsed() >= least, "{workers}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_lost_answer_and_a_client_that_hangs_up_leave_their_worker_to_others() {
    let bank = Arc::new(Bank::open(with(1, 1, Duration::ZERO)).await);
    bank.service.set_faults(Faults { lose_answers: 1.0, ..with(1, 1, Duration::ZERO) });
    let unheard = post(&bank, "k1");
    bank.settled_under("k1").await;
    bank.service.set_faults(with(1, 1, FOR_EVER));
    let slow = post(&bank, "k2");
    bank.until("k2 settled", |bank| bank.service.settled() == 2).await;
    slow.abort();
    bank.service.set_faults(with(1, 1, Duration::ZERO));
    assert_eq!(bank.get("k2").await.status, 200);
    unheard.abort();
}

#[tokio::test]
async fn a_service_without_workers_hangs_until_it_has_some() {
    let bank = Arc::new(Bank::open(with(0, 1, Duration::ZERO)).await);
    let hanging = post(&bank, "k");
    bank.settled_and_came(0, 1).await;
    bank.service.set_faults(Faults { capacity: Some(ServiceCapacity::of(1)), ..Faults::default() });
    assert_eq!(timeout(PATIENCE, hanging).await.unwrap().unwrap().status, 201);
}
