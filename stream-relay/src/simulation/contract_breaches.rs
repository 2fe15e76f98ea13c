//! Writers that do not keep the item contract, and a relay with a zone of its own.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType};
use domain::{FailureCode, Payment, Status};
use jiff::tz::TimeZone;
use shared::payments::StoredPayment;

use super::day_opening::before_midnight;
use super::stream::image;
use super::table::new;
use super::{Bank, OPENING_DELAY, pass, simulate, until};
use crate::shards::position::Checkpoint;
use crate::sweeps::day_position::OpenedUpTo;

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

impl Bank {
    /// Inserts a payment with one attribute changed, or left out.
    fn insert_wrong(&mut self, payment: &Payment, name: &str, value: Option<AttributeValue>) {
        let mut item = image(payment);
        match value {
            Some(value) => item.insert(name.to_owned(), value),
            None => item.remove(name),
        };
        self.table.put(payment);
        self.stream.put_item(OperationType::Insert, payment.account.as_str(), item);
    }

    /// Puts a new payment over one that the table holds, without a condition.
    fn put_over(&self, payment: &Payment) {
        self.table.put(payment);
        let account = payment.account.as_str();
        self.stream.put_item(OperationType::Modify, account, image(payment));
    }

    fn status(&self, payment: &Payment) -> Status {
        self.table.stored(payment.id).status
    }

    fn codes(&self) -> Vec<FailureCode> {
        self.queues.reasons().iter().map(|failure| failure.code).collect()
    }
}

#[test]
fn an_item_that_breaks_the_contract_is_withheld_days_before_it_is_due() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let _relay = bank.relay("relay");
        pass(5).await;
        let due = bank.today().days_after(9);
        let hours_ahead = (bank.clock.now() + Duration::from_secs(2 * 3600)).to_string();
        let wrong = [
            ("DueShard", None),
            ("DueShard", Some(text(&format!("{due}#17")))),
            ("DueShard", Some(text(&format!("{due}#3")))),
            ("DueShard", Some(text(&format!("{}#03", bank.today())))),
            ("DueKey", None),
            ("CreatedAt", Some(text("2062-01-01T00:00:00Z"))),
            ("CreatedAt", Some(text(&hours_ahead))),
            ("ExpiresAt", Some(AttributeValue::N("1".to_owned()))),
        ];
        let mut payments = Vec::new();
        for (name, value) in wrong {
            let payment = Payment { due, ..bank.payment(1) };
            bank.insert_wrong(&payment, name, value);
            payments.push(payment);
        }
        let good = Payment { due, ..bank.payment(1) };
        bank.put(good.clone());
        let all = || bank.queues.dead_letters().len() == payments.len();
        until(Duration::from_secs(10), "not all are in the dead-letter queue", all).await;
        assert!(bank.codes().iter().all(|code| *code == FailureCode::InvalidItem));
        for payment in &payments {
            assert_eq!(bank.status(payment), Status::Failed);
            assert!(
                bank.queues
                    .dead_letters()
                    .iter()
                    .any(|(_, raw)| raw.contains(&payment.id.to_string()))
            );
        }
        assert_eq!(bank.status(&good), Status::Scheduled);
        pass(60).await;
        assert_eq!(bank.queues.count(), 0);
    });
}

#[test]
fn a_bad_item_that_is_due_is_never_queued_and_one_read_again_leaves_no_second_dead_letter() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let relay = bank.relay("relay");
        pass(5).await;
        let payment = bank.payment(1);
        bank.insert_wrong(&payment, "DueKey", None);
        bank.queues.fail_dead_letters();
        bank.insert_everywhere();
        let marked = || bank.status(&payment) == Status::Failed;
        until(Duration::from_secs(5), "not withheld", marked).await;
        pass(5).await;
        assert_eq!(bank.leases.checkpoint("shard-001"), Checkpoint::TrimHorizon);
        // After FAILED and before the dead letter: whoever reads on writes it.
        relay.kill().await;
        bank.queues.restore_dead_letters();
        let second = bank.relay("second");
        until(Duration::from_secs(20), "not dead-lettered", || {
            bank.queues.dead_letters().len() == 1
        })
        .await;
        second.kill().await;
        let third = bank.relay("third");
        bank.until_all_queued(Duration::from_secs(20)).await;
        pass(30).await;
        assert_eq!(bank.queues.dead_letters().len(), 1);
        // Long after SQS has forgotten the first dead letter, everything is read again.
        third.stop().await;
        pass(600).await;
        bank.leases.forget_positions();
        let _fourth = bank.relay("fourth");
        pass(60).await;
        assert_eq!(bank.leases.checkpoint("shard-001"), Checkpoint::After(format!("{:021}", 41)));
        assert_eq!(bank.queues.dead_letters().len(), 1, "a second dead letter");
        assert!(!bank.queued(&payment));
    });
}

#[test]
fn a_person_who_has_replayed_a_payment_gets_no_dead_letter_of_its_old_record() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let payment = bank.payment(1);
        bank.insert_wrong(&payment, "DueKey", None);
        let replayed =
            StoredPayment { attempts: 1, attempts_before: 1, ..bank.table.stored(payment.id) };
        for status in [Status::Scheduled, Status::Pending, Status::Processed, Status::Cancelled] {
            bank.table.put_under(payment.due, StoredPayment { status, ..replayed.clone() });
            let relay = bank.relay("relay");
            pass(10).await;
            relay.stop().await;
            assert_eq!(bank.status(&payment), status);
        }
        assert_eq!(bank.queues.dead_letters(), []);
    });
}

#[test]
fn a_payment_that_is_put_over_is_withheld_and_never_queued_whatever_it_was() {
    for seed in 0..5 {
        simulate(seed, || async move {
            let mut bank = Bank::at("2026-11-24T00:30:00Z", TimeZone::UTC, seed, 2);
            let _relays = [bank.relay("one"), bank.relay("other")];
            bank.insert_everywhere();
            bank.until_all_queued(Duration::from_secs(30)).await;
            bank.settle(usize::MAX);
            pass(1200).await;
            let sent = bank.queues.count();
            bank.faults.set(0.2);
            let old = bank.payments.clone();
            old.iter().for_each(|payment| bank.put_over(payment));
            let withheld = || old.iter().all(|payment| bank.status(payment) == Status::Failed);
            until(Duration::from_secs(300), "not withheld", withheld).await;
            bank.faults.set(0.0);
            // More than two looks of the lost-message scan.
            pass(2400).await;
            assert_eq!(bank.queues.count(), sent, "it was queued again");
            assert_eq!(bank.queues.dead_letters().len(), old.len());
            assert!(bank.codes().iter().all(|code| *code == FailureCode::Overwritten));
        });
    }
}

#[test]
fn a_payment_whose_stream_record_is_lost_is_left_by_the_scan_when_it_was_settled_before() {
    simulate(1, || async {
        let bank = Bank::at("2026-11-24T00:30:00Z", TimeZone::UTC, 1, 1);
        let _relay = bank.relay("relay");
        let payment = bank.payment(1);
        let settled = StoredPayment { transaction_id: Some("T".to_owned()), ..new(&payment) };
        bank.table.put_under(payment.due, settled);
        let claimed = bank.payment(2);
        let at = Some(bank.clock.now());
        bank.table.put_under(claimed.due, StoredPayment { claimed_at: at, ..new(&claimed) });
        let clean = bank.payment(3);
        bank.table.put(&clean);
        pass(40 * 60).await;
        assert!(bank.queued(&clean), "the scan did not run");
        assert!(!bank.queued(&payment) && !bank.queued(&claimed));
    });
}

#[test]
fn a_payment_due_a_day_ahead_under_todays_shard_is_queued_by_no_opening_and_no_scan() {
    simulate(1, || async {
        let (bank, tomorrow) = before_midnight(1, 50).await;
        let payment = Payment { due: tomorrow.days_after(200), ..bank.payment(1) };
        bank.table.put_under(tomorrow, new(&payment));
        let _relay = bank.relay("relay");
        pass(3 * 3600).await;
        assert!(bank.all_queued(), "the day was not opened");
        assert!(!bank.queued(&payment));
        bank.stream.trim();
        pass(1200).await;
        assert!(!bank.queued(&payment));
    });
}

#[test]
fn a_relay_whose_zone_is_a_day_ahead_does_not_keep_the_right_one_from_opening_the_day() {
    simulate(1, || async {
        let (bank, tomorrow) = before_midnight(1, 60).await;
        pass(600).await;
        let next = tomorrow.days_after(1);
        let mut bank = bank;
        bank.insert_ahead(1, 60, 10);
        let zone = TimeZone::posix("<+24>-24").unwrap();
        let (stream, table) = (Arc::clone(&bank.stream) as _, Arc::clone(&bank.table) as _);
        let wrong = bank.relay_in("wrong", stream, table, zone);
        let opened = || bank.leases.opening(next) == Some(OpenedUpTo::End);
        until(Duration::from_secs(120), "the wrong relay has not opened the day", opened).await;
        wrong.stop().await;
        // The messages of the wrong relay are released or dropped by the dispatchers.
        bank.queues.take(usize::MAX);
        let sent = || {
            let of = bank.payments.iter().filter(|payment| payment.due == next);
            of.map(|payment| bank.queues.times(&payment.id.to_string())).sum::<usize>()
        };
        let too_early = sent();
        let relay = bank.relay("right");
        pass(60).await;
        assert_eq!(sent(), too_early, "the right relay has opened a day ahead");
        relay.stop().await;
        let midnight = next.start(&TimeZone::UTC).duration_since(bank.clock.now());
        tokio::time::sleep(Duration::try_from(midnight).unwrap()).await;
        let _relay = bank.relay("right");
        pass(OPENING_DELAY.as_secs() + 60).await;
        assert_eq!(sent(), too_early + 60, "the day was not opened when it began");
        pass(60).await;
        assert_eq!(sent(), too_early + 60, "the day was opened twice");
    });
}
