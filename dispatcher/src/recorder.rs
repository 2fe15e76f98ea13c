//! Recording settlements: into the confirmer's queue, then the payments' own messages go.
//!
//! Settlements of all groups are gathered into full batches, so that a payment that waits
//! for a slow answer keeps nobody else's.

use std::sync::Arc;
use std::time::Duration;

use shared::domain::{Settlement, fnv1a};
use shared::queue::{Confirmation, Consumer, MAX_BATCH, Outgoing, Producer};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use crate::events;
use crate::job::Job;

/// How long a settlement waits for others to share a request with.
const LINGER: Duration = Duration::from_millis(20);
/// Batches under way at once.
const FLUSHES: usize = 4;

/// A payment that the transaction service has settled.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) job: Job,
    pub(crate) settlement: Settlement,
}

/// Both ends that recording needs.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    pub(crate) confirmations: Producer,
    pub(crate) payments: Consumer,
}

impl Recorder {
    /// Records until all senders of `settled` are gone and everything is recorded.
    pub(crate) async fn run(self, mut settled: mpsc::Receiver<Settled>) {
        let flushes = TaskTracker::new();
        let slots = Arc::new(Semaphore::new(FLUSHES));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                break;
            };
            let batch = gather(&mut settled).await;
            if batch.is_empty() {
                break;
            }
            let recorder = self.clone();
            flushes.spawn(async move {
                recorder.flush(batch).await;
                drop(slot);
            });
        }
        flushes.close();
        flushes.wait().await;
    }

    /// Records one batch. A process that dies before the send leaves the payment's message,
    /// which is delivered again and submitted again under the same key; one that dies after
    /// it leaves a leftover.
    async fn flush(&self, batch: Vec<Settled>) {
        let messages: Vec<_> = batch.iter().map(confirmation).collect();
        let unsent = match self.confirmations.send(&messages).await {
            Ok(()) => Vec::new(),
            Err(unsent) => {
                events::error("record", &unsent);
                unsent.indices
            }
        };
        let (mut done, mut open) = (Vec::new(), Vec::new());
        let mut places = Vec::with_capacity(batch.len());
        for (index, settled) in batch.into_iter().enumerate() {
            let received = settled.job.received;
            places.push(received.place);
            if unsent.contains(&index) {
                open.push(received.delivery);
            } else {
                done.push(received.delivery);
            }
        }
        let recorded = done.len();
        self.payments.acknowledge(done).await;
        events::recorded(recorded);
        if !open.is_empty() {
            events::released(open.len());
            self.payments.retry_later(open).await;
        }
    }
}

/// The next settlements, up to a batch; empty when there will be no more.
async fn gather(settled: &mut mpsc::Receiver<Settled>) -> Vec<Settled> {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    if settled.recv_many(&mut batch, MAX_BATCH).await == 0 {
        return batch;
    }
    let _ = tokio::time::timeout(LINGER, async {
        while batch.len() < MAX_BATCH {
            let room = MAX_BATCH - batch.len();
            if settled.recv_many(&mut batch, room).await == 0 {
                break;
            }
        }
    })
    .await;
    batch
}

/// The group is the payment: confirmations need no order among each other. The
/// deduplication id holds the transaction id, so that a second, different settlement of one
/// payment reaches the confirmer, which raises it.
fn confirmation(settled: &Settled) -> Outgoing {
    let Settled { job, settlement } = settled;
    let payment = &job.payment;
    let body = Confirmation {
        payment: payment.reference(),
        settlement: settlement.clone(),
        trace_key: payment.trace_key,
    };
    Outgoing {
        group: payment.id.to_string(),
        deduplication: format!(
            "{}-{:016x}",
            payment.id,
            fnv1a(settlement.transaction_id.as_bytes())
        ),
        body: serde_json::to_string(&body)
            .unwrap_or_else(|_| unreachable!("a confirmation holds nothing that JSON lacks")),
    }
}
