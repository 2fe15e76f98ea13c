//! The loop that ends payments when they are due and sends their results.

use std::sync::Arc;

use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{
    Letter, Receiver,
    callback::AttemptError,
    outbox::{ATTEMPTS, Fate, Full, Outbox, Parcel},
};
use crate::transactions::desk::Desk;

/// Attempts under way at a time. At 5 ms each that is 6,400 letters a second.
const ATTEMPTS_AT_A_TIME: usize = 32;

type Attempt = (Parcel, Result<(), AttemptError>);

/// Does what is due, and waits for what is next. Idle in the synchronous mode.
pub(crate) struct Clerk {
    desk: Arc<Desk>,
    receiver: watch::Receiver<Option<Arc<Receiver>>>,
    outbox: Outbox,
    attempts: JoinSet<Attempt>,
}

impl Clerk {
    /// A clerk who has those letters to send.
    pub(crate) fn new(
        desk: Arc<Desk>,
        receiver: watch::Receiver<Option<Arc<Receiver>>>,
        letters: Vec<Letter>,
    ) -> Self {
        let mut clerk =
            Self { desk, receiver, outbox: Outbox::default(), attempts: JoinSet::new() };
        clerk.post(letters, Instant::now());
        clerk
    }

    /// Works until `stopping` is cancelled. What is not done then is done after
    /// the next start.
    pub(crate) async fn work(mut self, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            let now = Instant::now();
            let letters = self.desk.end_due(now);
            self.post(letters, now);
            self.send(now);
            let desk = self.desk.clone();
            tokio::select! {
                () = stopping.cancelled() => {}
                () = desk.taken() => {}
                () = sleep_until(self.next_due()) => {}
                Ok(()) = self.receiver.changed() => {}
                Some(attempt) = self.attempts.join_next() => self.note(attempt),
            }
        }
    }

    fn post(&mut self, letters: Vec<Letter>, now: Instant) {
        for letter in letters {
            let transaction_id = letter.transaction_id;
            match self.outbox.post(letter, now) {
                Ok(()) => {}
                Err(Full) => {
                    tracing::warn!(%transaction_id, "too many callbacks wait; one is not sent");
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
            let Some(parcel) = self.outbox.pop_due(now) else {
                return;
            };
            let receiver = receiver.clone();
            self.attempts.spawn(async move {
                let url = parcel.turn(receiver.urls());
                let handed_over = receiver.hand_over(&parcel.letter, url).await;
                (parcel, handed_over)
            });
        }
    }

    fn note(&mut self, attempt: Result<Attempt, JoinError>) {
        let (parcel, handed_over) = match attempt {
            Ok(attempt) => attempt,
            Err(error) => {
                tracing::error!(%error, "an attempt to call back ended by itself");
                return;
            }
        };
        let transaction_id = parcel.letter.transaction_id;
        match handed_over {
            Ok(()) => self.desk.close(transaction_id),
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::debug!(%transaction_id, error = cause, "a callback failed");
                match self.outbox.failed(parcel, Instant::now()) {
                    Fate::TriedAgain => {}
                    Fate::GivenUp => {
                        tracing::warn!(%transaction_id, error = cause, ATTEMPTS, "a callback is given up");
                        self.desk.close(transaction_id);
                    }
                }
            }
        }
    }

    /// When something is to be done though nothing happens. A letter for which
    /// there is no receiver, or no room among the attempts, waits for that.
    fn next_due(&self) -> Option<Instant> {
        let can_send = self.receiver.borrow().is_some() && self.attempts.len() < ATTEMPTS_AT_A_TIME;
        let letter = if can_send { self.outbox.next_due() } else { None };
        [self.desk.next_due(), letter].into_iter().flatten().min()
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
