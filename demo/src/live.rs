//! Where the payments of a running demo stand, from the services' own metrics.

use shared::telemetry::Samples;

use crate::local_world::Process;

/// Counts of payments at one moment; they come from processes that go on working, so they
/// are a picture for people, and the report counts in the table itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) inserted: u64,
    pub(super) forwarded: u64,
    pub(super) claimed: u64,
    pub(super) processed: u64,
    pub(super) failed: u64,
}

impl Live {
    pub(super) fn ended(&self) -> u64 {
        self.processed + self.failed
    }

    pub(super) fn scheduled(&self) -> u64 {
        self.inserted.saturating_sub(self.forwarded.max(self.claimed))
    }

    pub(super) fn queued(&self) -> u64 {
        self.forwarded.saturating_sub(self.claimed)
    }

    pub(super) fn pending(&self) -> u64 {
        self.claimed.saturating_sub(self.ended())
    }

    /// Adds what one service's metrics say.
    fn add(&mut self, samples: &Samples) {
        let count = |value: f64| value as u64;
        self.forwarded +=
            count(samples.labelled("dueflow_stream_relay_records_total", "result", "forwarded"));
        self.claimed +=
            count(samples.labelled("dueflow_dispatcher_claims_total", "result", "claimed"));
        self.processed +=
            count(samples.labelled("dueflow_confirmer_payments_settled_total", "result", "now"));
        self.failed += count(samples.sum("dueflow_dispatcher_payments_failed_total"))
            + count(samples.labelled("dueflow_confirmer_payments_rejected_total", "result", "now"));
    }
}

/// Asks all processes. One that does not answer counts as having done nothing.
pub(super) async fn look(inserted: u64, processes: &mut [Process]) -> Live {
    let mut live = Live { inserted, ..Live::default() };
    for process in processes {
        if let Ok(samples) = process.samples().await {
            live.add(&samples);
        }
    }
    live
}
