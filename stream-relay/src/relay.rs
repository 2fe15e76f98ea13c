//! The relay's own loop: which shards there are, who has them, what to take and to give.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use shared::queue::QueueError;
use shared::shutdown::{DrainExceeded, Shutdown};
use shared::telemetry::admin::{Calls, Readiness};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::events;
use crate::leases::assignment::{ShardAssignment, next_change};
use crate::leases::keys::lease_key;
use crate::leases::liveness::CounterLiveness;
use crate::leases::position::StoredPosition;
use crate::leases::table::{EXPIRY, Lease, LeaseEntries, LeaseError, RENEWAL};
use crate::shards::discovery::ShardList;
use crate::shards::parents::readable;
use crate::shards::reader::{Reader, ShardReadEnd};
use crate::shards::source::{Shard, StreamError};
use crate::sweeps::SweepLeases;

/// How often the table of leases is polled. The last write of a killed relay is seen
/// within one poll, and that it has stood still for [`EXPIRY`] within another.
const POLL: Duration = Duration::from_secs(1);
/// How long a shard must be missing from the stream's list, or a relay silent, before its
/// item in the table is deleted.
const GONE: Duration = Duration::from_secs(60);
/// How long a relay writes no heartbeat, and leaves shards to others that live, after the stream
/// did not answer one of its readers. Long, because a shard that comes back too early is
/// unread until its reader has lost patience once more.
const ASIDE: Duration = Duration::from_secs(5 * 60);

/// Why the relay ended other than by shutdown.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// At start: the stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// At start: a queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The sweeper or the opener panicked: gaps would stay open, and positions before them, or
    /// days would not be opened.
    #[error("a sweep failed")]
    SweepRunner(#[source] JoinError),
    /// At the end.
    #[error(transparent)]
    Drain(#[from] DrainExceeded),
}

/// One relay at work.
#[derive(Debug)]
pub(crate) struct Relay {
    reader: Reader,
    name: String,
    readers: JoinSet<ShardReadEnd>,
    reading: HashMap<Id, ReaderTask>,
    shard_list: ShardList,
    /// The leases of days and of the lost-message scan, for the sweeps.
    sweep_lease_sender: watch::Sender<SweepLeases>,
    aside_since: Option<Instant>,
    appeared_at: Option<Instant>,
    counters: CounterLiveness,
    missing_from_list: CounterLiveness,
    /// Whether the table of leases can be read.
    lease_calls: Calls,
}

/// A shard that this relay reads, or stops to read.
#[derive(Debug)]
struct ReaderTask {
    shard: String,
    work: ReaderJob,
    stop: Shutdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReaderJob {
    Read,
    WriteOff,
}

impl Relay {
    pub(crate) fn new(
        reader: Reader,
        name: String,
        sweep_lease_sender: watch::Sender<SweepLeases>,
        lease_calls: Calls,
    ) -> Self {
        Self {
            reader,
            name,
            readers: JoinSet::new(),
            reading: HashMap::new(),
            shard_list: ShardList::default(),
            sweep_lease_sender,
            aside_since: None,
            appeared_at: None,
            counters: CounterLiveness::default(),
            missing_from_list: CounterLiveness::default(),
            lease_calls,
        }
    }

    /// Reads its share of the shards until shutdown, then gives its leases up.
    pub(crate) async fn run(
        &mut self,
        readiness: &Readiness,
        shutdown: &Shutdown,
    ) -> Result<(), RelayError> {
        while !shutdown.is_requested() {
            let shard_list = self.shard_list.refresh(&*self.reader.source, &self.reader.reading);
            if let Some(listed) = shutdown.unless_requested(shard_list).await {
                listed?;
            }
            // Not abandoned halfway: it might arrive after the farewell below.
            self.write_heartbeat(shutdown).await;
            if self.share(shutdown).await && self.shard_list.is_known() {
                readiness.ready();
            }
            events::shards(self.readers.len());
            tokio::select! {
                () = shutdown.requested() => {}
                () = tokio::time::sleep(POLL) => {}
                Some(ended) = self.readers.join_next_with_id() => {
                    let mut end = self.ended(ended);
                    // Many end at once when the stream moves on to new shards.
                    while let Some(ended) = self.readers.try_join_next_with_id() {
                        end = self.ended(ended);
                    }
                    if end != ShardReadEnd::Finished {
                        shutdown.pause(POLL).await;
                    }
                }
            }
        }
        let Self { reader, name, readers, .. } = self;
        let end = async {
            // First, so that the others share without this one at once.
            if let Err(error) = reader.leases.leave(reader.source.name()).await {
                events::lease_failed(name, &error);
            }
            while readers.join_next().await.is_some() {}
        };
        shutdown.drain(end).await?;
        Ok(())
    }

    fn ended(&mut self, ended: Result<(Id, ShardReadEnd), JoinError>) -> ShardReadEnd {
        let (id, end) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // Whatever it was, the next reader goes on from the last position.
                tracing::error!(%error, "a shard's reader failed");
                (error.id(), ShardReadEnd::ShutdownRequested)
            }
        };
        let shard = self.reading.remove(&id).map(|reading| reading.shard);
        tracing::info!(shard, ?end, "a shard's reader ended");
        match end {
            // Its children may not be known yet.
            ShardReadEnd::Finished => self.shard_list.outdated(),
            ShardReadEnd::StreamUnavailable => self.aside_since = Some(Instant::now()),
            ShardReadEnd::ShutdownRequested => {}
        }
        end
    }

    fn is_standing_aside(&self) -> bool {
        self.aside_since.is_some_and(|since| since.elapsed() < ASIDE)
    }

    /// Writes a heartbeat, but only while the stream answers: a relay that cannot read would
    /// have a share, and nobody would read it.
    async fn write_heartbeat(&mut self, shutdown: &Shutdown) {
        if !self.shard_list.is_answered() || self.is_standing_aside() || shutdown.is_requested() {
            return;
        }
        if self.appeared_at.is_some_and(|at| at.elapsed() < RENEWAL) {
            return;
        }
        match self.reader.leases.write_heartbeat(self.reader.source.name()).await {
            Ok(()) => self.appeared_at = Some(Instant::now()),
            Err(error) => events::lease_failed(&self.name, &error),
        }
    }

    /// One poll of the table, and what follows from it; false when it could not be read.
    async fn share(&mut self, shutdown: &Shutdown) -> bool {
        let asked = Instant::now();
        let all = self.reader.leases.all(self.reader.source.name());
        let entries = match shutdown.unless_requested(all).await {
            None => return false,
            Some(Ok(entries)) => {
                self.lease_calls.answered();
                entries
            }
            Some(Err(error)) => {
                self.lease_calls.failed(&error);
                events::lease_failed("all", &error);
                return false;
            }
        };
        // The scan has read a counter somewhere between the two. What is new stands still from
        // its end, and for how long, its start decides: never longer than it really did.
        self.observe(&entries, Instant::now());
        let now = asked;
        self.tell(&entries, now);
        let leases: HashMap<&str, &Lease> =
            entries.leases.iter().map(|lease| (lease.key.as_str(), lease)).collect();
        let plan = self.plan(&entries, &leases, now);
        if let Some(shard) = plan.give {
            tracing::info!(shard, "another relay has less to do: giving it up");
            self.reading.values().filter(|r| r.shard == shard).for_each(|r| r.stop.request());
        }
        for shard in plan.take {
            if shutdown.is_requested() {
                break;
            }
            let key = lease_key(self.reader.source.name(), &shard);
            self.take(shard, &key, leases.get(key.as_str()).copied(), shutdown).await;
        }
        self.tidy_up(&entries, now, shutdown).await;
        true
    }

    fn observe(&mut self, entries: &LeaseEntries, now: Instant) {
        let leases = entries.leases.iter().map(|lease| (lease.key.as_str(), lease.counter));
        let relays = entries.relays.iter().map(|relay| (relay.key.as_str(), relay.counter));
        let sweep_leases = entries
            .sweep_leases
            .iter()
            .map(|sweep_lease| (sweep_lease.key.as_str(), sweep_lease.counter));
        self.counters.observe(leases.chain(relays).chain(sweep_leases), now);
        let listed = self.shard_list.fresh_keys(self.reader.source.name(), now);
        let keys = entries.leases.iter().map(|lease| lease.key.as_str());
        let missing = keys.filter(|key| listed.as_ref().is_some_and(|all| !all.contains(*key)));
        self.missing_from_list.observe(missing.map(|key| (key, 0)), now);
    }

    /// Passes the leases of days and of the scan on to the sweeps.
    fn tell(&self, entries: &LeaseEntries, now: Instant) {
        let still = |sweep_lease: &Lease| {
            (sweep_lease.clone(), self.counters.still_for(&sweep_lease.key, now))
        };
        let seen = entries.sweep_leases.iter().map(still).collect();
        self.sweep_lease_sender.send_replace(SweepLeases { asked_at: Some(now), seen });
    }

    /// The relay that holds a lease and lives.
    fn holder<'a>(&self, lease: &'a Lease, now: Instant) -> Option<&'a str> {
        let lives = self.counters.still_for(&lease.key, now) < EXPIRY;
        lease.owner.as_deref().filter(|_| lives)
    }

    fn plan(
        &self,
        entries: &LeaseEntries,
        leases: &HashMap<&str, &Lease>,
        now: Instant,
    ) -> LeasePlan {
        let stream = self.reader.source.name();
        let lease_of = |shard: &str| leases.get(lease_key(stream, shard).as_str()).copied();
        let finished = |shard: &&Shard| {
            lease_of(&shard.id)
                .is_some_and(|lease| lease.position.checkpoint == StoredPosition::END)
        };
        let finished = self
            .shard_list
            .shards()
            .iter()
            .filter(finished)
            .map(|shard| shard.id.as_str())
            .collect();
        let mine: HashSet<&str> = self.reading.values().map(|r| r.shard.as_str()).collect();
        let mut take = Vec::new();
        let mut holdings = Vec::new();
        for shard in readable(self.shard_list.shards(), &finished) {
            let holder = lease_of(&shard.id).and_then(|lease| self.holder(lease, now));
            let reads = mine.contains(shard.id.as_str());
            if holder == Some(self.name.as_str()) && !reads {
                // Held under this name before a restart.
                take.push(shard.id.clone());
            }
            // What this relay reads is its own until its reader has ended, whatever the table says.
            let holder = if reads { Some(self.name.as_str()) } else { holder };
            holdings.push(ShardAssignment { shard: &shard.id, holder });
        }
        // To a relay that has just started every heartbeat looks fresh. One that does not move soon is
        // a dead relay's, and no share is left for it.
        let lives = |key: &str| {
            let patience = if self.counters.has_moved(key) { EXPIRY } else { RENEWAL + POLL };
            self.counters.still_for(key, now) < patience
        };
        let relays = entries.relays.iter().filter(|relay| lives(&relay.key));
        let relays: BTreeSet<&str> = relays.map(|relay| relay.relay.as_str()).collect();
        let next_change = next_change(&holdings, &relays, &self.name);
        let leaves_it = self.is_standing_aside() && relays.iter().any(|&relay| relay != self.name);
        if leaves_it {
            take.clear();
        }
        take.extend(next_change.take.into_iter().filter(|_| !leaves_it).map(str::to_owned));
        let giving = self.reading.values().any(|reading| reading.stop.is_requested());
        LeasePlan { take, give: next_change.give.filter(|_| !giving).map(str::to_owned) }
    }

    /// Takes a lease and reads the shard.
    async fn take(&mut self, shard: String, key: &str, seen: Option<&Lease>, shutdown: &Shutdown) {
        let lease = match self.reader.leases.take(key, seen).await {
            Ok(lease) => lease,
            Err(LeaseError::TakenByAnother { owner }) => {
                tracing::info!(shard, owner, "another relay was faster");
                return;
            }
            Err(error) => return events::lease_failed(key, &error),
        };
        let (reader, id, stop) = (self.reader.clone(), shard.clone(), shutdown.child());
        let reading = stop.clone();
        let task = self.readers.spawn(async move { reader.read(&id, lease, &reading).await });
        self.reading.insert(task.id(), ReaderTask { shard, work: ReaderJob::Read, stop });
    }

    /// Ends what belongs to shards that the stream has dropped and to relays that are gone.
    async fn tidy_up(&mut self, entries: &LeaseEntries, now: Instant, shutdown: &Shutdown) {
        for relay in &entries.relays {
            if self.counters.still_for(&relay.key, now) >= GONE {
                self.forget(&relay.key, relay.counter).await;
            }
        }
        let stream = self.reader.source.name().to_owned();
        for lease in &entries.leases {
            let shard = lease.key.strip_prefix(&format!("{stream}/")).unwrap_or_default();
            let gone = self.missing_from_list.still_for(&lease.key, now) >= GONE;
            if !gone {
                continue;
            }
            if let Some(reading) = self.reading.values().find(|reading| reading.shard == shard) {
                if reading.work == ReaderJob::Read {
                    // There is nothing more to read. A later poll writes the shard off.
                    reading.stop.request();
                }
                continue;
            }
            if lease.position.checkpoint == StoredPosition::END {
                self.forget(&lease.key, lease.counter).await;
            } else if self.holder(lease, now).is_none_or(|holder| holder == self.name) {
                self.write_off(shard.to_owned(), lease, shutdown).await;
            }
        }
    }

    async fn forget(&self, key: &str, counter: u64) {
        if let Err(error) = self.reader.leases.forget(key, counter).await {
            events::lease_failed(key, &error);
        }
    }

    /// Takes the lease of a shard that was dropped before it was read, and has a sweep make
    /// up for it.
    async fn write_off(&mut self, shard: String, lease: &Lease, shutdown: &Shutdown) {
        let lease = match self.reader.leases.take(&lease.key, Some(lease)).await {
            Ok(lease) => lease,
            Err(LeaseError::TakenByAnother { .. }) => return,
            Err(error) => return events::lease_failed(&lease.key, &error),
        };
        let (reader, id, stop) = (self.reader.clone(), shard.clone(), shutdown.child());
        let reading = stop.clone();
        let task = self.readers.spawn(async move { reader.write_off(&id, lease, &reading).await });
        self.reading.insert(task.id(), ReaderTask { shard, work: ReaderJob::WriteOff, stop });
    }
}

/// What to do after a poll of the table.
#[derive(Debug)]
struct LeasePlan {
    take: Vec<String>,
    give: Option<String>,
}
