//! Reading one shard from its checkpoint to its end.

use std::time::Duration;

use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::watch;

use crate::events;
use crate::forwarder::Forwarder;
use crate::keeper::{keep, obtain};
use crate::lease::{Checkpoint, Leases};
use crate::shards::Shard;
use crate::stream::{MAX_PAGE, Page, Stream, StreamError};

/// Pause after a page that held records but was not full: the reader has caught up, and a
/// little patience fills the batches to the queue.
const CAUGHT_UP: Duration = Duration::from_millis(50);
/// Longest pause after empty pages.
const IDLE: Duration = Duration::from_secs(1);

/// How the reading of a shard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything in it is read.
    Finished,
    /// Shutdown, or another relay has the lease.
    Stopped,
}

/// Reads shards for one relay.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) stream: Stream,
    pub(crate) leases: Leases,
    pub(crate) forwarder: Forwarder,
    pub(crate) name: String,
    pub(crate) checkpoint_interval: Duration,
}

impl Reader {
    /// The name of a shard's lease.
    pub(crate) fn lease_key(&self, shard: &str) -> String {
        format!("{}/{shard}", self.stream.arn)
    }

    /// Reads `shard` as long as this relay holds its lease.
    pub(crate) async fn read(&self, shard: &Shard, shutdown: &Shutdown) -> End {
        let key = self.lease_key(&shard.id);
        let parent = shard.parent.as_ref().map(|parent| self.lease_key(parent));
        let obtained = obtain(&self.leases, &self.name, &key, parent.as_deref(), shutdown).await;
        let Some(lease) = obtained else {
            return End::Stopped;
        };
        if lease.checkpoint == Checkpoint::ShardEnd {
            return End::Finished;
        }
        tracing::info!(shard = shard.id, from = ?lease.checkpoint, "reading a shard");
        let (position, kept) = watch::channel(lease.checkpoint.clone());
        let reading = shutdown.child();
        let (end, ()) = tokio::join!(
            self.read_on(&shard.id, position, &reading),
            keep(&self.leases, lease, kept, self.checkpoint_interval, &reading),
        );
        end
    }

    /// Forwards page after page, fetching the next while one is sent. `acknowledged` moves
    /// only after SQS has acknowledged a page (INV-3).
    async fn read_on(
        &self,
        shard: &str,
        acknowledged: watch::Sender<Checkpoint>,
        reading: &Shutdown,
    ) -> End {
        let mut pause = Duration::ZERO;
        let mut fetched = acknowledged.borrow().clone();
        let mut page = self.fetch(shard, &fetched, None, pause, reading).await;
        while let Some(Page { records, next }) = page {
            let last = records.last().and_then(|record| record.dynamodb()?.sequence_number());
            if let Some(last) = last {
                fetched = Checkpoint::After(last.to_owned());
            }
            pause = pause_after(records.len(), pause);
            let at = fetched.clone();
            let Some(next) = next else {
                if self.forwarder.forward(records, reading).await.is_err() {
                    return End::Stopped;
                }
                acknowledged.send_replace(Checkpoint::ShardEnd);
                return End::Finished;
            };
            let (forwarded, following) = tokio::join!(
                self.forwarder.forward(records, reading),
                self.fetch(shard, &at, Some(next), pause, reading),
            );
            if forwarded.is_err() {
                return End::Stopped;
            }
            acknowledged.send_if_modified(|position| {
                let moved = *position != at;
                *position = at;
                moved
            });
            page = following;
        }
        End::Stopped
    }

    /// The page after `position`, by `iterator` while that is valid; `None` on shutdown.
    async fn fetch(
        &self,
        shard: &str,
        position: &Checkpoint,
        mut iterator: Option<String>,
        pause: Duration,
        reading: &Shutdown,
    ) -> Option<Page> {
        let mut position = position.clone();
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        let mut wait = pause;
        loop {
            if reading.is_requested() || (!wait.is_zero() && reading.pause(wait).await) {
                return None;
            }
            let fetching = self.fetch_once(shard, &position, &mut iterator);
            match reading.unless_requested(fetching).await? {
                Ok(page) => {
                    events::page_read(newest_age(&page));
                    return Some(page);
                }
                Err(StreamError::Expired) => (iterator, wait) = (None, Duration::ZERO),
                Err(StreamError::Trimmed) => {
                    events::gap(shard, &format!("{position:?}"));
                    (iterator, position) = (None, Checkpoint::TrimHorizon);
                    wait = pauses.next().unwrap_or_default();
                }
                Err(error) => {
                    events::read_failed(shard, &error);
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
            *iterator = self.stream.iterator(shard, position).await?;
        }
        match iterator {
            Some(iterator) => self.stream.page(iterator).await,
            // The shard ended while the iterator was being asked for.
            None => Ok(Page { records: Vec::new(), next: None }),
        }
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
