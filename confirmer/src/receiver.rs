//! Receives confirmations, writes what they report, then deletes their messages.

use std::collections::HashSet;
use std::sync::Arc;

use domain::{Failure, FailureCode, Payment, PaymentRef};
use jiff::tz::TimeZone;
use shared::clock::Clock;
use shared::dead_letters::{DeadLetterResult, dead_letter};
use shared::payments::archive::ArchiveLookup;
use shared::payments::{ApplyResult, Change, PaymentStore};
use shared::queue::{
    Confirmation, Consumer, DeadLetterQueue, DeadLetterSource, Delivery, ReportedResult,
};
use shared::retry;
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Calls;
use shared::transaction::TransactionIds;

use crate::events;
use crate::refusal_monitor::RefusalMonitor;
use crate::settle_result::{SettleResult, TableResult, judge, judge_missing};

/// A receiver of confirmations. Cloned for each receive loop.
#[derive(Debug, Clone)]
pub(crate) struct ConfirmationReceiver {
    pub(crate) queue: Consumer,
    pub(crate) store: Arc<dyn PaymentStore>,
    pub(crate) archive: Arc<dyn ArchiveLookup>,
    pub(crate) dead_letters: DeadLetterQueue,
    /// Whose the transaction ids are that were confirmed lately.
    pub(crate) ids: TransactionIds,
    pub(crate) refusal_monitor: RefusalMonitor,
    pub(crate) clock: Clock,
    /// The bank's time zone.
    pub(crate) zone: TimeZone,
    pub(crate) receiving: Calls,
    pub(crate) settling: Calls,
}

impl ConfirmationReceiver {
    /// Receives and settles until shutdown; the batch in hand is finished.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        while let Some(result) = self.queue.receive_until(&shutdown).await {
            self.receiving.note(&result);
            match result {
                Ok(deliveries) => {
                    events::succeeded("receive");
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
        let mut read = self.distinct(read).await;
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
            let result = match judge(result, &confirmation.result) {
                TableResult::Decided(result) => result,
                TableResult::Missing(failure) => self.look_up(&confirmation, failure).await,
            };
            match result {
                SettleResult::Written(applied) => {
                    events::written(&confirmation, applied);
                    match applied {
                        ApplyResult::Now => self.ended(&confirmation),
                        ApplyResult::Before => {}
                    }
                    match confirmation.result {
                        ReportedResult::Settled(_) => done.push(delivery),
                        ReportedResult::Rejected(_) => {
                            self.dead_letter(delivery, &confirmation.payment, None).await;
                        }
                    }
                }
                SettleResult::Conflict { failure, payment } => {
                    self.dead_letter_whole(delivery, failure, payment.as_deref()).await;
                }
                SettleResult::Withhold(failure) => {
                    self.withhold(delivery, &confirmation.payment, failure).await;
                }
                SettleResult::Undecided { reason } => {
                    events::undecided(&confirmation, &reason);
                    open.push(delivery);
                }
            }
        }
        self.queue.acknowledge(done).await;
        self.give_back(open).await;
    }

    /// What follows from a payment that this confirmer has ended just now.
    fn ended(&self, confirmation: &Confirmation) {
        let after = confirmation.payment.time_since_due(self.clock.now(), &self.zone);
        events::ended(&confirmation.result, after);
        self.refusal_monitor.note(confirmation);
    }

    /// Looks up in the archive what the table does not hold.
    async fn look_up(&self, confirmation: &Confirmation, failure: Failure) -> SettleResult {
        match self.archive.find(&confirmation.payment).await {
            Ok(archived) => judge_missing(archived, &confirmation.result, failure),
            Err(error) => SettleResult::Undecided { reason: error.to_string() },
        }
    }

    /// Reads the bodies. What is no confirmation is dead-lettered; a payment that comes twice in a
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
                    self.dead_letter_whole(delivery, failure, None).await;
                }
            }
        }
        self.give_back(again).await;
        read
    }

    /// Those whose transaction id no other payment has. Of the others nothing is written: the
    /// payment stays PENDING, and a person decides.
    async fn distinct(&self, read: Vec<(Delivery, Confirmation)>) -> Vec<(Delivery, Confirmation)> {
        let mut distinct = Vec::with_capacity(read.len());
        for (delivery, confirmation) in read {
            let noted = match &confirmation.result {
                ReportedResult::Settled(settlement) => {
                    let id = &settlement.transaction_id;
                    self.ids.note(id, &confirmation.payment).map_err(|other| {
                        format!("settled as {id}, but that is the transaction of payment {other}")
                    })
                }
                ReportedResult::Rejected(_) => Ok(()),
            };
            match noted {
                Ok(()) => distinct.push((delivery, confirmation)),
                Err(reason) => {
                    let conflict = Failure::new(FailureCode::Conflict, reason);
                    self.dead_letter_whole(delivery, conflict, None).await;
                }
            }
        }
        distinct
    }

    /// SCHEDULED → FAILED of a payment that was reported and never claimed, then its dead letter.
    async fn withhold(&self, delivery: Delivery, payment: &PaymentRef, failure: Failure) {
        if !delivery.is_held() {
            return;
        }
        let change = [Change::Withhold(payment, &failure)];
        match self.store.apply(&change, self.clock.now()).await.map(|mut results| results.pop()) {
            Ok(Some(Ok(_))) => {
                events::withheld(payment, &failure);
                let body = delivery.body.clone();
                self.dead_letter(delivery, payment, Some(&body)).await;
            }
            // It was claimed meanwhile: the next delivery decides.
            Ok(Some(Err(_)) | None) => self.give_back(vec![delivery]).await,
            Err(error) => {
                events::error("withhold", &error);
                self.give_back(vec![delivery]).await;
            }
        }
    }

    /// Writes the dead letter of a FAILED payment unless it has one, then deletes the message.
    async fn dead_letter(&self, delivery: Delivery, payment: &PaymentRef, raw: Option<&str>) {
        let (store, now) = (&*self.store, self.clock.now());
        match dead_letter(store, &self.dead_letters, payment, raw, now).await {
            // An operator has replayed it: its dead letter has served.
            Ok(
                DeadLetterResult::Now | DeadLetterResult::Before | DeadLetterResult::NotFailed(_),
            ) => {
                self.queue.acknowledge(vec![delivery]).await;
            }
            // Just written, and gone: whatever did that, the message must stay.
            Ok(DeadLetterResult::Missing) => self.give_back(vec![delivery]).await,
            Err(error) => {
                events::error("dead_letter", &error);
                self.give_back(vec![delivery]).await;
            }
        }
    }

    /// Puts a message whole into the dead-letter queue, then deletes it.
    async fn dead_letter_whole(
        &self,
        delivery: Delivery,
        failure: Failure,
        payment: Option<&Payment>,
    ) {
        let raw = delivery.body.clone();
        let (source, sent) = (source(&delivery, &failure), failure.clone());
        let dead_lettered = match payment {
            Some(payment) => self.dead_letters.send_payment(source, payment, Some(raw), sent).await,
            None => self.dead_letters.send_unreadable(source, raw, sent).await,
        };
        match dead_lettered {
            Ok(()) => {
                events::dead_lettered(&delivery.message_id, &failure);
                self.queue.acknowledge(vec![delivery]).await;
            }
            Err(error) => {
                events::error("dead_letter", &error);
                self.give_back(vec![delivery]).await;
            }
        }
    }

    async fn give_back(&self, deliveries: Vec<Delivery>) {
        if !deliveries.is_empty() {
            let count = deliveries.len();
            self.queue.retry_later(deliveries).await;
            events::released(count);
        }
    }
}

/// What the dead letter of a message is about.
fn source<'a>(delivery: &'a Delivery, failure: &'a Failure) -> DeadLetterSource<'a> {
    match failure.code {
        // The group of a confirmation is its payment, and the reason names both sides.
        FailureCode::Conflict => DeadLetterSource::Conflict(&delivery.group, &failure.reason),
        FailureCode::Rejected
        | FailureCode::Refused
        | FailureCode::MalformedRecord
        | FailureCode::MalformedMessage
        | FailureCode::InvalidItem
        | FailureCode::Overwritten
        | FailureCode::Mismatch
        | FailureCode::Missing
        | FailureCode::Exhausted
        | FailureCode::Unknown => DeadLetterSource::Message(&delivery.message_id),
    }
}

/// A refusal that is reported came after a 202, whatever code its sender gave it: with
/// `rejected` a replay would take it for the answer to the payment's only submission.
fn as_refused(mut confirmation: Confirmation) -> Confirmation {
    match &mut confirmation.result {
        ReportedResult::Settled(_) => {}
        ReportedResult::Rejected(failure) => failure.code = FailureCode::Refused,
    }
    confirmation
}

fn change(confirmation: &Confirmation) -> Change<'_> {
    match &confirmation.result {
        ReportedResult::Settled(settlement) => match confirmation.money {
            Some(money) => Change::SettleOf(&confirmation.payment, settlement, money),
            None => Change::Settle(&confirmation.payment, settlement),
        },
        ReportedResult::Rejected(failure) => Change::Refuse(&confirmation.payment, failure),
    }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "dead_letter_tests.rs"]
mod dead_letter_tests;
