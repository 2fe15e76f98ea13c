//! The judges judged: a bug is planted into the traffic of the services, the situation in
//! which it does harm is brought about, and the history checker must find it. The same
//! situation without the bug must be clean.

use std::time::{Duration, Instant};

use demo::local_world::Process;
use local::transactions::Faults as TransactionFaults;
use tests::chance::Chance;
use tests::history::{Depth, Expect, Findings, Queues, Violation, check};
use tests::proxy::{Bug, Fault, Faults, Shares};

use crate::stage::{Stage, stop};
use crate::waves::payment;

/// Whatever is waited for has failed when it takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a message in hand stays hidden from others.
const VISIBILITY: Duration = Duration::from_secs(2);
/// As long as anything takes that will still happen: a message comes again after
/// [`VISIBILITY`], or the pause after a first failure.
const ALL_IS_DONE: Duration = Duration::from_secs(8);

/// A stage with some services on it.
struct Scene {
    stage: Stage,
    processes: Vec<Process>,
    inserted: u64,
}

impl Scene {
    async fn set(faults: TransactionFaults, bug: Option<Bug>) -> Self {
        let stage = Stage::set(faults, VISIBILITY).await.unwrap();
        match bug {
            Some(bug @ Bug::AttemptInKey) => stage.transactions.plant(bug),
            Some(bug @ (Bug::AcknowledgeOnReceipt | Bug::RestOvertakes)) => stage.sqs.plant(bug),
            Some(bug @ Bug::ClaimWithoutCondition) => stage.dynamodb.plant(bug),
            None => {}
        }
        Self { stage, processes: Vec::new(), inserted: 0 }
    }

    async fn start(&mut self, service: &str) {
        let name = format!("{service}-{}", self.processes.len());
        self.processes.push(self.stage.start(service, &name).await.unwrap());
    }

    async fn insert(&mut self, count: u64, accounts: u32) -> Vec<domain::Payment> {
        let mut chance = Chance::new(count, 1);
        let payments: Vec<_> =
            (0..count).map(|_| payment(&mut chance, accounts).unwrap()).collect();
        self.stage.writer.insert(&payments).await.unwrap();
        self.inserted += count;
        payments
    }

    /// Waits until the payments queue holds so much.
    async fn until_queue(&self, holds: impl Fn(Depth) -> bool) {
        let queues = Queues::new(&self.stage.world.aws);
        let queue = self.stage.world.names.payments_queue();
        until(async || holds(queues.depth(&queue).await.unwrap())).await;
    }

    /// Ends the services and judges what they left.
    async fn findings(self) -> Findings {
        stop(self.processes).await.unwrap();
        check(&self.stage.evidence(self.inserted).await.unwrap(), Expect::Ended)
    }
}

async fn until(holds: impl AsyncFn() -> bool) {
    let asked_at = Instant::now();
    while !holds().await {
        assert!(asked_at.elapsed() < PATIENCE, "it did not happen within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Answers are lost, so every payment is submitted again.
async fn lost_answers(bug: Option<Bug>) -> Findings {
    let losing = TransactionFaults { lose_answers: 1.0, ..TransactionFaults::default() };
    let mut scene = Scene::set(losing, bug).await;
    for service in ["stream-relay", "dispatcher", "confirmer"] {
        scene.start(service).await;
    }
    scene.insert(10, 100).await;
    until(async || scene.stage.world.local.transactions.settled() >= 10).await;
    // A later key is answered: a first request under a new key would be lost for ever.
    scene.stage.world.local.transactions.set_faults(TransactionFaults::default());
    assert_eq!(scene.stage.ended_within(PATIENCE).await.unwrap(), 0);
    scene.findings().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_the_attempt_in_the_key_is_found() {
    assert!(Box::pin(lost_answers(None)).await.clean());
    let findings = Box::pin(lost_answers(Some(Bug::AttemptInKey))).await;
    assert!(findings.count(Violation::SettledUnderAnotherKey) > 0, "{findings}");
}

/// A dispatcher is killed while it waits for answers.
async fn killed_in_the_middle(bug: Option<Bug>) -> Findings {
    let slow = TransactionFaults { latency: Duration::from_secs(30), ..Default::default() };
    let mut scene = Scene::set(slow, bug).await;
    scene.start("stream-relay").await;
    scene.start("dispatcher").await;
    scene.insert(10, 100).await;
    until(async || scene.stage.world.local.transactions.settled() > 0).await;
    scene.processes.remove(1).kill().await.unwrap();
    scene.stage.world.local.transactions.set_faults(TransactionFaults::default());
    scene.start("dispatcher").await;
    scene.start("confirmer").await;
    let patience = if bug.is_some() { ALL_IS_DONE } else { PATIENCE };
    scene.stage.ended_within(patience).await.unwrap();
    scene.findings().await
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledging_before_the_payment_is_settled_is_found() {
    let without = Box::pin(killed_in_the_middle(None)).await;
    assert!(without.clean(), "{without}");
    let findings = Box::pin(killed_in_the_middle(Some(Bug::AcknowledgeOnReceipt))).await;
    assert!(findings.count(Violation::Stranded) > 0, "{findings}");
}

/// A message comes a second time, beyond the queue's deduplication, when its payment has
/// been PROCESSED.
async fn duplicate_message(bug: Option<Bug>) -> Findings {
    let mut scene = Scene::set(TransactionFaults::default(), bug).await;
    for service in ["stream-relay", "dispatcher", "confirmer"] {
        scene.start(service).await;
    }
    let payment = scene.insert(1, 1).await.remove(0);
    assert_eq!(scene.stage.ended_within(PATIENCE).await.unwrap(), 0);
    scene.until_queue(|depth| depth.visible + depth.in_flight == 0).await;
    let sqs = scene.stage.world.aws.sqs("test");
    let queue = sqs.get_queue_url().queue_name(scene.stage.world.names.payments_queue());
    sqs.send_message()
        .queue_url(queue.send().await.unwrap().queue_url.unwrap())
        .message_group_id("once-more")
        .message_deduplication_id("once-more")
        .message_body(serde_json::to_string(&payment).unwrap())
        .send()
        .await
        .unwrap();
    scene.until_queue(|depth| depth.visible + depth.in_flight == 0).await;
    scene.findings().await
}

#[tokio::test(flavor = "multi_thread")]
async fn claiming_without_a_condition_is_found() {
    let without = Box::pin(duplicate_message(None)).await;
    assert!(without.clean(), "{without}");
    let findings = Box::pin(duplicate_message(Some(Bug::ClaimWithoutCondition))).await;
    assert!(findings.count(Violation::ForbiddenChange) > 0, "{findings}");
}

/// The first payment of an account cannot be settled at once, with others behind it in hand.
async fn waiting_first(bug: Option<Bug>) -> Findings {
    let mut scene = Scene::set(TransactionFaults::default(), bug).await;
    let shares = Shares { unavailable: 1.0, ..Shares::default() };
    scene.stage.transactions.set_faults(Faults { shares, ..Faults::default() });
    scene.start("stream-relay").await;
    scene.insert(8, 1).await;
    scene.until_queue(|depth| depth.visible == 8).await;
    scene.start("dispatcher").await;
    scene.start("confirmer").await;
    until(async || scene.stage.transactions.counts().of(Fault::Unavailable) > 0).await;
    scene.stage.transactions.set_faults(Faults::default());
    assert_eq!(scene.stage.ended_within(PATIENCE).await.unwrap(), 0);
    scene.findings().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_that_is_not_released_in_order_is_found() {
    let without = Box::pin(waiting_first(None)).await;
    assert!(without.clean(), "{without}");
    let findings = Box::pin(waiting_first(Some(Bug::RestOvertakes))).await;
    assert!(findings.count(Violation::OutOfOrder) > 0, "{findings}");
}
