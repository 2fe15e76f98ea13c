//! From records to messages: all payments of a page are in the queue before the page counts
//! as read.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodbstreams::types::Record;
use domain::DueDate;
use jiff::tz::TimeZone;
use shared::clock::Clock;
use shared::queue::{OutgoingMessage, SendError, SentMessages};
use shared::retry;
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Calls;
use tokio::task::JoinSet;

use crate::events;
use crate::forward::dead_letter::{DeadLetterWriter, PageTasks, UnfitItem};
use crate::forward::partition::{PaymentToQueue, spread};
use crate::forward::queues::{RelayQueues, ShutdownRequested};
use crate::forward::record::{RecordAction, RecordFault, RecordRules, classify, record_json};

/// What a page holds for the queues.
#[derive(Debug, Default)]
pub(crate) struct SortedPage {
    /// Due now, in order.
    pub(crate) due: Vec<PaymentToQueue>,
    /// What must not be paid.
    pub(crate) unfit: Vec<UnfitItem>,
}

/// Queues what is due.
#[derive(Debug, Clone)]
pub(crate) struct Forwarder {
    pub(crate) queues: Arc<dyn RelayQueues>,
    pub(crate) clock: Clock,
    pub(crate) zone: TimeZone,
    /// Partitions of the index `due`.
    pub(crate) due_shards: u16,
    pub(crate) sends: usize,
    pub(crate) sending: Calls,
    /// Payments in the queue.
    pub(crate) sent: SentMessages,
}

impl Forwarder {
    /// The bank's day.
    pub(crate) fn today(&self) -> DueDate {
        DueDate::today(self.clock.now(), &self.zone)
    }

    /// What of `records` is due now, and what must not be paid.
    pub(crate) fn sort(&self, records: &[Record]) -> SortedPage {
        let standard =
            RecordRules { today: self.today(), shards: self.due_shards, now: self.clock.now() };
        let mut sorted = SortedPage::default();
        for record in records {
            match classify(record, standard) {
                RecordAction::Forward(payment) => sorted.due.push(PaymentToQueue::first(*payment)),
                RecordAction::Skip(why) => events::skipped(why),
                RecordAction::Removed(reference) => events::removed(&reference),
                RecordAction::DeadLetter(fault) => {
                    let change = record.dynamodb();
                    let source = change.and_then(|change| change.sequence_number());
                    let source = source.unwrap_or_default().to_owned();
                    events::unfit(&source, fault.failure.code, fault.attribute);
                    let RecordFault { failure, payment, mark, .. } = *fault;
                    let raw = record_json(record).to_string();
                    sorted.unfit.push(UnfitItem { source, raw, failure, payment, mark });
                }
            }
        }
        sorted
    }

    /// Queues what is due and returns how many once all are queued. What is unfit begins to be
    /// dead-lettered then: it is `open`, as a part of `page`.
    pub(crate) async fn forward(
        &self,
        sorted: SortedPage,
        dead_letters: &DeadLetterWriter,
        page: u64,
        open: &mut PageTasks,
        shutdown: &Shutdown,
    ) -> Result<usize, ShutdownRequested> {
        let count = sorted.due.len();
        self.send(sorted.due, shutdown).await?;
        for item in sorted.unfit {
            dead_letters.start(item, page, open, shutdown).await?;
        }
        Ok(count)
    }

    /// Returns once SQS has acknowledged every payment of `due`. It tries until then; only
    /// shutdown ends it early, and then none of them counts as sent.
    pub(crate) async fn send(
        &self,
        due: Vec<PaymentToQueue>,
        shutdown: &Shutdown,
    ) -> Result<(), ShutdownRequested> {
        let mut partitions = JoinSet::new();
        for messages in spread(due, self.sends) {
            let (queues, shutdown) = (Arc::clone(&self.queues), shutdown.clone());
            let (sending, sent) = (self.sending.clone(), self.sent.clone());
            partitions.spawn(async move {
                let count = messages.len();
                send_all(&*queues, messages, &sending, &shutdown).await?;
                sent.add(count);
                events::succeeded("queue_send");
                Ok(())
            });
        }
        let mut all = Ok(());
        while let Some(ended) = partitions.join_next().await {
            // A partition whose task panicked has not sent everything.
            all = all.and(ended.unwrap_or(Err(ShutdownRequested)));
        }
        all
    }
}

/// Sends one partition in order, again and again from where it failed.
async fn send_all(
    queues: &dyn RelayQueues,
    mut messages: Vec<OutgoingMessage>,
    sending: &Calls,
    shutdown: &Shutdown,
) -> Result<(), ShutdownRequested> {
    let mut pauses = retry::NEVER_GIVE_UP.pauses();
    loop {
        let sent = queues.send(&messages).await;
        sending.note(&sent);
        let Err(unsent) = sent else { return Ok(()) };
        pause(&unsent, pauses.next(), shutdown).await?;
        let mut index = 0..;
        messages.retain(|_| index.next().is_some_and(|index| unsent.indices.contains(&index)));
    }
}

async fn pause(
    unsent: &SendError,
    pause: Option<Duration>,
    shutdown: &Shutdown,
) -> Result<(), ShutdownRequested> {
    events::send_failed(unsent);
    if shutdown.pause(pause.unwrap_or_default()).await { Err(ShutdownRequested) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use domain::{AccountId, Amount, Failure, Payment, PaymentId};
    use shared::queue::{MessageCount, QueueCallError};
    use shared::testing::sample_payment;
    use std::sync::Mutex;

    fn forwarder(queues: Arc<dyn RelayQueues>) -> Forwarder {
        let (clock, zone, sending) = (Clock::system(), TimeZone::UTC, Calls::default());
        let sent = SentMessages::default();
        Forwarder { queues, clock, zone, sends: 4, sending, sent, due_shards: 16 }
    }

    fn payment() -> Payment {
        Payment {
            id: PaymentId::generate(),
            account: AccountId::parse("ACC").unwrap(),
            due: "2026-11-23".parse().unwrap(),
            amount: Amount::from_minor_units(1).unwrap(),
            created_at: "2026-11-23T01:00:00Z".parse().unwrap(),
            ..sample_payment()
        }
    }

    /// A queue that takes every other message of a call, as long as there are two, or at which
    /// the sending task dies.
    #[derive(Debug, Default)]
    struct Queue {
        panics: bool,
        taken: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl RelayQueues for Queue {
        async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), SendError> {
            assert!(!self.panics, "a bug in the sending");
            let indices: Vec<_> = (0..messages.len()).filter(|index| index % 2 == 1).collect();
            let taken = messages.iter().step_by(2).map(|message| message.deduplication.clone());
            self.taken.lock().unwrap().extend(taken);
            if indices.is_empty() {
                return Ok(());
            }
            Err(SendError { queue: "payments".to_owned(), indices, reason: "busy".to_owned() })
        }

        async fn write_dead_letter(
            &self,
            _: &str,
            _: Option<&Payment>,
            _: String,
            _: Failure,
        ) -> Result<(), SendError> {
            Ok(())
        }
    }

    #[async_trait]
    impl MessageCount for Queue {
        async fn messages(&self) -> Result<u64, QueueCallError> {
            Ok(0)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_queue_did_not_take_is_sent_again_and_nothing_else() {
        let queue = Arc::new(Queue::default());
        let queues = Arc::clone(&queue) as Arc<dyn RelayQueues>;
        let payments: Vec<_> = (0..5).map(|_| payment()).collect();
        let due = payments.iter().cloned().map(PaymentToQueue::first).collect();
        let (forwarder, shutdown) = (forwarder(queues), Shutdown::new(Duration::from_secs(1)));
        assert!(forwarder.send(due, &shutdown).await.is_ok());
        let mut taken = queue.taken.lock().unwrap().clone();
        taken.sort_unstable();
        let expected = payments.iter().map(|payment| format!("{}-{}", payment.due, payment.id));
        let mut expected: Vec<_> = expected.collect();
        expected.sort_unstable();
        assert_eq!(taken, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_task_was_to_send_that_died_does_not_count_as_sent() {
        let queue = Queue { panics: true, ..Queue::default() };
        let (forwarder, shutdown) =
            (forwarder(Arc::new(queue)), Shutdown::new(Duration::from_secs(1)));
        assert!(forwarder.send(vec![PaymentToQueue::first(payment())], &shutdown).await.is_err());
        assert!(forwarder.send(Vec::new(), &shutdown).await.is_ok());
    }
}
