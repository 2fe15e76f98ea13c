//! The loop that ends payments when they are due and sends their results.

use std::sync::Arc;

use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{
    callback::{AttemptError, Receiver},
    delivery_queue::{ATTEMPTS, AfterFailure, CallbackDelivery, DeliveryQueue, QueueFull},
    handler::RequestHandler,
    webhook_event::WebhookEvent,
};

/// Attempts under way at a time. At 5 ms each that is 6,400 events a second.
const ATTEMPTS_AT_A_TIME: usize = 32;

type WebhookAttempt = (CallbackDelivery, Result<(), AttemptError>);

/// Does what is due, and waits for what is next. Idle in the synchronous mode.
pub(crate) struct WebhookSender {
    handler: Arc<RequestHandler>,
    receiver: watch::Receiver<Option<Arc<Receiver>>>,
    queue: DeliveryQueue,
    attempts: JoinSet<WebhookAttempt>,
}

impl WebhookSender {
    /// A sender that has those events to send.
    pub(crate) fn new(
        handler: Arc<RequestHandler>,
        receiver: watch::Receiver<Option<Arc<Receiver>>>,
        events: Vec<WebhookEvent>,
    ) -> Self {
        let mut sender =
            Self { handler, receiver, queue: DeliveryQueue::default(), attempts: JoinSet::new() };
        sender.post(events, Instant::now());
        sender
    }

    /// Works until `stopping` is cancelled. What is not done then is done after
    /// the next start.
    pub(crate) async fn work(mut self, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            let now = Instant::now();
            let events = self.handler.end_due(now);
            self.post(events, now);
            self.send(now);
            let handler = self.handler.clone();
            tokio::select! {
                () = stopping.cancelled() => {}
                () = handler.accepted() => {}
                () = sleep_until(self.next_due()) => {}
                Ok(()) = self.receiver.changed() => {}
                Some(attempt) = self.attempts.join_next() => self.note(attempt),
            }
        }
    }

    fn post(&mut self, events: Vec<WebhookEvent>, now: Instant) {
        for event in events {
            let transaction_id = event.transaction_id;
            match self.queue.push(event, now) {
                Ok(()) => {}
                Err(QueueFull) => {
                    tracing::warn!(%transaction_id, "the delivery queue of callbacks is full; this result is sent after the next start");
                }
            }
        }
    }

    /// Starts as many attempts as are due and allowed.
    fn send(&mut self, now: Instant) {
        let Some(receiver) = self.receiver.borrow_and_update().clone() else {
            return;
        };
        while self.attempts.len() < ATTEMPTS_AT_A_TIME {
            let Some(delivery) = self.queue.pop_due(now) else {
                return;
            };
            let receiver = receiver.clone();
            self.attempts.spawn(async move {
                let url = delivery.url_index(receiver.urls());
                let delivered = receiver.deliver(&delivery.event, url).await;
                (delivery, delivered)
            });
        }
    }

    fn note(&mut self, attempt: Result<WebhookAttempt, JoinError>) {
        let (delivery, delivered) = match attempt {
            Ok(attempt) => attempt,
            Err(error) => {
                tracing::error!(%error, "a callback attempt panicked; its result is sent after the next start");
                return;
            }
        };
        let transaction_id = delivery.event.transaction_id;
        match delivered {
            Ok(()) => self.handler.close(transaction_id),
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::debug!(%transaction_id, error = cause, "a callback failed");
                match self.queue.failed(delivery, Instant::now()) {
                    AfterFailure::Retry => {}
                    AfterFailure::GiveUp => {
                        tracing::warn!(%transaction_id, error = cause, ATTEMPTS, "a callback failed too often and is given up; the result can still be asked for");
                        self.handler.close(transaction_id);
                    }
                }
            }
        }
    }

    /// When something is to be done though nothing happens. An event for which
    /// there is no receiver, or no room among the attempts, waits for that.
    fn next_due(&self) -> Option<Instant> {
        let can_send = self.receiver.borrow().is_some() && self.attempts.len() < ATTEMPTS_AT_A_TIME;
        let event = if can_send { self.queue.next_due() } else { None };
        [self.handler.next_due(), event].into_iter().flatten().min()
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
