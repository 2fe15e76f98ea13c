//! What leaves sight (INV-17): a payment that was due long ago, was claimed then, and whose message
//! is lost. Nobody but the confirmer's slow pass can find it.

use std::time::Duration;

use tests::history::{Expect, check};
use tokio::time::{Instant, sleep};

use crate::bugs::Bug;
use crate::script::{PROCESSES, Script};
use crate::world::World;

/// The slow pass comes every hour here, and a payment is stuck after a quarter of one.
const PATIENCE: Duration = Duration::from_secs(3 * 3_600);

/// Whether the payment is settled once, and how often it was not.
fn is_clean(seed: u64, bug: Bug) -> bool {
    fastrand::seed(seed);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap();
    let clean = runtime.block_on(async {
        let script = Script::quiet();
        let mut world = World::new(seed, script, bug);
        world.forget_one(40);
        let processes: Vec<_> = (0..PROCESSES).map(|index| world.start(index)).collect();
        let began = Instant::now();
        while !world.has_ended() && began.elapsed() < PATIENCE {
            sleep(Duration::from_secs(5)).await;
        }
        sleep(Duration::from_secs(60)).await;
        processes.iter().for_each(crate::world::Process::kill);
        check(&world.evidence(), Expect::Ended).clean()
    });
    runtime.shutdown_background();
    clean
}

#[test]
fn a_payment_that_was_claimed_weeks_ago_and_whose_message_is_lost_is_settled_once() {
    assert!((0..10).all(|seed| is_clean(seed, Bug::None)));
}

#[test]
fn a_sweep_that_sees_no_day_long_past_is_found() {
    assert!((0..3).all(|seed| !is_clean(seed, Bug::OldDaysUnseen)));
}
