//! Records that the stream has dropped before they were read.

use std::time::Duration;

use super::table::FakeTable;
use super::{Bank, pass, simulate, until};
use crate::shards::position::Checkpoint;

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
        let opened = bank.table.asked();
        assert_eq!(opened, FakeTable::SWEEP, "each day is opened once");
        let _relay = bank.relay("after");
        until(Duration::from_secs(10), "not swept", || bank.all_queued()).await;
        pass(5).await;
        assert_eq!(bank.table.asked() - opened, FakeTable::SWEEP);
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

/// All is queued, and the queue holds no more than what was there, what was lost, and what lies
/// within the margin of the loss.
async fn all_are_queued_and_few_twice(bank: &Bank, within_margin: usize) {
    until(Duration::from_secs(60), "not swept", || bank.all_queued()).await;
    // Through several looks of the watch.
    pass(3600).await;
    let most = bank.payments.len() + within_margin;
    let held = bank.queues.len();
    assert!(held <= most, "the queue holds {held} messages of {} payments", bank.payments.len());
}

#[test]
fn every_record_of_an_hour_is_lost_and_the_backlog_is_not_doubled() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 3);
        let relay = bank.relay("before");
        // A backlog that nobody works on and that grows for an hour.
        (0..40).for_each(|_| bank.insert_everywhere());
        for _ in 0..60 {
            bank.insert_everywhere();
            pass(60).await;
        }
        relay.stop().await;
        let backlog = bank.payments.len();
        let doubled = bank.queues.len() - backlog;
        assert!(doubled <= 1_000, "{doubled} of the backlog were doubled");
        for _ in 0..60 {
            bank.insert_everywhere();
            pass(60).await;
        }
        let lost = bank.payments[backlog..].to_vec();
        bank.stream.trim();
        // Read from the stream, and not the sweep's business.
        for _ in 0..20 {
            pass(60).await;
            bank.insert_everywhere();
        }
        let _relay = bank.relay("after");
        // The margin of a quarter of an hour before the loss, and after it, and what each of two
        // relays queues regardless of the number of messages.
        all_are_queued_and_few_twice(&bank, 2 * 16 * 40 + 2 * 1_000).await;
        bank.assert_order_of(&lost);
    });
}

#[test]
fn a_lease_that_does_not_say_how_far_it_was_read_loses_nothing() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        with_a_gap(&mut bank).await;
        bank.leases.forget_times();
        pass(3600).await;
        let _relay = bank.relay("after");
        until(Duration::from_secs(10), "not swept", || bank.all_queued()).await;
    });
}

#[test]
fn gaps_during_a_sweep_start_one_more_after_it() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 5);
        with_a_gap(&mut bank).await;
        let opened = bank.table.asked();
        let _relay = bank.relay("after");
        until(Duration::from_secs(30), "not swept", || bank.all_queued()).await;
        pass(10).await;
        // Five shards had a gap at about the same time: the first started a sweep.
        assert_eq!(bank.table.asked() - opened, FakeTable::SWEEP * 2);
        assert!(bank.table.most_at_once() <= 4, "more than one sweep at a time");
    });
}

#[test]
fn a_shard_that_was_dropped_unread_is_swept_and_written_off() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        with_a_gap(&mut bank).await;
        let opened = bank.table.asked();
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
        assert_eq!(bank.table.asked() - opened, FakeTable::SWEEP);
    });
}
