//! Reading one shard from its checkpoint to its end.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodbstreams::types::Record;
use shared::retry;
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Calls;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::events;
use crate::forward::dead_letter::{DeadLetterWriter, PageTasks};
use crate::forward::drain::{drain, publish};
use crate::forward::forwarder::Forwarder;
use crate::forward::pacing::Pacing;
use crate::forward::progress::Progress;
use crate::forward::queues::ShutdownRequested;
use crate::forward::record::written_at;
use crate::leases::position::LeasePosition;
use crate::leases::renewal::renew_until_done;
use crate::leases::table::{Lease, LeaseTable};
use crate::shards::position::{Checkpoint, ShardPosition};
use crate::shards::source::{MAX_PAGE, Page, ShardSource, StreamError};
use crate::sweeps::gap_request::{GapRecoveryRequester, LostRecords, RecoveryTicket};

/// Pause after a page that held records but was not full: the reader has caught up, and a
/// little patience fills the batches to the queue.
const CAUGHT_UP: Duration = Duration::from_millis(50);
/// Longest pause after empty pages.
const IDLE: Duration = Duration::from_secs(1);
/// How long a reader tries to get one page before it gives its lease up. Longer than the relay
/// needs to see that the stream has dropped the shard, which no other relay could read either.
const PATIENCE: Duration = Duration::from_secs(90);

/// How the reading of a shard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShardReadEnd {
    /// Everything in it is read.
    Finished,
    /// Shutdown, another relay has the lease, or another relay shall have it.
    ShutdownRequested,
    /// The stream does not answer this reader; it may answer another relay's.
    StreamUnavailable,
}

/// Why a shard was not read to its end.
#[derive(Debug)]
enum ReadInterruption {
    ShutdownRequested,
    StreamUnavailable,
}

impl From<ShutdownRequested> for ReadInterruption {
    fn from(ShutdownRequested: ShutdownRequested) -> Self {
        Self::ShutdownRequested
    }
}

/// Reads shards for one relay.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) source: Arc<dyn ShardSource>,
    pub(crate) leases: Arc<dyn LeaseTable>,
    pub(crate) forwarder: Forwarder,
    pub(crate) dead_letters: DeadLetterWriter,
    pub(crate) pacing: Pacing,
    pub(crate) sweeps: GapRecoveryRequester,
    pub(crate) checkpoint_interval: Duration,
    /// Whether the stream's pages come. Of all shards together: one that cannot be read goes to
    /// another relay.
    pub(crate) reading: Calls,
}

/// A page, and the sweep that was asked for if there was a gap before it.
#[derive(Debug)]
struct FetchedPage {
    page: Page,
    gap: Option<RecoveryTicket>,
}

impl Reader {
    /// Reads `shard` as long as this relay holds its `lease` and `reading` lets it; then
    /// gives the lease up.
    pub(crate) async fn read(&self, shard: &str, lease: Lease, reading: &Shutdown) -> ShardReadEnd {
        tracing::info!(shard, from = lease.position.checkpoint, "reading a shard");
        let (position, kept) = watch::channel(ShardPosition::from_stored(&lease.position));
        let (end, _) = tokio::join!(
            Box::pin(self.read_on(shard, position, reading)),
            renew_until_done(&*self.leases, lease, kept, self.checkpoint_interval, reading),
        );
        end
    }

    /// Ends the lease of a shard that the stream has dropped before it was read to its end,
    /// once a sweep has made up for it.
    pub(crate) async fn write_off(
        &self,
        shard: &str,
        lease: Lease,
        reading: &Shutdown,
    ) -> ShardReadEnd {
        let left = ShardPosition::from_stored(&lease.position);
        events::gap(shard, left.checkpoint.as_str());
        let ticket = self.sweeps.ask(LostRecords { since: left.read_up_to, until: None });
        let (position, kept) = watch::channel(left);
        let (end, _) = tokio::join!(
            async move {
                if ticket.complete(reading).await {
                    position.send_modify(|position| position.checkpoint = Checkpoint::ShardEnd);
                    ShardReadEnd::Finished
                } else {
                    ShardReadEnd::ShutdownRequested
                }
            },
            renew_until_done(&*self.leases, lease, kept, self.checkpoint_interval, reading),
        );
        end
    }

    /// Reads pages until there are no more; then waits for what is still open.
    async fn read_on(
        &self,
        shard: &str,
        position: watch::Sender<ShardPosition>,
        reading: &Shutdown,
    ) -> ShardReadEnd {
        let mut progress = Progress::at(position.borrow().clone());
        let mut open = PageTasks::new();
        let read = self.read_pages(shard, &position, &mut progress, &mut open, reading).await;
        if matches!(read, Err(ReadInterruption::StreamUnavailable)) {
            // Whoever can read the shard does not wait for what is open here.
            reading.request();
        }
        if drain(&mut open, &mut progress, reading).await.is_err() {
            // What is not done holds the position back.
            open.abort_all();
        }
        publish(&progress, &position);
        match (read, &progress.position().checkpoint) {
            (Ok(()), Checkpoint::ShardEnd) => ShardReadEnd::Finished,
            (Err(ReadInterruption::StreamUnavailable), _) => ShardReadEnd::StreamUnavailable,
            (Ok(()) | Err(ReadInterruption::ShutdownRequested), _) => {
                ShardReadEnd::ShutdownRequested
            }
        }
    }

    /// Forwards page after page, fetching the next while one is sent. The position moves only
    /// after SQS has acknowledged a page (INV-3).
    async fn read_pages(
        &self,
        shard: &str,
        position: &watch::Sender<ShardPosition>,
        progress: &mut Progress<ShardPosition>,
        open: &mut PageTasks,
        reading: &Shutdown,
    ) -> Result<(), ReadInterruption> {
        let mut pause = Duration::ZERO;
        let mut at = position.borrow().clone();
        let mut fetched = self.fetch(shard, &at, None, pause, reading).await?;
        for number in 1.. {
            let FetchedPage { page: Page { records, next }, gap } = fetched;
            at = end_of(&records, gap.is_some(), at);
            pause = pause_after(records.len(), pause);
            let before = open.len();
            if let Some(ticket) = gap {
                let reading = reading.clone();
                open.spawn(async move { ticket.complete(&reading).await.then_some(number) });
            }
            let Some(next) = next else {
                self.forward(number, &records, open, reading).await?;
                let end = ShardPosition { checkpoint: Checkpoint::ShardEnd, ..at };
                progress.read(number, end, open.len() - before);
                return Ok(());
            };
            let (forwarded, following) = tokio::join!(
                self.forward(number, &records, open, reading),
                self.fetch(shard, &at, Some(next), pause, reading),
            );
            forwarded?;
            progress.read(number, at.clone(), open.len() - before);
            while let Some(done) = open.try_join_next() {
                progress.done(done.ok().flatten().ok_or(ShutdownRequested)?);
            }
            publish(progress, position);
            fetched = following?;
        }
        Err(ReadInterruption::ShutdownRequested)
    }

    /// Queues the payments of a page once the dispatchers can work on them, then starts to
    /// dead-letter what is unfit.
    async fn forward(
        &self,
        page: u64,
        records: &[Record],
        open: &mut PageTasks,
        reading: &Shutdown,
    ) -> Result<(), ShutdownRequested> {
        let sorted = self.forwarder.sort(records);
        if !sorted.due.is_empty() {
            let held = self.pacing.wait(records.first().and_then(written_at));
            reading.unless_requested(held).await.ok_or(ShutdownRequested)?;
        }
        let queued =
            self.forwarder.forward(sorted, &self.dead_letters, page, open, reading).await?;
        events::forwarded(queued);
        Ok(())
    }

    /// The page after `position`, by `iterator` while that is valid.
    async fn fetch(
        &self,
        shard: &str,
        position: &ShardPosition,
        mut iterator: Option<String>,
        pause: Duration,
        reading: &Shutdown,
    ) -> Result<FetchedPage, ReadInterruption> {
        let since = Instant::now();
        let mut from = position.checkpoint.clone();
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        let mut wait = pause;
        let mut trimmed = false;
        loop {
            if reading.is_requested() || (!wait.is_zero() && reading.pause(wait).await) {
                return Err(ReadInterruption::ShutdownRequested);
            }
            let fetching = self.fetch_once(shard, &from, &mut iterator);
            match reading.unless_requested(fetching).await.ok_or(ShutdownRequested)? {
                Ok(page) => {
                    self.reading.answered();
                    events::page_read(newest_age(&page));
                    // What is there still will be read; what was before it is lost.
                    let until = page.records.first().and_then(written_at);
                    let lost = LostRecords { since: position.read_up_to, until };
                    let gap = trimmed.then(|| self.sweeps.ask(lost));
                    return Ok(FetchedPage { page, gap });
                }
                Err(StreamError::Expired) => (iterator, wait) = (None, Duration::ZERO),
                Err(StreamError::Trimmed) => {
                    events::gap(shard, from.as_str());
                    trimmed = true;
                    (iterator, from) = (None, Checkpoint::TrimHorizon);
                    wait = pauses.next().unwrap_or_default();
                }
                Err(error) => {
                    self.reading.failed(&error);
                    events::read_failed(shard, &error);
                    if since.elapsed() >= PATIENCE {
                        return Err(ReadInterruption::StreamUnavailable);
                    }
                    (iterator, wait) = (None, pauses.next().unwrap_or_default());
                }
            }
        }
    }

    async fn fetch_once(
        &self,
        shard: &str,
        position: &Checkpoint,
        iterator: &mut Option<String>,
    ) -> Result<Page, StreamError> {
        if iterator.is_none() {
            *iterator = self.source.iterator(shard, position).await?;
        }
        match iterator {
            Some(iterator) => self.source.page(iterator).await,
            // The shard ended while the iterator was being asked for.
            None => Ok(Page::default()),
        }
    }
}

/// The position after a page: its last record, or where it was before if it is empty.
fn end_of(records: &[Record], after_gap: bool, before: ShardPosition) -> ShardPosition {
    let Some(last) = records.last() else {
        let checkpoint = if after_gap { Checkpoint::TrimHorizon } else { before.checkpoint };
        return ShardPosition { checkpoint, ..before };
    };
    let sequence = last.dynamodb().and_then(|change| change.sequence_number());
    ShardPosition {
        checkpoint: sequence.map_or(before.checkpoint, |at| Checkpoint::After(at.to_owned())),
        read_up_to: written_at(last).or(before.read_up_to),
    }
}

fn pause_after(records: usize, before: Duration) -> Duration {
    match records {
        MAX_PAGE.. => Duration::ZERO,
        1.. => CAUGHT_UP,
        0 => (before * 2).clamp(CAUGHT_UP, IDLE),
    }
}

fn newest_age(page: &Page) -> Option<f64> {
    let newest = page.records.last()?.dynamodb()?.approximate_creation_date_time()?;
    Some(jiff::Timestamp::now().as_millisecond() as f64 / 1000.0 - newest.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_page_is_followed_at_once_and_empty_ones_ever_later_up_to_a_second() {
        assert_eq!(pause_after(1000, IDLE), Duration::ZERO);
        assert_eq!(pause_after(1, Duration::ZERO), CAUGHT_UP);
        let pauses: Vec<_> = (0..7)
            .scan(Duration::ZERO, |pause, _| {
                *pause = pause_after(0, *pause);
                Some(pause.as_millis())
            })
            .collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
    }
}
