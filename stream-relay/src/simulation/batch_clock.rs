//! One relay shows how the batch stands.

use std::time::Duration;

use domain::Status;
use jiff::tz::TimeZone;

use super::{BATCH_CLOCK_INTERVAL, BATCH_DEADLINE, Bank, pass, simulate, until};

/// How long another relay takes to show after the holder was killed: the lease expires, and is
/// seen to.
const TAKEN_OVER: Duration = Duration::from_secs(15);

impl Bank {
    /// Waits until a relay shows a reading.
    async fn until_shown(&self) -> Duration {
        until(TAKEN_OVER, "nobody shows", || self.pages.reading().is_some()).await
    }

    fn counted(&self, status: Status) -> u64 {
        self.pages.reading().map_or(0, |reading| reading.measured.counts.of(status))
    }
}

#[test]
fn of_two_relays_one_counts_once_a_minute_and_shows() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 4);
        let _relays = [bank.relay("one"), bank.relay("other")];
        (0..600).for_each(|number| bank.insert(number % 50));
        bank.until_shown().await;
        bank.until_all_queued(Duration::from_secs(60)).await;
        let (before, depths) = (bank.table.counts().len(), bank.queues.depths());
        for _ in 0..20 {
            bank.settle(20);
            pass(60).await;
            assert_eq!(bank.pages.shows().len(), 1);
        }
        let counts = bank.table.counts();
        assert!((19..=21).contains(&(counts.len() - before)), "{} counts", counts.len() - before);
        let minute = BATCH_CLOCK_INTERVAL - Duration::from_secs(1);
        assert!(counts.windows(2).all(|two| two[1] - two[0] >= minute), "{counts:?}");
        let asked = bank.queues.depths() - depths;
        assert!((3 * 19..=3 * 21).contains(&asked), "asked {asked} times for a depth");
        let reading = bank.pages.reading().unwrap();
        assert!(bank.counted(Status::Processed) >= 380, "{reading:?}");
        let rate = reading.rate.unwrap();
        assert!((0.3..0.37).contains(&rate), "20 a minute are {rate} a second");
        // Measured within a minute before, in which 20 were taken.
        let waiting = bank.pages.payments().unwrap() as usize - bank.queues.len();
        assert!(waiting <= 20, "{waiting}");
        // 600 were inserted at once, and end within half an hour at this rate.
        let since = reading.deadline.unwrap().duration_since(bank.clock.now()).as_secs();
        assert!((8 * 60..11 * 60).contains(&since), "{since} s to the deadline");
        assert!(reading.reserve().is_some_and(f64::is_finite));
    });
}

#[test]
fn a_killed_holder_is_replaced_and_the_deadline_and_the_rate_go_on() {
    for seed in 0..5 {
        simulate(seed, || async move {
            let mut bank = Bank::new(seed, 1);
            let first = bank.relay("first");
            (0..600).for_each(|number| bank.insert(number % 50));
            bank.until_shown().await;
            for _ in 0..5 {
                bank.settle(60);
                pass(60).await;
            }
            let _second = bank.relay("second");
            pass(5).await;
            assert_eq!(bank.pages.shows(), ["first"], "one holds the lease");
            let before = bank.pages.reading().unwrap();
            first.kill().await;
            let took = bank.until_shown().await;
            assert!(took > Duration::from_secs(5), "taken from one that lives");
            assert_eq!(bank.pages.shows(), ["second"]);
            let taken = bank.pages.reading().unwrap();
            assert_eq!((taken.measured, taken.deadline), (before.measured, before.deadline));
            bank.settle(60);
            pass(60).await;
            let after = bank.pages.reading().unwrap();
            assert_eq!(after.deadline, before.deadline, "nothing was inserted since");
            assert!(after.measured.at > before.measured.at && after.rate.is_some(), "{after:?}");
            let counts = bank.table.counts();
            let minute = BATCH_CLOCK_INTERVAL - Duration::from_secs(1);
            assert!(counts.windows(2).all(|two| two[1] - two[0] >= minute), "{counts:?}");
        });
    }
}

#[test]
fn a_relay_that_ends_leaves_the_clock_to_another_at_once() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let first = bank.relay("first");
        bank.insert_everywhere();
        bank.until_shown().await;
        let _second = bank.relay("second");
        pass(3).await;
        first.stop().await;
        let took = bank.until_shown().await;
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert_eq!(bank.pages.shows(), ["second"]);
    });
}

#[test]
fn two_relays_never_both_show_whatever_fails() {
    for seed in 0..10 {
        simulate(seed, || async move {
            let mut bank = Bank::new(seed, 2);
            let _relays = [bank.relay("one"), bank.relay("other"), bank.relay("third")];
            bank.insert_everywhere();
            for storm in [0.0, 0.5, 0.9, 0.3, 0.97] {
                bank.faults.set(storm);
                // The pages assert it at each change.
                for _ in 0..240 {
                    pass(1).await;
                    assert!(bank.pages.shows().len() <= 1);
                }
            }
            bank.faults.set(0.0);
            pass(60).await;
            // The holder alone cannot write any more, twice.
            for _ in 0..2 {
                let holder = bank.pages.shows().remove(0);
                bank.leases.cut_off(Some(&holder));
                for _ in 0..20 {
                    pass(1).await;
                    assert!(bank.pages.shows().len() <= 1);
                }
                assert_ne!(bank.pages.shows(), [holder], "seed {seed}");
                assert_eq!(bank.pages.shows().len(), 1, "seed {seed}");
            }
        });
    }
}

#[test]
fn a_relay_that_cannot_renew_shows_nothing_before_another_can() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let _relay = bank.relay("relay");
        bank.insert_everywhere();
        bank.until_shown().await;
        bank.faults.set(1.0);
        // It renews every three seconds, and another would take the lease after ten.
        until(Duration::from_secs(10), "it still shows", || bank.pages.shows().is_empty()).await;
        bank.faults.set(0.0);
        bank.until_shown().await;
    });
}

#[test]
fn errors_of_the_count_do_not_disturb_the_stream_and_the_last_figures_stay() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 2);
        let _relay = bank.relay("relay");
        bank.insert_everywhere();
        bank.until_shown().await;
        pass(120).await;
        let before = bank.pages.reading().unwrap();
        bank.table.break_down();
        pass(300).await;
        bank.insert_everywhere();
        bank.until_all_queued(Duration::from_secs(10)).await;
        assert_eq!(bank.pages.reading(), Some(before));
        bank.table.mend();
        pass(62).await;
        assert_eq!(bank.counted(Status::Scheduled), 80);
    });
}

#[test]
fn little_is_counted_while_nothing_happens_and_a_new_day_is_counted_when_it_begins() {
    simulate(1, || async {
        let mut bank = Bank::at("2026-11-23T20:00:00Z", TimeZone::UTC, 1, 1);
        bank.insert_ahead(1, 300, 10);
        let _relay = bank.relay("relay");
        pass(3 * 3600).await;
        let idle = bank.table.counts().len();
        assert!((12..=14).contains(&idle), "counted {idle} times in three hours");
        // Half past eleven: something comes, and ends.
        pass(1800).await;
        bank.insert_everywhere();
        pass(62).await;
        assert_eq!(bank.counted(Status::Scheduled), 40, "it was noticed within a minute");
        bank.settle(40);
        pass(130).await;
        assert_eq!(bank.counted(Status::Processed), 40);
        let (busy, left) = (bank.table.counts().len(), 86_400 - 84_792);
        pass(left - 30).await;
        assert!(bank.table.counts().len() - busy <= 2, "idle again");
        // Midnight: the 300 of the new day, a minute before its opening.
        until(Duration::from_secs(60), "not counted", || bank.counted(Status::Scheduled) == 300)
            .await;
        pass(90).await;
        let reading = bank.pages.reading().unwrap();
        let deadline = reading.deadline.unwrap().duration_since(bank.today().start(&TimeZone::UTC));
        let opened = Duration::try_from(deadline).unwrap() - BATCH_DEADLINE;
        assert!((60..70).contains(&opened.as_secs()), "opened after {opened:?}");
    });
}
