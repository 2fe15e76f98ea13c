//! Runs the gap recovery at once and the lost-message scan on its timer, one at a time.

use shared::retry;
use shared::shutdown::Shutdown;

use crate::events;
use crate::forward::dead_letter::PageTasks;
use crate::forward::queues::ShutdownRequested;
use crate::sweeps::due_index::DueIndex;
use crate::sweeps::eligibility::is_lost;
use crate::sweeps::gap_request::{GapRecoveryQueue, LostRecords, RecoveryRequest};
use crate::sweeps::lost_message_scan::LostMessageScan;

/// Sweeps for one relay.
#[derive(Debug)]
pub(crate) struct SweepRunner {
    pub(crate) due_index: DueIndex,
    /// Days before today.
    pub(crate) window: u16,
    pub(crate) requests: GapRecoveryQueue,
    pub(crate) scan: LostMessageScan,
}

impl SweepRunner {
    /// Recovers gaps as they are reported, and scans for lost messages, until shutdown.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        loop {
            let asked = async {
                tokio::select! {
                    biased;
                    request = self.requests.next() => Some(request),
                    () = self.scan.turn() => None,
                }
            };
            match shutdown.unless_requested(asked).await {
                Some(Some(request)) => {
                    if self.fill(request, &shutdown).await.is_err() {
                        return;
                    }
                }
                Some(None) => self.scan.scan(&self.due_index, &shutdown).await,
                None => return,
            }
        }
    }

    async fn fill(
        &mut self,
        request: RecoveryRequest,
        shutdown: &Shutdown,
    ) -> Result<(), ShutdownRequested> {
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        while self.sweep(&request.lost, shutdown).await.is_err() {
            if shutdown.pause(pauses.next().unwrap_or_default()).await {
                return Err(ShutdownRequested);
            }
        }
        // Whoever asked while this sweep went on is answered by the next one.
        self.requests.complete(request);
        self.scan.wake();
        Ok(())
    }

    /// One sweep, the oldest day first and each day in order, so that the payments of an
    /// account are queued in theirs (INV-5).
    async fn sweep(
        &self,
        lost: &LostRecords,
        shutdown: &Shutdown,
    ) -> Result<(), ShutdownRequested> {
        events::sweep_started();
        let today = self.due_index.forwarder.today();
        let mut total = 0;
        for back in (0..=self.window).rev() {
            let day = today.days_before(back);
            let start = day.start(&self.due_index.forwarder.zone);
            let mut entries = self.due_index.scheduled(day);
            while let Some(found) = self.due_index.read(&mut entries, shutdown).await? {
                let mut open = PageTasks::new();
                let which = |stored: &_| is_lost(stored, start, lost);
                let count = self.due_index.forward(found, which, 0, &mut open, shutdown).await?;
                events::swept_payments(count);
                total += count;
                while let Some(dead_letters) = open.join_next().await {
                    dead_letters.ok().flatten().ok_or(ShutdownRequested)?;
                }
            }
        }
        events::swept(total);
        Ok(())
    }
}
