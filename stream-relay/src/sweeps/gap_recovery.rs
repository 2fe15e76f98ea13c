//! Gaps at once and the watch on its timer, one at a time.

use shared::retry;
use shared::shutdown::Shutdown;

use crate::events;
use crate::forward::dead_letter::Open;
use crate::forward::forwarder::Stopped;
use crate::sweeps::due_index::Hand;
use crate::sweeps::eligibility::is_lost;
use crate::sweeps::gap_request::{Lost, Request, Requests};
use crate::sweeps::lost_message_scan::Watch;

/// Sweeps for one relay.
#[derive(Debug)]
pub(crate) struct Sweeper {
    pub(crate) hand: Hand,
    /// Days before today.
    pub(crate) window: u16,
    pub(crate) requests: Requests,
    pub(crate) watch: Watch,
}

impl Sweeper {
    /// Sweeps whenever it is asked to, and watches, until shutdown.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        loop {
            let asked = async {
                tokio::select! {
                    biased;
                    request = self.requests.next() => Some(request),
                    () = self.watch.turn() => None,
                }
            };
            match shutdown.unless_requested(asked).await {
                Some(Some(request)) => {
                    if self.fill(request, &shutdown).await.is_err() {
                        return;
                    }
                }
                Some(None) => self.watch.look(&self.hand, &shutdown).await,
                None => return,
            }
        }
    }

    async fn fill(&mut self, request: Request, shutdown: &Shutdown) -> Result<(), Stopped> {
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        while self.sweep(&request.lost, shutdown).await.is_err() {
            if shutdown.pause(pauses.next().unwrap_or_default()).await {
                return Err(Stopped);
            }
        }
        // Whoever asked while this sweep went on is answered by the next one.
        self.requests.complete(request);
        self.watch.wake();
        Ok(())
    }

    /// One sweep, the oldest day first and each day in order, so that the payments of an
    /// account are queued in theirs (INV-5).
    async fn sweep(&self, lost: &Lost, shutdown: &Shutdown) -> Result<(), Stopped> {
        events::sweep_started();
        let today = self.hand.forwarder.today();
        let mut total = 0;
        for back in (0..=self.window).rev() {
            let day = today.days_before(back);
            let start = day.start(&self.hand.forwarder.zone);
            let mut entries = self.hand.scheduled(day);
            while let Some(found) = self.hand.read(&mut entries, shutdown).await? {
                let mut open = Open::new();
                let which = |stored: &_| is_lost(stored, start, lost);
                let count = self.hand.hand_on(found, which, 0, &mut open, shutdown).await?;
                events::swept_payments(count);
                total += count;
                while let Some(buried) = open.join_next().await {
                    buried.ok().flatten().ok_or(Stopped)?;
                }
            }
        }
        events::swept(total);
        Ok(())
    }
}
