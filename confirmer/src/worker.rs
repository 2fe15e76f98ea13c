//! One receive after the other: write what it brought, then the messages go.

use std::collections::HashSet;
use std::sync::Arc;

use shared::clock::Clock;
use shared::domain::{Failure, FailureCode, Payment, PaymentRef};
use shared::payments::archive::Archive;
use shared::payments::{Change, PaymentStore};
use shared::queue::{Confirmation, Consumer, DeadLetterQueue, Delivery, Reported};
use shared::retry;
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Calls;

use crate::events;
use crate::verdict::{Verdict, judge, judge_absent};

/// A receiver of confirmations. Cloned for each receive loop.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) queue: Consumer,
    pub(crate) store: Arc<dyn PaymentStore>,
    pub(crate) archive: Arc<dyn Archive>,
    pub(crate) dead_letters: DeadLetterQueue,
    pub(crate) clock: Clock,
    pub(crate) receiving: Calls,
    pub(crate) settling: Calls,
}

impl Worker {
    /// Receives and settles until shutdown; the batch in hand is finished.
    pub(crate) async fn receive(self, shutdown: Shutdown) {
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        while let Some(result) = self.queue.receive_until(&shutdown).await {
            self.receiving.note(&result);
            match result {
                Ok(deliveries) => {
                    pauses = retry::NEVER_GIVE_UP.pauses();
                    self.settle(deliveries).await;
                }
                Err(error) => {
                    events::error("receive", &error);
                    if shutdown.pause(pauses.next().unwrap_or_default()).await {
                        return;
                    }
                }
            }
        }
    }

    async fn settle(&self, deliveries: Vec<Delivery>) {
        let mut read = self.read(deliveries).await;
        // A refusal has no fence: by now another may hold the message, and an operator may have
        // replayed the payment since. What is not held is delivered again.
        read.retain(|(delivery, _)| delivery.is_held());
        if read.is_empty() {
            return;
        }
        let changes: Vec<_> = read.iter().map(|(_, confirmation)| change(confirmation)).collect();
        let results = self.store.apply(&changes, self.clock.now()).await;
        self.settling.note(&results);
        let results = match results {
            Ok(results) => results,
            Err(error) => {
                events::error("settle", &error);
                let deliveries = read.into_iter().map(|(delivery, _)| delivery);
                return self.give_back(deliveries.collect()).await;
            }
        };
        let mut done = Vec::with_capacity(read.len());
        let mut open = Vec::new();
        for ((delivery, confirmation), result) in read.into_iter().zip(results) {
            let verdict = judge(result, &confirmation.result);
            match self.look_back(verdict, &confirmation).await {
                Verdict::Written(how) => {
                    events::written(&confirmation, how.as_str());
                    match confirmation.result {
                        Reported::Settled(_) => done.push(delivery),
                        Reported::Rejected(failure) => {
                            self.bury_rejected(delivery, &confirmation.payment, failure).await;
                        }
                    }
                }
                Verdict::Absent(failure) => self.bury(delivery, failure, None).await,
                Verdict::Conflict(failure, payment) => {
                    self.bury(delivery, failure, payment.as_deref()).await;
                }
                Verdict::Retry { reason } => {
                    let payment_id = confirmation.payment.id;
                    tracing::warn!(%payment_id, reason, "a settlement was not decided");
                    open.push(delivery);
                }
            }
        }
        self.queue.acknowledge(done).await;
        self.give_back(open).await;
    }

    /// Looks into the archive for a payment that the table does not hold.
    async fn look_back(&self, verdict: Verdict, confirmation: &Confirmation) -> Verdict {
        match verdict {
            Verdict::Absent(failure) => match self.archive.find(&confirmation.payment).await {
                Ok(archived) => judge_absent(archived, &confirmation.result, failure),
                Err(error) => Verdict::Retry { reason: error.to_string() },
            },
            Verdict::Written(_) | Verdict::Conflict(..) | Verdict::Retry { .. } => verdict,
        }
    }

    /// Reads the bodies. What is no confirmation is buried; a payment that comes twice in a
    /// batch waits for its second turn, because one request cannot change an item twice.
    async fn read(&self, deliveries: Vec<Delivery>) -> Vec<(Delivery, Confirmation)> {
        let mut seen = HashSet::with_capacity(deliveries.len());
        let mut read = Vec::with_capacity(deliveries.len());
        let mut again = Vec::new();
        for delivery in deliveries {
            match serde_json::from_str(&delivery.body).map(as_refused) {
                Ok(confirmation) if seen.insert(confirmation.payment.id) => {
                    read.push((delivery, confirmation));
                }
                Ok(_) => again.push(delivery),
                Err(error) => {
                    let failure = Failure::new(FailureCode::MalformedMessage, error.to_string());
                    self.bury(delivery, failure, None).await;
                }
            }
        }
        self.give_back(again).await;
        read
    }

    /// The dead letter of a payment that is FAILED now; it holds the whole payment.
    async fn bury_rejected(&self, delivery: Delivery, payment: &PaymentRef, failure: Failure) {
        match self.store.get(payment).await {
            Ok(Some(stored)) => {
                let buried =
                    self.dead_letters.bury(&delivery.message_id, &stored.payment, None, failure);
                match buried.await {
                    Ok(()) => self.queue.acknowledge(vec![delivery]).await,
                    Err(error) => {
                        events::error("bury", &error);
                        self.give_back(vec![delivery]).await;
                    }
                }
            }
            // Just written, and gone: whatever did that, the message must not go too.
            Ok(None) => self.give_back(vec![delivery]).await,
            Err(error) => {
                events::error("bury", &error);
                self.give_back(vec![delivery]).await;
            }
        }
    }

    /// Puts a message whole into the dead-letter queue, then deletes it.
    async fn bury(&self, delivery: Delivery, failure: Failure, payment: Option<&Payment>) {
        events::buried(&delivery.message_id, &failure);
        let raw = delivery.body.clone();
        let source = &delivery.message_id;
        let buried = match payment {
            Some(payment) => self.dead_letters.bury(source, payment, Some(raw), failure).await,
            None => self.dead_letters.bury_raw(source, raw, failure).await,
        };
        match buried {
            Ok(()) => self.queue.acknowledge(vec![delivery]).await,
            Err(error) => {
                events::error("bury", &error);
                self.give_back(vec![delivery]).await;
            }
        }
    }

    async fn give_back(&self, deliveries: Vec<Delivery>) {
        if !deliveries.is_empty() {
            events::released(deliveries.len());
            self.queue.retry_later(deliveries).await;
        }
    }
}

/// A refusal that is reported came after a 202, whatever code its sender gave it: with
/// `rejected` a replay would take it for the answer to the payment's only submission.
fn as_refused(mut confirmation: Confirmation) -> Confirmation {
    match &mut confirmation.result {
        Reported::Settled(_) => {}
        Reported::Rejected(failure) => failure.code = FailureCode::Refused,
    }
    confirmation
}

fn change(confirmation: &Confirmation) -> Change<'_> {
    match &confirmation.result {
        Reported::Settled(settlement) => Change::Settle(&confirmation.payment, settlement),
        Reported::Rejected(failure) => Change::Refuse(&confirmation.payment, failure),
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
