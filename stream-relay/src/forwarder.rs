//! From records to messages: everything of a page is in a queue before the page counts as
//! read.

use std::time::Duration;

use aws_sdk_dynamodbstreams::types::Record;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::domain::{DueDate, Failure, FailureCode, Payment};
use shared::queue::{DeadLetterQueue, Outgoing, Producer, Unsent};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::task::JoinSet;

use crate::events;
use crate::lanes::spread;
use crate::record::{Verdict, as_json, judge};

/// Shutdown came before everything was queued.
#[derive(Debug)]
pub(crate) struct Stopped;

/// Queues what is due.
#[derive(Debug, Clone)]
pub(crate) struct Forwarder {
    pub(crate) payments: Producer,
    pub(crate) dead_letters: DeadLetterQueue,
    pub(crate) zone: TimeZone,
    pub(crate) sends: usize,
}

impl Forwarder {
    /// Returns once SQS has acknowledged every payment of `records` that is due, and every
    /// record that is none. It tries until then; only shutdown ends it early, and then the
    /// page must not count as read.
    pub(crate) async fn forward(
        &self,
        records: Vec<Record>,
        shutdown: &Shutdown,
    ) -> Result<(), Stopped> {
        let today = DueDate::today(Timestamp::now(), &self.zone);
        let mut due: Vec<Payment> = Vec::with_capacity(records.len());
        for record in records {
            match judge(&record, today) {
                Verdict::Forward(payment) => due.push(*payment),
                Verdict::Skip(why) => events::skipped(why),
                Verdict::Malformed { reason } => self.bury(&record, reason, shutdown).await?,
            }
        }
        self.send(due, shutdown).await
    }

    async fn send(&self, due: Vec<Payment>, shutdown: &Shutdown) -> Result<(), Stopped> {
        let mut lanes = JoinSet::new();
        for messages in spread(due, self.sends) {
            let (producer, shutdown) = (self.payments.clone(), shutdown.clone());
            lanes.spawn(async move { send_all(&producer, messages, &shutdown).await });
        }
        let mut all = Ok(());
        while let Some(ended) = lanes.join_next().await {
            // A lane that panicked has not sent everything.
            all = all.and(ended.unwrap_or(Err(Stopped)));
        }
        all
    }

    async fn bury(
        &self,
        record: &Record,
        reason: String,
        shutdown: &Shutdown,
    ) -> Result<(), Stopped> {
        let sequence = record.dynamodb().and_then(|change| change.sequence_number()).unwrap_or("");
        events::malformed(sequence, &reason);
        let failure = Failure::new(FailureCode::MalformedRecord, reason);
        let raw = as_json(record).to_string();
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        while let Err(unsent) =
            self.dead_letters.bury_raw(sequence, raw.clone(), failure.clone()).await
        {
            pause(&unsent, pauses.next(), shutdown).await?;
        }
        Ok(())
    }
}

/// Sends one lane in order, again and again from where it failed.
async fn send_all(
    producer: &Producer,
    mut messages: Vec<Outgoing>,
    shutdown: &Shutdown,
) -> Result<(), Stopped> {
    let mut pauses = retry::NEVER_GIVE_UP.pauses();
    let count = messages.len();
    while let Err(unsent) = producer.send(&messages).await {
        pause(&unsent, pauses.next(), shutdown).await?;
        let mut index = 0..;
        messages.retain(|_| index.next().is_some_and(|index| unsent.indices.contains(&index)));
    }
    events::forwarded(count);
    Ok(())
}

async fn pause(
    unsent: &Unsent,
    pause: Option<Duration>,
    shutdown: &Shutdown,
) -> Result<(), Stopped> {
    events::send_failed(unsent);
    if shutdown.pause(pause.unwrap_or_default()).await { Err(Stopped) } else { Ok(()) }
}
