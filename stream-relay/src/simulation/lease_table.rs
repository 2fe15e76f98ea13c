//! A table of leases in memory: conditional writes that may fail, or be made and their
//! answers lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use domain::DueDate;

use super::FaultInjector;
use crate::leases::keys::{heartbeat_key, sweep_lease_key, sweep_lease_prefix};
use crate::leases::position::{LeasePosition, StoredPosition};
use crate::leases::table::{
    Lease, LeaseEntries, LeaseError, LeaseTable, RelayHeartbeat, existing_lease,
};
use crate::shards::position::{Checkpoint, ShardPosition};
use crate::sweeps::day_position::{DayPosition, OpenedUpTo};

fn is_shard(lease: &Lease) -> bool {
    !lease.key.starts_with(&sweep_lease_prefix("stream"))
}

/// The table, for any number of relays.
#[derive(Debug)]
pub(super) struct LeaseStore {
    faults: Arc<FaultInjector>,
    items: Mutex<Items>,
    /// A relay whose writes fail.
    cut_off: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Items {
    leases: BTreeMap<String, Lease>,
    relays: BTreeMap<String, RelayHeartbeat>,
}

impl LeaseStore {
    pub(super) fn new(faults: Arc<FaultInjector>) -> Self {
        Self { faults, items: Mutex::default(), cut_off: Mutex::default() }
    }

    /// From now on the writes of this relay fail, and those of no other.
    pub(super) fn cut_off(&self, relay: Option<&str>) {
        *self.cut_off.lock().unwrap() = relay.map(str::to_owned);
    }

    /// The shards of each lease that is not finished, with their owners.
    pub(super) fn owners(&self) -> Vec<(String, Option<String>)> {
        let items = self.items.lock().unwrap();
        let open = items
            .leases
            .values()
            .filter(|lease| is_shard(lease))
            .filter(|lease| lease.position.checkpoint != StoredPosition::END);
        open.map(|lease| (lease.key.clone(), lease.owner.clone())).collect()
    }

    /// How many shards a relay holds.
    pub(super) fn held_by(&self, relay: &str) -> usize {
        self.owners().iter().filter(|(_, owner)| owner.as_deref() == Some(relay)).count()
    }

    /// How many days are being opened, or watched over, by a relay.
    pub(super) fn sweep_leases_of(&self, relay: &str) -> usize {
        let items = self.items.lock().unwrap();
        let sweep_leases = items.leases.values().filter(|lease| !is_shard(lease));
        sweep_leases.filter(|lease| lease.owner.as_deref() == Some(relay)).count()
    }

    pub(super) fn checkpoint(&self, shard: &str) -> Checkpoint {
        let items = self.items.lock().unwrap();
        ShardPosition::from_stored(&items.leases[&format!("stream/{shard}")].position).checkpoint
    }

    /// Every shard is read from its beginning again.
    pub(super) fn forget_positions(&self) {
        let mut items = self.items.lock().unwrap();
        for lease in items.leases.values_mut().filter(|lease| is_shard(lease)) {
            lease.position = StoredPosition::start();
        }
    }

    /// As an older release has written them.
    pub(super) fn forget_times(&self) {
        let mut items = self.items.lock().unwrap();
        items.leases.values_mut().for_each(|lease| lease.position.read_up_to = None);
    }

    /// The keys of shards and relays.
    pub(super) fn keys(&self) -> Vec<String> {
        let items = self.items.lock().unwrap();
        let shards = items.leases.values().filter(|lease| is_shard(lease)).map(|lease| &lease.key);
        shards.chain(items.relays.keys()).cloned().collect()
    }

    /// How far the opening of a day has come; `None` before it began.
    pub(super) fn opening(&self, day: DueDate) -> Option<OpenedUpTo> {
        let items = self.items.lock().unwrap();
        let lease = items.leases.get(&sweep_lease_key("stream", &day.to_string()))?;
        Some(DayPosition::from_stored(&lease.position).opened)
    }

    fn failure() -> LeaseError {
        LeaseError::Write(Box::new(SdkError::timeout_error("no answer")))
    }

    async fn call<T>(
        &self,
        make: impl FnOnce(&mut Items) -> Result<T, LeaseError> + Send,
    ) -> Result<T, LeaseError> {
        self.faults.delay().await;
        if self.faults.fails() {
            return Err(Self::failure());
        }
        let made = make(&mut self.items.lock().unwrap());
        let answer_lost = self.faults.fails();
        // The caller may be killed while the answer is under way.
        self.faults.delay_after(made, answer_lost).await.ok_or_else(Self::failure)?
    }
}

impl FaultInjector {
    async fn delay_after<T>(&self, answer: T, lost: bool) -> Option<T> {
        self.delay().await;
        (!lost).then_some(answer)
    }
}

/// The table as one relay uses it.
#[derive(Debug)]
pub(super) struct RelayLeases {
    store: Arc<LeaseStore>,
    name: String,
}

impl RelayLeases {
    pub(super) fn new(store: Arc<LeaseStore>, name: &str) -> Self {
        Self { store, name: name.to_owned() }
    }
}

#[async_trait]
impl LeaseTable for RelayLeases {
    async fn all(&self, _stream: &str) -> Result<LeaseEntries, LeaseError> {
        self.store
            .call(|items| {
                let (leases, sweep_leases) = items.leases.values().cloned().partition(is_shard);
                Ok(LeaseEntries {
                    leases,
                    sweep_leases,
                    relays: items.relays.values().cloned().collect(),
                })
            })
            .await
    }

    fn relay(&self) -> &str {
        &self.name
    }

    async fn write(&self, before: Option<&Lease>, next: Lease) -> Result<Lease, LeaseError> {
        if self.store.cut_off.lock().unwrap().as_ref() == Some(&self.name) {
            return Err(LeaseStore::failure());
        }
        let before = before.map(|lease| lease.counter);
        let name = self.name.clone();
        self.store
            .call(move |items| {
                let found = items.leases.get(&next.key);
                if found.map(|lease| lease.counter) != before {
                    return existing_lease(found.cloned(), &next, &name);
                }
                items.leases.insert(next.key.clone(), next.clone());
                Ok(next)
            })
            .await
    }

    async fn write_heartbeat(&self, stream: &str) -> Result<(), LeaseError> {
        let (key, relay) = (heartbeat_key(stream, &self.name), self.name.clone());
        self.store
            .call(move |items| {
                let counter = items.relays.get(&key).map_or(0, |presence| presence.counter) + 1;
                items.relays.insert(key.clone(), RelayHeartbeat { key, relay, counter });
                Ok(())
            })
            .await
    }

    async fn leave(&self, stream: &str) -> Result<(), LeaseError> {
        let key = heartbeat_key(stream, &self.name);
        self.store
            .call(move |items| {
                items.relays.remove(&key);
                Ok(())
            })
            .await
    }

    async fn forget(&self, key: &str, counter: u64) -> Result<(), LeaseError> {
        let key = key.to_owned();
        self.store
            .call(move |items| {
                items.leases.retain(|k, lease| *k != key || lease.counter != counter);
                items.relays.retain(|k, relay| *k != key || relay.counter != counter);
                Ok(())
            })
            .await
    }
}

#[test]
fn of_two_relays_that_take_at_once_one_gets_the_lease() {
    super::simulate(0, || async {
        let store = Arc::new(LeaseStore::new(Arc::new(FaultInjector::new(0))));
        let [a, b] = ["a", "b"].map(|name| RelayLeases::new(Arc::clone(&store), name));
        let first = a.take("stream/s", None).await.unwrap();
        assert!(
            matches!(b.take("stream/s", None).await, Err(LeaseError::TakenByAnother { owner }) if owner == "a")
        );
        let (one, other) =
            tokio::join!(a.take("stream/s", Some(&first)), b.take("stream/s", Some(&first)));
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    });
}

#[test]
fn a_write_whose_answer_was_lost_is_a_success_when_it_is_made_again() {
    super::simulate(0, || async {
        let store = Arc::new(LeaseStore::new(Arc::new(FaultInjector::new(0))));
        let [a, b] = ["a", "b"].map(|name| RelayLeases::new(Arc::clone(&store), name));
        let after = |text: &str| StoredPosition { checkpoint: text.to_owned(), read_up_to: None };
        let taken = a.take("stream/s", None).await.unwrap();
        assert_eq!(a.take("stream/s", None).await.unwrap(), taken);
        let renewed = a.renew(&taken, after("1")).await.unwrap();
        assert_eq!(a.renew(&taken, after("2")).await.unwrap(), renewed, "as it is there");
        assert_eq!(a.give_up(&taken, after("2")).await.unwrap(), renewed, "not given up yet");
        let given = a.give_up(&renewed, after("2")).await.unwrap();
        assert_eq!(a.give_up(&renewed, after("2")).await.unwrap(), given);
        // Another relay's writes are never taken for its own.
        let taken = b.take("stream/s", Some(&given)).await.unwrap();
        assert!(matches!(
            a.renew(&given, after("3")).await,
            Err(LeaseError::TakenByAnother { .. })
        ));
        let given = b.give_up(&taken, after("3")).await.unwrap();
        assert!(matches!(
            a.renew(&taken, after("4")).await,
            Err(LeaseError::TakenByAnother { .. })
        ));
        assert_eq!((given.owner, given.position), (None, after("3")));
    });
}
