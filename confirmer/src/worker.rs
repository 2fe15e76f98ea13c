//! One receive after the other: write what it brought, then the messages go.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use shared::domain::{Failure, FailureCode, Payment};
use shared::payments::{Change, PaymentsTable};
use shared::queue::{Confirmation, Consumer, DeadLetterQueue, Delivery};
use shared::retry;
use shared::shutdown::Shutdown;

use crate::events;
use crate::verdict::{Verdict, judge};

/// A receiver of confirmations. Cloned for each receive loop.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) queue: Consumer,
    pub(crate) table: Arc<PaymentsTable>,
    pub(crate) dead_letters: DeadLetterQueue,
}

impl Worker {
    /// Receives and settles until shutdown; the batch in hand is finished.
    pub(crate) async fn receive(self, shutdown: Shutdown) {
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        while let Some(result) = self.queue.receive_until(&shutdown).await {
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
        let read = self.read(deliveries).await;
        if read.is_empty() {
            return;
        }
        let changes: Vec<_> = read
            .iter()
            .map(|(_, confirmation)| {
                Change::Settle(&confirmation.payment, &confirmation.settlement)
            })
            .collect();
        let results = match self.table.apply(&changes, Timestamp::now()).await {
            Ok(results) => results,
            Err(error) => {
                events::error("settle", &error);
                return self
                    .give_back(read.into_iter().map(|(delivery, _)| delivery).collect())
                    .await;
            }
        };
        let mut done = Vec::with_capacity(read.len());
        let mut open = Vec::new();
        for ((delivery, confirmation), result) in read.into_iter().zip(results) {
            match judge(result, &confirmation.settlement.transaction_id) {
                Verdict::Settled(how) => {
                    events::settled(&confirmation, how);
                    done.push(delivery);
                }
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

    /// Reads the bodies. What is no confirmation is buried; a payment that comes twice in a
    /// batch waits for its second turn, because one request cannot change an item twice.
    async fn read(&self, deliveries: Vec<Delivery>) -> Vec<(Delivery, Confirmation)> {
        let mut seen = HashSet::with_capacity(deliveries.len());
        let mut read = Vec::with_capacity(deliveries.len());
        let mut again = Vec::new();
        for delivery in deliveries {
            match serde_json::from_str::<Confirmation>(&delivery.body) {
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
