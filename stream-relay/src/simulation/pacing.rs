//! What the dispatchers cannot work on yet stays in the stream, for minutes and never for good.

use std::time::Duration;

use super::{Bank, RunningRelay, pass, simulate};
use crate::forward::pacing::{LONGEST_HOLD, UNDISPATCHED};
use crate::shards::position::Checkpoint;

const SHARD: &str = "shard-001";

impl Bank {
    /// Lets the queue tell that so many messages of others are before those of this bank.
    fn pretend_backlog(&self, messages: u64) {
        self.queues.pretend(messages);
    }

    /// A relay that has found the queue too deep and holds a payment of each account back.
    async fn relay_that_holds(&mut self, name: &str) -> RunningRelay {
        let relay = self.relay(name);
        self.insert(0);
        self.until_all_queued(Duration::from_secs(30)).await;
        self.pretend_backlog(10 * UNDISPATCHED.always);
        self.insert(0);
        pass(10).await;
        self.insert_everywhere();
        pass(60).await;
        assert!(!self.queued(self.payments.last().unwrap()), "nothing is held back");
        relay
    }
}

#[test]
fn payments_before_a_deep_queue_are_queued_within_minutes_of_being_written() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let _relay = bank.relay_that_holds("relay").await;
        let left = LONGEST_HOLD - Duration::from_secs(60);
        bank.until_all_queued(left + Duration::from_secs(10)).await;
    });
}

#[test]
fn payments_that_were_held_back_are_queued_as_soon_as_the_dispatchers_keep_up() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let _relay = bank.relay_that_holds("relay").await;
        bank.pretend_backlog(0);
        bank.until_all_queued(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_relay_that_ends_while_it_holds_payments_back_ends_at_once_and_loses_none() {
    for (seed, killed) in [(1, true), (2, false)] {
        simulate(seed, || async move {
            let mut bank = Bank::new(seed, 1);
            let relay = bank.relay_that_holds("relay").await;
            let position = bank.leases.checkpoint(SHARD);
            assert_ne!(position, Checkpoint::TrimHorizon, "the first payment was queued");
            if killed {
                relay.kill().await;
            } else {
                tokio::time::timeout(Duration::from_secs(5), relay.stop()).await.unwrap();
            }
            assert_eq!(bank.leases.checkpoint(SHARD), position);
            bank.pretend_backlog(0);
            let _next = bank.relay("next");
            bank.until_all_queued(Duration::from_secs(60)).await;
        });
    }
}
