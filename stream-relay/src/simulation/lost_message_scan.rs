//! Payments that no message carries.

use std::time::Duration;

use domain::{Payment, Status};
use jiff::tz::TimeZone;

use super::{Bank, OLD_INTERVAL, SCAN_INTERVAL, pass, simulate, until};

/// More than the patience before a payment counts as waiting and the pause between scans.
const FOUND: Duration = Duration::from_secs(35 * 60);

/// Half past midnight, with a relay at work.
fn after_midnight(seed: u64) -> Bank {
    Bank::at("2026-11-24T00:30:00Z", TimeZone::UTC, seed, 1)
}

impl Bank {
    fn insert_some(&mut self, payments: usize) {
        (0..payments).for_each(|number| self.insert(number % 100));
    }
}

#[test]
fn a_standing_backlog_is_not_doubled_however_often_it_is_looked_at() {
    simulate(1, || async {
        let mut bank = after_midnight(1);
        let _relay = bank.relay("relay");
        bank.insert_some(3_000);
        pass(12 * 3600).await;
        let doubled = bank.queues.count() - 3_000;
        assert!(doubled <= 1_000, "{doubled} were doubled");
        // Once for each scan, and once for the pacing when a scan has sent something.
        let counted = bank.queues.counted();
        let scans = 12 * 3600 / SCAN_INTERVAL.as_secs() as usize;
        assert!((scans * 3 / 4..scans * 2).contains(&counted), "counted {counted} times");
    });
}

#[test]
fn a_backlog_that_grows_for_hours_is_not_doubled() {
    simulate(2, || async {
        let mut bank = after_midnight(2);
        let _relays = [bank.relay("one"), bank.relay("other")];
        bank.insert_some(2_000);
        for _ in 0..6 * 60 {
            bank.insert_some(60);
            pass(60).await;
            bank.settle(20);
        }
        let doubled = bank.queues.count() - bank.payments.len();
        // As many again once those have been paid.
        assert!(doubled <= 5_000, "{doubled} of {} were doubled", bank.payments.len());
    });
}

#[test]
fn one_account_that_stands_still_hides_no_payment_of_another() {
    simulate(1, || async {
        let mut bank = after_midnight(1);
        let _relay = bank.relay("relay");
        (0..1_500).for_each(|_| bank.insert(0));
        pass(1200).await;
        (0..30).for_each(|number| bank.insert(1 + number % 10));
        bank.stream.lose();
        let lost = bank.payments.split_off(1_500);
        pass(2 * FOUND.as_secs()).await;
        let missing = lost.iter().filter(|payment| !bank.queued(payment)).count();
        assert_eq!(missing, 0, "nobody scans behind 1,500 messages");
        bank.assert_order_of(&lost);
        pass(12 * 3600).await;
        assert_eq!(bank.queues.count(), 1_530, "once is enough, and the others are left alone");
    });
}

#[test]
fn what_is_scheduled_for_a_day_long_past_is_found_and_what_lies_ahead_is_not() {
    simulate(1, || async {
        let mut bank = after_midnight(1);
        let _relay = bank.relay("relay");
        pass(1200).await;
        for back in [8, 40, 400] {
            let due = bank.today().days_before(back);
            for number in 0..20 {
                let payment = Payment { due, ..bank.payment(number % 5) };
                bank.put(payment);
            }
        }
        bank.stream.lose();
        let lost = bank.payments.clone();
        bank.insert_ahead(3, 10, 5);
        pass(OLD_INTERVAL.as_secs() + FOUND.as_secs()).await;
        assert!(lost.iter().all(|payment| bank.queued(payment)));
        assert_eq!(bank.queues.count(), lost.len());
        let mut in_order = lost.clone();
        in_order.sort_by_key(|payment| (payment.due, payment.id));
        bank.assert_order_of(&in_order);
    });
}

#[test]
fn what_the_stream_lost_without_saying_so_is_found() {
    simulate(1, || async {
        let mut bank = after_midnight(1);
        let _relay = bank.relay("relay");
        pass(1200).await;
        bank.insert_some(300);
        bank.stream.lose();
        let lost = bank.payments.clone();
        // Others pass through all the time.
        for _ in 0..FOUND.as_secs() / 10 {
            bank.insert_some(20);
            pass(10).await;
            bank.settle(1_000_000);
        }
        let missing = lost.iter().filter(|payment| !bank.queued(payment)).count();
        assert_eq!(missing, 0);
        bank.assert_order_of(&lost);
        assert_eq!(bank.queues.count(), bank.payments.len(), "nothing else was sent twice");
    });
}

#[test]
fn messages_that_were_purged_are_sent_again() {
    simulate(1, || async {
        let mut bank = after_midnight(1);
        let _relay = bank.relay("relay");
        bank.insert_some(3_000);
        pass(1200).await;
        assert_eq!(bank.queues.take(usize::MAX).len(), 3_000);
        until(2 * FOUND, "not found", || bank.queues.len() == 3_000).await;
        pass(3 * 3600).await;
        let doubled = bank.queues.len() - 3_000;
        assert!(doubled <= 1_000, "once is enough: {doubled} were doubled");
    });
}

#[test]
fn what_is_lost_behind_a_backlog_is_found_once_that_has_drained() {
    simulate(1, || async {
        let mut bank = after_midnight(1);
        let _relay = bank.relay("relay");
        bank.insert_some(3_000);
        pass(1200).await;
        bank.insert_some(500);
        bank.stream.lose();
        pass(3 * 3600).await;
        let doubled = bank.queues.len() - 3_000;
        assert!(doubled <= 1_000, "{doubled} of the backlog were doubled");
        bank.settle(2_500 + doubled);
        pass(FOUND.as_secs()).await;
        assert!(bank.all_queued());
        // At most what was there, and only once.
        assert!(bank.queues.len() <= 500 + 500 + 500, "{}", bank.queues.len());
    });
}

#[test]
fn a_replay_whose_message_is_lost_is_sent_again_under_an_id_of_its_own() {
    simulate(1, || async {
        let mut bank = after_midnight(1);
        let _relay = bank.relay("relay");
        bank.insert_some(1);
        pass(1200).await;
        bank.settle(1);
        let payment = bank.payments[0].clone();
        let again = format!("{}-{}-again-3", payment.due, payment.id);
        pass(3600).await;
        bank.table.replay(payment.id, 3, bank.clock.now());
        pass(300).await;
        assert!(!bank.queues.came(&again), "the replay has a message of its own");
        until(FOUND, "not found", || bank.queues.came(&again)).await;
        bank.table.end(&payment.id.to_string(), Status::Processed);
        bank.queues.take(usize::MAX);
        pass(3600).await;
        assert_eq!(bank.queues.len(), 0);
    });
}

#[test]
fn of_several_relays_one_scans_and_another_when_it_dies() {
    simulate(1, || async {
        let bank = after_midnight(1);
        let one = bank.relay("one");
        let _others = [bank.relay("two"), bank.relay("three")];
        pass(6 * 3600).await;
        let scans = bank.queues.counted();
        assert!((18..=32).contains(&scans), "{scans} scans in six hours");
        one.kill().await;
        pass(3600).await;
        assert!(bank.queues.counted() >= scans + 3);
    });
}

#[test]
fn a_scan_whose_calls_fail_misses_nothing() {
    for seed in 0..5 {
        simulate(seed, || async move {
            let mut bank = after_midnight(seed);
            let _relays = [bank.relay("one"), bank.relay("other")];
            pass(1200).await;
            bank.insert_some(300);
            bank.stream.lose();
            bank.faults.set(0.3);
            pass(FOUND.as_secs()).await;
            bank.faults.set(0.0);
            until(FOUND, "not found", || bank.all_queued()).await;
        });
    }
}
