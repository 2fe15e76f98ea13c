//! Records that are no payments.

use std::time::Duration;

use super::{Bank, pass, simulate, until};
use crate::shards::position::Checkpoint;

/// The issue: such a record delays its shard at most so long.
const DELAY: Duration = Duration::from_secs(2);

#[test]
fn a_dead_letter_queue_that_fails_for_a_minute_delays_no_payment() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let _relay = bank.relay("relay");
        pass(5).await;
        bank.queues.fail_dead_letters();
        bank.stream.put_malformed("ACC-1");
        bank.insert_everywhere();
        bank.until_all_queued(DELAY).await;
        pass(60).await;
        bank.insert_everywhere();
        bank.until_all_queued(DELAY).await;
        assert_eq!(bank.leases.checkpoint("shard-001"), Checkpoint::TrimHorizon);
        assert_eq!(bank.queues.dead_letters(), []);

        bank.queues.restore_dead_letters();
        until(Duration::from_secs(21), "not dead-lettered", || {
            !bank.queues.dead_letters().is_empty()
        })
        .await;
        let [(source, raw)] = &bank.queues.dead_letters()[..] else {
            panic!("more than one dead letter")
        };
        assert_eq!(source.trim_start_matches('0'), "1");
        assert!(raw.contains("n#nsense of ACC-1"), "{raw}");
        pass(3).await;
        assert_eq!(bank.leases.checkpoint("shard-001"), Checkpoint::After(format!("{:021}", 81)));
        assert_eq!(bank.queues.count(), 80, "nothing was sent twice");
    });
}

#[test]
fn a_record_that_was_not_dead_lettered_before_a_crash_is_dead_lettered_after_it() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let relay = bank.relay("relay");
        pass(5).await;
        bank.insert_everywhere();
        pass(3).await;
        bank.queues.fail_dead_letters();
        bank.stream.put_malformed("ACC-1");
        bank.insert_everywhere();
        pass(10).await;
        let before = Checkpoint::After(format!("{:021}", 40));
        assert_eq!(bank.leases.checkpoint("shard-001"), before);
        relay.kill().await;
        bank.queues.restore_dead_letters();
        assert_eq!(bank.queues.dead_letters(), []);
        let _relay = bank.relay("relay");
        until(Duration::from_secs(5), "not dead-lettered", || {
            bank.queues.dead_letters().len() == 1
        })
        .await;
        bank.until_all_queued(DELAY).await;
    });
}

#[test]
fn a_relay_that_ends_waits_for_dead_letters_but_not_for_ever() {
    simulate(1, || async {
        let bank = Bank::new(1, 1);
        let relay = bank.relay("relay");
        pass(5).await;
        bank.queues.fail_dead_letters();
        bank.stream.put_malformed("ACC-1");
        pass(5).await;
        let before = tokio::time::Instant::now();
        relay.stop().await;
        assert!(before.elapsed() < Duration::from_secs(8), "{:?}", before.elapsed());
        assert_eq!(bank.leases.checkpoint("shard-001"), Checkpoint::TrimHorizon);

        let relay = bank.relay("next");
        pass(5).await;
        bank.queues.restore_dead_letters();
        relay.stop().await;
        assert_eq!(bank.queues.dead_letters().len(), 1, "the last try is made at once");
        assert_eq!(bank.leases.checkpoint("shard-001"), Checkpoint::After(format!("{:021}", 1)));
    });
}

#[test]
fn a_shard_does_not_end_before_its_records_are_dead_lettered() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let _relay = bank.relay("relay");
        pass(5).await;
        bank.queues.fail_dead_letters();
        bank.stream.put_malformed("ACC-1");
        bank.stream.split();
        bank.insert_everywhere();
        pass(30).await;
        assert!(!bank.payments.iter().any(|payment| bank.queued(payment)), "children did not wait");
        bank.queues.restore_dead_letters();
        bank.until_all_queued(Duration::from_secs(25)).await;
        assert_eq!(bank.leases.checkpoint("shard-001"), Checkpoint::ShardEnd);
    });
}

#[test]
fn a_shard_with_more_malformed_records_than_may_be_open_waits_and_goes_on() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let _relay = bank.relay("relay");
        pass(5).await;
        bank.queues.fail_dead_letters();
        (0..200).for_each(|_| bank.stream.put_malformed("ACC-1"));
        bank.insert_everywhere();
        pass(30).await;
        assert!(!bank.all_queued());
        bank.queues.restore_dead_letters();
        bank.until_all_queued(Duration::from_secs(60)).await;
        until(Duration::from_secs(30), "not all dead-lettered", || {
            bank.queues.dead_letters().len() == 200
        })
        .await;
    });
}
