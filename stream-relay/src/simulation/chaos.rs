//! Everything at once, many times over.

use std::time::Duration;

use super::{Bank, RunningRelay, pass, simulate, until};

const ACCOUNTS: usize = 25;
const STEPS: usize = 250;

/// Something happens to one of the relays, or to the shards.
async fn happen(
    bank: &Bank,
    relays: &mut Vec<RunningRelay>,
    random: &mut fastrand::Rng,
    born: &mut u32,
) {
    let victim = random.usize(0..relays.len().max(1));
    match random.u32(0..100) {
        0..3 if relays.len() > 1 => relays.remove(victim).kill().await,
        3..5 if relays.len() > 1 => relays.remove(victim).stop().await,
        5..7 => {
            // At the same moment, under the same name.
            let killed = relays.remove(victim);
            let name = killed.name.clone();
            killed.kill().await;
            relays.push(bank.relay(&name));
        }
        7..11 if relays.len() < 4 => {
            *born += 1;
            relays.push(bank.relay(&format!("relay-{born}")));
        }
        11..14 if bank.stream.open_count() < 12 => bank.stream.split(),
        14..16 => bank.stream.merge(),
        16..20 => bank.faults.set(random.f64() * 0.2),
        20..23 => bank.faults.set(0.0),
        _ => {}
    }
}

async fn run_through(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bank = Bank::new(seed, random.u32(1..4));
    let mut relays = vec![bank.relay("relay-0")];
    let mut born = 0;
    for _ in 0..STEPS {
        for _ in 0..random.usize(0..6) {
            bank.insert(random.usize(0..ACCOUNTS));
        }
        happen(&bank, &mut relays, &mut random, &mut born).await;
        tokio::time::sleep(Duration::from_millis(random.u64(0..600))).await;
    }
    bank.faults.set(0.0);
    // A lease that was taken and whose answer was lost is found at the next look.
    pass(3).await;
    bank.until_all_queued(Duration::from_secs(120)).await;
    // All shards are read to where they end, and are shared.
    let alive: Vec<Option<String>> = relays.iter().map(|relay| Some(relay.name.clone())).collect();
    until(Duration::from_secs(60), "shards lie free or unread", || {
        let owners = bank.leases.owners();
        owners.len() == bank.stream.open_count()
            && owners.iter().all(|(_, owner)| alive.contains(owner))
    })
    .await;
    for relay in relays {
        relay.stop().await;
    }
    assert!(bank.leases.owners().iter().all(|(_, owner)| owner.is_none()), "left with a lease");
}

#[test]
fn every_payment_is_queued_in_order_whatever_splits_merges_fails_and_dies() {
    for seed in 0..40 {
        println!("seed {seed}");
        simulate(seed, || run_through(seed));
    }
}
