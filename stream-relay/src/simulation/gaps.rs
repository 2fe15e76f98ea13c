//! Records that the stream has dropped before they were read.

use std::time::Duration;

use super::table::FakeTable;
use super::{Bank, pass, simulate, until};
use crate::lease::Checkpoint;

/// A bank whose relay ended, was away, and missed what was inserted meanwhile.
async fn with_a_gap(bank: &mut Bank) {
    let relay = bank.relay("before");
    bank.insert_everywhere();
    pass(5).await;
    relay.stop().await;
    bank.insert_everywhere();
    bank.stream.trim();
}

#[test]
fn what_the_stream_has_dropped_is_swept_from_the_table() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        with_a_gap(&mut bank).await;
        assert!(!bank.all_queued());
        assert_eq!(bank.table.asked(), 0);
        let _relay = bank.relay("after");
        until(Duration::from_secs(10), "not swept", || bank.all_queued()).await;
        pass(5).await;
        assert_eq!(bank.table.asked(), FakeTable::SWEEP);
    });
}

#[test]
fn an_accounts_payments_are_swept_in_order_whatever_partition_they_lie_in() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        with_a_gap(&mut bank).await;
        (0..20).for_each(|_| bank.insert_everywhere());
        bank.stream.trim();
        let _relay = bank.relay("after");
        bank.until_all_queued(Duration::from_secs(30)).await;
    });
}

#[test]
fn a_sweep_that_fails_holds_the_position_and_not_the_stream() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        with_a_gap(&mut bank).await;
        let missed = bank.payments.last().unwrap().clone();
        bank.table.break_down();
        let relay = bank.relay("after");
        pass(5).await;
        let held = bank.leases.checkpoint("shard-001");
        assert_eq!(held, Checkpoint::After(format!("{:021}", 40)));
        bank.insert_everywhere();
        let young = bank.payments[80..].to_vec();
        let all_young = || young.iter().all(|payment| bank.queued(payment));
        until(Duration::from_secs(2), "the stream waits", all_young).await;
        pass(60).await;
        assert!(!bank.queued(&missed));
        assert_eq!(bank.leases.checkpoint("shard-001"), held);

        // The gap is found again by whoever comes next.
        relay.kill().await;
        let _next = bank.relay("after");
        pass(5).await;
        bank.table.mend();
        until(Duration::from_secs(60), "not swept", || bank.all_queued()).await;
        pass(5).await;
        assert_eq!(bank.leases.checkpoint("shard-001"), Checkpoint::After(format!("{:021}", 120)));
    });
}

#[test]
fn gaps_during_a_sweep_start_one_more_after_it() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 5);
        with_a_gap(&mut bank).await;
        let _relay = bank.relay("after");
        until(Duration::from_secs(30), "not swept", || bank.all_queued()).await;
        pass(10).await;
        // Five shards had a gap at about the same time: the first started a sweep.
        assert_eq!(bank.table.asked(), FakeTable::SWEEP * 2);
    });
}

#[test]
fn a_shard_that_was_dropped_unread_is_swept_and_written_off() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        with_a_gap(&mut bank).await;
        bank.stream.split();
        bank.stream.drop_closed();
        let _relay = bank.relay("after");
        pass(30).await;
        assert!(!bank.all_queued(), "a list that was wrong once must not end a shard");
        until(Duration::from_secs(60), "not swept", || bank.all_queued()).await;
        until(Duration::from_secs(90), "not tidied up", || {
            !bank.leases.keys().contains(&"stream/shard-001".to_owned())
        })
        .await;
        assert_eq!(bank.table.asked(), FakeTable::SWEEP);
    });
}
