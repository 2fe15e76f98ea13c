//! The position of a shard never passes what is not queued, whatever ends the relay.

use std::time::Duration;

use super::{Bank, pass, simulate, until};
use crate::shards::position::Checkpoint;

#[test]
fn the_position_stays_before_a_page_that_is_not_queued_also_when_the_relay_ends() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let relay = bank.relay("relay");
        pass(5).await;
        bank.queues.fail_payments();
        bank.insert_everywhere();
        pass(10).await;
        assert_eq!(bank.leases.checkpoint("shard-001"), Checkpoint::TrimHorizon);
        relay.stop().await;
        assert_eq!(bank.leases.checkpoint("shard-001"), Checkpoint::TrimHorizon);
        bank.queues.restore_payments();
        let _next = bank.relay("next");
        bank.until_all_queued(Duration::from_secs(30)).await;
    });
}

#[test]
fn a_shard_whose_last_page_is_not_queued_is_not_finished_also_when_the_relay_ends() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        bank.queues.fail_payments();
        // Fewer than a page holds.
        (0..3).for_each(|account| bank.insert(account));
        bank.stream.split();
        let relay = bank.relay("relay");
        pass(10).await;
        relay.stop().await;
        assert_eq!(bank.leases.checkpoint("shard-001"), Checkpoint::TrimHorizon);
        bank.queues.restore_payments();
        let _next = bank.relay("next");
        bank.until_all_queued(Duration::from_secs(30)).await;
        let finished = || bank.leases.checkpoint("shard-001") == Checkpoint::ShardEnd;
        until(Duration::from_secs(30), "not finished", finished).await;
    });
}
