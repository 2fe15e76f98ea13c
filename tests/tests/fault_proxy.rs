//! The fault proxy over real connections, in front of the local transaction service.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use local::transactions::{Faults as TransactionFaults, LocalTransactionService};
use tests::proxy::{Fault, Faults, Proxy, Service, Shares};

/// Whatever is waited for has failed when it takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

struct Scene {
    transactions: LocalTransactionService,
    proxy: Proxy,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn set(shares: Shares, latest: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let journal = dir.path().join("journal.jsonl");
        let faults = TransactionFaults::default();
        let transactions =
            LocalTransactionService::start(listener, &journal, faults).await.unwrap();
        let endpoint = transactions.endpoint();
        let proxy = Proxy::start(Service::Transactions, endpoint).await.unwrap();
        proxy.set_faults(Faults { seed: 1, shares, latest });
        Self { transactions, proxy, _dir: dir }
    }

    /// Posts a payment; the whole answer or what went wrong.
    async fn post(&self, limit: Duration) -> reqwest::Result<(u16, Option<String>, String)> {
        let id = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
        let payment = serde_json::json!({
            "payment_id": id, "account_id": "ACC-1", "beneficiary_id": "BEN-1",
            "amount": 1250, "currency": "EUR", "scheduled_date": "2026-11-24",
        });
        let client = reqwest::Client::builder().timeout(limit).build()?;
        let url = format!("{}/v1/transactions", self.proxy.endpoint());
        let sent = client.post(url).header("Idempotency-Key", id).json(&payment).send().await?;
        let retry_after = sent.headers().get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
        Ok((sent.status().as_u16(), retry_after, sent.text().await?))
    }

    async fn until_settled(&self) {
        let asked_at = Instant::now();
        while self.transactions.settled() == 0 {
            assert!(asked_at.elapsed() < PATIENCE, "the request never arrived");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn always(share: fn(&mut Shares) -> &mut f64) -> Scene {
    let mut shares = Shares::default();
    *share(&mut shares) = 1.0;
    Scene::set(shares, Duration::ZERO).await
}

#[tokio::test]
async fn without_faults_an_answer_passes_whole() {
    let scene = Scene::set(Shares::default(), Duration::ZERO).await;
    let (status, _, body) = scene.post(PATIENCE).await.unwrap();
    assert_eq!(status, 201);
    assert!(body.contains("transaction_id"), "{body}");
    assert_eq!(scene.proxy.counts().of(Fault::Passed), 1);
}

#[tokio::test]
async fn what_is_refused_or_cut_before_does_not_arrive() {
    let unavailable = always(|shares| &mut shares.unavailable).await;
    let status = unavailable.post(PATIENCE).await.unwrap().0;
    assert!(status == 500 || status == 503, "{status}");
    let throttled = always(|shares| &mut shares.throttled).await;
    let (status, retry_after, _) = throttled.post(PATIENCE).await.unwrap();
    assert_eq!((status, retry_after.as_deref()), (429, Some("1")));
    let cut = always(|shares| &mut shares.cut_before).await;
    assert!(cut.post(PATIENCE).await.is_err());
    for scene in [unavailable, throttled, cut] {
        assert_eq!(scene.transactions.settled(), 0);
        assert_eq!(scene.proxy.counts().injected(), 1);
    }
}

#[tokio::test]
async fn what_is_cut_after_or_in_the_middle_of_the_answer_was_applied() {
    let cut = always(|shares| &mut shares.cut_after).await;
    assert!(cut.post(PATIENCE).await.is_err());
    let half = always(|shares| &mut shares.half).await;
    let error = half.post(PATIENCE).await.unwrap_err();
    assert!(error.is_decode() || error.is_body(), "the head came, and not the body: {error:?}");
    for scene in [cut, half] {
        assert_eq!(scene.transactions.settled(), 1);
    }
}

#[tokio::test]
async fn a_late_request_arrives_after_its_client_has_gone() {
    let shares = Shares { late_request: 1.0, ..Shares::default() };
    let scene = Scene::set(shares, Duration::from_secs(4)).await;
    let error = scene.post(Duration::from_millis(50)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(scene.transactions.settled(), 0);
    scene.until_settled().await;
}

#[tokio::test]
async fn a_late_answer_is_of_a_request_that_was_applied_at_once() {
    let shares = Shares { late_answer: 1.0, ..Shares::default() };
    let scene = Scene::set(shares, Duration::from_secs(1_000_000)).await;
    let error = scene.post(Duration::from_secs(2)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    scene.until_settled().await;
}
