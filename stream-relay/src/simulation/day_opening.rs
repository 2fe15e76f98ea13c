//! Days that begin.

use std::collections::HashMap;
use std::time::Duration;

use domain::{DueDate, Payment, Status};
use jiff::tz::TimeZone;

use super::{Bank, OPENING_DELAY, pass, simulate, until};
use crate::sweeps::day_position::OpenedUpTo;

const DAY: u64 = 24 * 3600;

impl Bank {
    fn of(&self, day: DueDate) -> impl Fn(&&Payment) -> bool {
        move |payment: &&Payment| payment.due == day
    }

    /// How many payments of a day are queued.
    fn queued_of(&self, day: DueDate) -> usize {
        self.payments.iter().filter(self.of(day)).filter(|payment| self.queued(payment)).count()
    }

    /// How often the payments of a day were sent: once each, or less, or more.
    fn sent_of(&self, day: DueDate) -> usize {
        let times = |payment: &Payment| self.queues.times(&payment.id.to_string());
        self.payments.iter().filter(self.of(day)).map(times).sum()
    }

    /// The payments of each account arrived, the first time, in the order of day and id.
    fn assert_order_of_days(&self) {
        let mut payments: Vec<_> = self.payments.iter().filter(|p| self.queued(p)).collect();
        payments.sort_by_key(|payment| (payment.due, payment.id));
        let mut last: HashMap<&str, usize> = HashMap::new();
        for payment in payments {
            let at = self.queues.first_arrival(&payment.id.to_string()).unwrap();
            let before = last.insert(payment.account.as_str(), at);
            assert!(before.is_none_or(|before| before < at), "{} was overtaken", payment.id);
        }
    }

    /// Lets time pass until a moment, which must lie ahead.
    async fn pass_to(&self, moment: jiff::Timestamp) {
        let left = moment.duration_since(self.clock.now());
        tokio::time::sleep(Duration::try_from(left).unwrap()).await;
    }
}

/// Ten minutes before a day begins until ten minutes after the next has begun, with payments
/// for that day and the next two. Each day of a zone begins once, whatever its clocks do.
async fn two_midnights(zone: &str, day: &str, hours: u64) {
    let zone = TimeZone::get(zone).unwrap();
    let day: DueDate = day.parse().unwrap();
    let next = day.days_after(1);
    let (first, second) = (day.start(&zone), next.start(&zone));
    assert_eq!(second.duration_since(first).as_hours().unsigned_abs(), hours);
    let before = first - Duration::from_secs(600);
    let mut bank = Bank::at(&before.to_string(), zone, 1, 1);
    for ahead in 1..=3 {
        bank.insert_ahead(ahead, 50, 10);
    }
    let mut relays = Vec::new();
    for (midnight, begins) in [(first, day), (second, next)] {
        bank.pass_to(midnight - Duration::from_secs(600)).await;
        relays.extend([bank.relay("one"), bank.relay("other")]);
        bank.pass_to(midnight + OPENING_DELAY - Duration::from_secs(1)).await;
        assert_eq!(bank.queued_of(begins), 0, "{begins} was opened before it began");
        pass(10).await;
        assert_eq!(bank.queued_of(begins), 50, "{begins} was not opened when it began");
        pass(300).await;
        bank.settle(usize::MAX);
        // A day of looks at an idle table takes a while even under virtual time.
        for relay in relays.drain(..) {
            relay.stop().await;
        }
    }
    for opened in [day, next] {
        assert_eq!(bank.sent_of(opened), 50, "{opened} was not opened once");
        assert_eq!(bank.leases.opening(opened), Some(OpenedUpTo::End));
    }
    assert_eq!(bank.queued_of(next.days_after(1)), 0, "a later day was touched");
    bank.assert_order_of_days();
}

#[test]
fn each_day_is_opened_once_when_clocks_go_back() {
    simulate(1, || two_midnights("Europe/Madrid", "2026-10-25", 25));
}

#[test]
fn each_day_is_opened_once_when_clocks_go_forward() {
    simulate(1, || two_midnights("Europe/Madrid", "2026-03-29", 23));
}

#[test]
fn each_day_is_opened_once_where_midnight_does_not_exist() {
    simulate(1, || two_midnights("America/Santiago", "2026-09-06", 23));
    simulate(1, || two_midnights("Africa/Cairo", "2026-04-24", 23));
}

#[test]
fn each_day_is_opened_once_where_midnight_comes_twice() {
    simulate(1, || two_midnights("America/Santiago", "2026-04-04", 25));
}

/// Five minutes before midnight, with so many payments for the next day.
pub(super) async fn before_midnight(seed: u64, payments: usize) -> (Bank, DueDate) {
    let mut bank = Bank::at("2026-11-24T23:55:00Z", TimeZone::UTC, seed, 2);
    bank.insert_ahead(1, payments, 200);
    let tomorrow = bank.today().days_after(1);
    (bank, tomorrow)
}

#[test]
fn an_opening_whose_relay_dies_is_finished_by_another_and_nothing_is_sent_from_the_beginning() {
    const PAYMENTS: usize = 9_000;
    for seed in 0..3 {
        simulate(seed, || async move {
            let (bank, tomorrow) = before_midnight(seed, PAYMENTS).await;
            bank.table.slow_down();
            let mut relays = vec![bank.relay("relay-0")];
            pass(300 + 60).await;
            for number in 1..3 {
                let some = number * PAYMENTS / 3 - 500;
                let patience = Duration::from_secs(60);
                until(patience, "not opened", || bank.queues.len() >= some).await;
                relays.remove(0).kill().await;
                assert!(bank.queued_of(tomorrow) < PAYMENTS, "killed too late");
                relays.push(bank.relay(&format!("relay-{number}")));
            }
            let patience = Duration::from_secs(60);
            until(patience, "not finished", || bank.queues.len() == PAYMENTS).await;
            pass(30).await;
            assert_eq!(bank.leases.opening(tomorrow), Some(OpenedUpTo::End));
            bank.assert_order_of_days();
            // What was handed on within a second before each death, in pages of 1,000.
            let twice = bank.sent_of(tomorrow) - PAYMENTS;
            assert!(twice <= 2 * 3_000, "{twice} were sent twice");
            assert_eq!(bank.queues.len(), PAYMENTS, "SQS drops what comes twice at once");
        });
    }
}

#[test]
fn an_opening_is_taken_over_within_15_seconds() {
    simulate(1, || async {
        let (bank, _) = before_midnight(1, 9_000).await;
        bank.table.slow_down();
        let first = bank.relay("first");
        pass(300 + 60).await;
        until(Duration::from_secs(60), "not opened", || bank.queues.len() >= 3_000).await;
        let _second = bank.relay("second");
        pass(1).await;
        first.kill().await;
        let (before, since) = (bank.queues.count(), tokio::time::Instant::now());
        let more = || bank.queues.count() > before;
        until(Duration::from_secs(15), "not taken over", more).await;
        assert!(since.elapsed() > Duration::from_secs(9), "taken from one that lives");
    });
}

#[test]
fn an_opening_whose_calls_fail_goes_on_and_misses_nothing() {
    for seed in 0..5 {
        simulate(seed, || async move {
            let (bank, tomorrow) = before_midnight(seed, 3_000).await;
            let _relays = [bank.relay("one"), bank.relay("other")];
            bank.faults.set(0.2);
            pass(600).await;
            bank.table.break_down();
            pass(200).await;
            bank.table.mend();
            bank.faults.set(0.0);
            until(Duration::from_secs(120), "not opened", || bank.queues.len() >= 3_000).await;
            pass(30).await;
            assert_eq!(bank.queued_of(tomorrow), 3_000);
        });
    }
}

#[test]
fn a_cancelled_payment_and_one_for_a_later_day_stay_where_they_are() {
    simulate(1, || async {
        let (mut bank, tomorrow) = before_midnight(1, 100).await;
        bank.insert_ahead(2, 100, 20);
        let cancelled: Vec<_> = bank.payments.iter().step_by(2).cloned().collect();
        for payment in &cancelled {
            bank.table.end(&payment.id.to_string(), Status::Cancelled);
        }
        let relay = bank.relay("relay");
        pass(600).await;
        assert_eq!(bank.queued_of(tomorrow), 50);
        assert!(cancelled.iter().all(|payment| !bank.queued(payment)));
        relay.stop().await;
        pass(DAY - 1200).await;
        let _relay = bank.relay("relay");
        pass(600).await;
        assert_eq!(bank.queued_of(tomorrow.days_after(1)), 0, "a later day was touched");
        pass(600).await;
        assert_eq!(bank.queued_of(tomorrow.days_after(1)), 50);
    });
}

#[test]
fn what_is_inserted_on_its_day_is_left_to_the_stream() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        bank.insert_everywhere();
        let _relay = bank.relay("relay");
        pass(250).await;
        bank.insert_everywhere();
        pass(250).await;
        assert_eq!(bank.queues.count(), 80);
    });
}

#[test]
fn clocks_that_differ_at_midnight_lose_nothing() {
    simulate(1, || async {
        let (mut bank, tomorrow) = before_midnight(1, 0).await;
        let _relay = bank.relay("relay");
        // A writer for whom the day has begun already, and one who lags behind.
        let ahead = bank.clock.now() + Duration::from_secs(14 * 60);
        bank.put(Payment { due: tomorrow, created_at: ahead, ..bank.payment(1) });
        pass(310).await;
        let behind = bank.clock.now() - Duration::from_secs(14 * 60);
        bank.put(Payment { created_at: behind, ..bank.payment(2) });
        pass(120).await;
        assert_eq!(bank.queued_of(tomorrow), 2);
    });
}

#[test]
fn days_that_began_while_no_relay_ran_are_opened_the_oldest_first() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let relay = bank.relay("before");
        for ahead in 1..=20 {
            bank.insert_ahead(ahead, 60, 6);
        }
        pass(30).await;
        relay.stop().await;
        // Longer than the window of seven days.
        pass(15 * DAY).await;
        let _relay = bank.relay("after");
        let open = || bank.leases.opening(bank.today()) == Some(OpenedUpTo::End);
        until(Duration::from_secs(60), "not opened", open).await;
        let queued = bank.payments.iter().filter(|payment| bank.queued(payment)).count();
        assert_eq!(queued, 15 * 60);
        bank.assert_order_of_days();
        pass(30).await;
        let kept =
            (1..=15).filter(|&back| bank.leases.opening(bank.today().days_before(back)).is_some());
        assert!(kept.count() <= 8, "the leases of past days are kept");
    });
}
