//! Discards, and runs at a given rate, by many receivers under virtual time.

use std::num::NonZeroU32;

use super::*;
use crate::actions::testing;

fn world_run(world: &World, purpose: RunPurpose) -> Arc<ReplayRun<PaymentsInMemory, Nothing>> {
    let mut run = world.replay();
    Arc::get_mut(&mut run).unwrap().replayer.purpose = purpose;
    run
}

fn discard(world: &World) -> Arc<ReplayRun<PaymentsInMemory, Nothing>> {
    world_run(world, RunPurpose::Discard { evidence: None })
}

fn paced(world: &World, rate: u32) -> Arc<ReplayRun<PaymentsInMemory, Nothing>> {
    let mut run = world.replay();
    let pacer = Pacer::new(NonZeroU32::new(rate).unwrap());
    Arc::get_mut(&mut run).unwrap().replayer.pacer = Some(pacer);
    run
}

/// What is not CANCELLED is FAILED and has its dead letter still.
fn assert_nothing_is_half_given_up(world: &World) {
    let lying = world.dead_letters.bodies();
    for stored in world.table.all() {
        let id = stored.payment.id.to_string();
        let has_dead_letter = lying.iter().any(|body| body.contains(&id));
        let is_cancelled = stored.status == Status::Cancelled;
        assert!(is_cancelled || stored.status == Status::Failed && has_dead_letter, "{stored:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_discard_that_is_killed_anywhere_is_finished_by_the_next_and_sends_nothing() {
    for millis in (15..150).step_by(15) {
        let world = World::new(300, 20);
        let killed = tokio::spawn(discard(&world).receive_all());
        tokio::time::sleep(Duration::from_millis(millis)).await;
        killed.abort();
        assert!(killed.await.is_err(), "it was done within {millis} ms");
        assert_nothing_is_half_given_up(&world);
        // Its visibility timeouts end.
        tokio::time::sleep(VISIBILITY).await;
        Arc::clone(&discard(&world)).receive_all().await.unwrap();
        assert_eq!((world.dead_letters.bodies().len(), world.sent().len()), (0, 0));
        assert!(world.table.all().iter().all(|stored| stored.status == Status::Cancelled));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_held_within_five_percent_by_many_receivers() {
    let world = World::new(2_000, 400);
    let began = tokio::time::Instant::now();
    paced(&world, 20).receive_all().await.unwrap();
    let took = began.elapsed().as_secs_f64();
    assert_eq!(world.sent().len(), 2_000);
    assert!((95.0..=105.0).contains(&took), "2,000 at 20/s took {took:.1} s");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_its_turn_ends_within_two_seconds_and_the_next_goes_on() {
    let world = World::new(300, 20);
    let run = paced(&world, 1);
    let receiving = tokio::spawn(Arc::clone(&run).receive_all());
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.shutdown.request();
    let asked_at = tokio::time::Instant::now();
    receiving.await.unwrap().unwrap();
    assert!(asked_at.elapsed() <= Duration::from_secs(2), "{:?}", asked_at.elapsed());
    let done = world.sent().len();
    assert!((20..=45).contains(&done), "{done} in 30 s at 1/s");
    world.assert_nothing_is_lost();
    let next = World { shutdown: Shutdown::new(Duration::ZERO), ..world };
    drop(run);
    tokio::time::sleep(VISIBILITY).await;
    next.replay().receive_all().await.unwrap();
    assert_eq!((next.dead_letters.bodies().len(), next.sent().len()), (0, 300));
}

/// A payment of which the transaction service has settled nothing so far, and which it remembers.
#[tokio::test(start_paused = true)]
async fn a_discard_gives_up_what_a_filter_takes_and_leaves_the_rest() {
    let world = World::new(4, 4);
    let filter = DlqFilter { account: AccountId::parse("ACC-1").ok(), ..DlqFilter::default() };
    let mut run = world.replay_of(DlqSelection::Filtered(filter), QueueCounts::default());
    Arc::get_mut(&mut run).unwrap().replayer.purpose = RunPurpose::Discard { evidence: None };
    Arc::clone(&run).receive_all().await.unwrap();
    assert_eq!(run.state().report.actions(), [("discard", 1)]);
    let cancelled = |stored: &StoredPayment| stored.status == Status::Cancelled;
    assert_eq!(world.table.all().into_iter().filter(cancelled).count(), 1);
}

/// The attempts are the table's: the dead letter does not tell.
#[tokio::test(start_paused = true)]
async fn a_run_takes_what_was_attempted_as_often_as_it_asks_for() {
    let world = World::new(3, 3);
    let first = world.table.all().remove(0);
    world.table.put(StoredPayment { attempts: 7, ..first });
    let filter = DlqFilter { attempts: "7..".parse().ok(), ..DlqFilter::default() };
    let run = world.replay_of(DlqSelection::Filtered(filter), QueueCounts::default());
    Arc::clone(&run).receive_all().await.unwrap();
    assert_eq!(world.sent().len(), 1);
}

/// What is changed is written down first: what cannot be written down is not changed.
#[tokio::test(start_paused = true)]
async fn nothing_is_changed_that_the_action_log_does_not_hold() {
    let world = World::new(2, 2);
    let (log, actions) = testing::run().await;
    let logged = |world: &World| {
        let mut run = discard(world);
        Arc::get_mut(&mut run).unwrap().replayer.actions = Some(actions.clone());
        run
    };
    logged(&world).receive_all().await.unwrap();
    let outcome = "discard: nothing was settled under its key".to_owned();
    assert_eq!(log.outcomes(), [outcome.clone(), outcome]);

    let world = World::new(2, 2);
    log.fail();
    logged(&world).receive_all().await.unwrap();
    assert_eq!(world.dead_letters.bodies().len(), 2);
    assert!(world.table.all().iter().all(|stored| stored.status == Status::Failed));
}
