//! Several relays: fair shares, death, handing over.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Bank, pass, simulate, until};

/// DESIGN: a killed relay is replaced within this time.
const REPLACED: Duration = Duration::from_secs(15);

#[test]
fn a_killed_relay_is_replaced_within_15_seconds() {
    for seed in 0..60 {
        simulate(seed, || async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bank = Bank::new(seed, 4);
            let killed = bank.relay("killed");
            pass(random.u64(0..5)).await;
            let _other = bank.relay("other");
            tokio::time::sleep(Duration::from_millis(random.u64(20_000..40_000))).await;
            bank.insert_everywhere();
            tokio::time::sleep(Duration::from_millis(random.u64(0..200))).await;
            assert!(bank.leases.held_by("killed") > 0);
            killed.kill().await;
            bank.insert_everywhere();
            bank.until_all_queued(REPLACED).await;
        });
    }
}

#[test]
fn a_relay_that_ends_in_order_hands_its_shards_over_at_once() {
    for seed in 0..20 {
        simulate(seed, || async move {
            let mut bank = Bank::new(seed, 4);
            let ended = bank.relay("ended");
            let other = bank.relay("other");
            pass(30).await;
            assert_eq!(bank.leases.held_by("ended"), 2);
            bank.insert_everywhere();
            ended.stop().await;
            assert_eq!(bank.leases.held_by("ended"), 0);
            bank.insert_everywhere();
            bank.until_all_queued(Duration::from_secs(4)).await;
            assert_eq!(bank.leases.held_by(&other.name), 4);
        });
    }
}

#[test]
fn a_relay_that_starts_again_under_its_name_goes_on_at_once() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 3);
        let killed = bank.relay("fixed");
        pass(10).await;
        killed.kill().await;
        bank.insert_everywhere();
        let _again = bank.relay("fixed");
        bank.until_all_queued(Duration::from_secs(3)).await;
    });
}

#[test]
fn a_relay_that_has_just_started_leaves_nothing_to_a_dead_one() {
    for seed in 0..20 {
        simulate(seed, || async move {
            let mut bank = Bank::new(seed, 1);
            let killed = bank.relay("a-killed");
            pass(10).await;
            killed.kill().await;
            let ended = bank.relay("b-ended");
            until(REPLACED, "not replaced", || bank.leases.held_by("b-ended") == 1).await;
            let _last = bank.relay("c-last");
            pass(1).await;
            ended.stop().await;
            bank.insert_everywhere();
            bank.until_all_queued(Duration::from_secs(6)).await;
        });
    }
}

#[test]
fn relays_share_evenly_and_then_nothing_moves() {
    for seed in 0..10 {
        simulate(seed, || async move {
            let bank = Bank::new(seed, 9);
            let mut relays = vec![bank.relay("relay-0")];
            until(Duration::from_secs(10), "not all taken", || bank.leases.held_by("relay-0") == 9)
                .await;
            for number in 1..4 {
                relays.push(bank.relay(&format!("relay-{number}")));
                pass(2).await;
            }
            let counts = || -> Vec<usize> {
                relays.iter().map(|relay| bank.leases.held_by(&relay.name)).collect()
            };
            let fair = || {
                let counts = counts();
                counts.iter().sum::<usize>() == 9 && counts.iter().all(|n| (2..=3).contains(n))
            };
            until(Duration::from_secs(60), "no fair shares", fair).await;
            let settled = bank.leases.owners();
            for _ in 0..300 {
                pass(1).await;
                assert_eq!(bank.leases.owners(), settled, "seed {seed}: shards move about");
            }
        });
    }
}

#[test]
fn what_dead_relays_and_dropped_shards_leave_behind_is_tidied_up() {
    simulate(1, || async {
        let bank = Bank::new(1, 2);
        for number in 0..3 {
            let relay = bank.relay(&format!("dead-{number}"));
            pass(3).await;
            relay.kill().await;
        }
        let _relay = bank.relay("alive");
        pass(20).await;
        bank.stream.split();
        pass(20).await;
        bank.stream.drop_closed();
        pass(120).await;
        let keys: BTreeSet<_> = bank.leases.keys().into_iter().collect();
        let expected = ["stream#relay/alive", "stream/shard-003", "stream/shard-004"];
        let open = keys.iter().filter(|key| key.starts_with("stream/")).count();
        assert!(keys.contains(expected[0]) && open == bank.stream.open_count(), "{keys:?}");
        assert_eq!(keys.len(), open + 1, "{keys:?}");
    });
}
