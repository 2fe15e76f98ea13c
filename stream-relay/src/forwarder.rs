//! From records to messages: all payments of a page are in the queue before the page counts
//! as read.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodbstreams::types::Record;
use jiff::tz::TimeZone;
use shared::clock::Clock;
use shared::domain::DueDate;
use shared::queue::{Outgoing, Unsent};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::task::JoinSet;

use crate::burial::Malformed;
use crate::events;
use crate::lanes::{Due, spread};
use crate::outlet::Outlet;
use crate::record::{Verdict, as_json, judge};

/// Shutdown came before everything was queued.
#[derive(Debug)]
pub(crate) struct Stopped;

/// Queues what is due.
#[derive(Debug, Clone)]
pub(crate) struct Forwarder {
    pub(crate) outlet: Arc<dyn Outlet>,
    pub(crate) clock: Clock,
    pub(crate) zone: TimeZone,
    pub(crate) sends: usize,
}

impl Forwarder {
    /// The bank's day.
    pub(crate) fn today(&self) -> DueDate {
        DueDate::today(self.clock.now(), &self.zone)
    }

    /// What of `records` is due now, and what is no payment.
    pub(crate) fn sort(&self, records: &[Record]) -> (Vec<Due>, Vec<Malformed>) {
        let today = self.today();
        let mut due = Vec::with_capacity(records.len());
        let mut malformed = Vec::new();
        for record in records {
            match judge(record, today) {
                Verdict::Forward(payment) => due.push(Due::first(*payment)),
                Verdict::Skip(why) => events::skipped(why),
                Verdict::Malformed { reason } => {
                    let change = record.dynamodb();
                    let source = change.and_then(|change| change.sequence_number());
                    let source = source.unwrap_or_default().to_owned();
                    events::malformed(&source, &reason);
                    malformed.push(Malformed { source, raw: as_json(record).to_string(), reason });
                }
            }
        }
        (due, malformed)
    }

    /// Returns once SQS has acknowledged every payment of `due`. It tries until then; only
    /// shutdown ends it early, and then none of them counts as sent.
    pub(crate) async fn send(&self, due: Vec<Due>, shutdown: &Shutdown) -> Result<(), Stopped> {
        let mut lanes = JoinSet::new();
        for messages in spread(due, self.sends) {
            let (outlet, shutdown) = (Arc::clone(&self.outlet), shutdown.clone());
            lanes.spawn(async move { send_all(&*outlet, messages, &shutdown).await });
        }
        let mut all = Ok(());
        while let Some(ended) = lanes.join_next().await {
            // A lane that panicked has not sent everything.
            all = all.and(ended.unwrap_or(Err(Stopped)));
        }
        all
    }
}

/// Sends one lane in order, again and again from where it failed.
async fn send_all(
    outlet: &dyn Outlet,
    mut messages: Vec<Outgoing>,
    shutdown: &Shutdown,
) -> Result<(), Stopped> {
    let mut pauses = retry::NEVER_GIVE_UP.pauses();
    while let Err(unsent) = outlet.send(&messages).await {
        pause(&unsent, pauses.next(), shutdown).await?;
        let mut index = 0..;
        messages.retain(|_| index.next().is_some_and(|index| unsent.indices.contains(&index)));
    }
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
