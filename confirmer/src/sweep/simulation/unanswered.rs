//! Payments and services that never answer.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_answer_ends_the_sweep_and_the_next_one_finds_all() {
    let all: Vec<_> = (0..1_000).map(stored).collect();
    let world = World::new(&all);
    *world.bank.down.lock().unwrap() = true;
    world.sweep().await.unwrap_err();
    assert!(world.asked() <= 80, "{} questions to a service that is down", world.asked());
    assert!(world.payments.sent().is_empty() && world.confirmations.sent().is_empty());
    *world.bank.down.lock().unwrap() = false;
    world.sweep().await.unwrap();
    assert_eq!(world.payments.sent().len(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn payments_that_never_have_an_answer_do_not_keep_the_others_from_theirs() {
    let mut all: Vec<_> = (0..200).map(stored).collect();
    // They were due the day before, so that they come first each time.
    let (mute, others) = all.split_at_mut(150);
    for earlier in &mut *mute {
        earlier.payment.due = earlier.payment.due.days_before(1);
    }
    let no_answer = KeyStatus::NoAnswer { retry_after: None, reason: "500".to_owned() };
    let (mute, others) = (mute.to_vec(), others.to_vec());
    let world = World::new(&all);
    mute.iter().for_each(|stored| world.answer(stored, no_answer.clone()));
    let mut sweeps = 0;
    while world.payments.sent().len() < others.len() {
        let _ = world.sweep().await;
        sweeps += 1;
        assert!(sweeps <= 5, "{} of {} after {sweeps}", world.payments.sent().len(), others.len());
    }
}

#[tokio::test(start_paused = true)]
async fn however_many_payments_never_have_an_answer_the_others_have_theirs() {
    let mut all: Vec<_> = (0..3_050).map(stored).collect();
    let (mute, others) = all.split_at_mut(3_000);
    for earlier in &mut *mute {
        earlier.payment.due = earlier.payment.due.days_before(1);
    }
    let no_answer = KeyStatus::NoAnswer { retry_after: None, reason: "500".to_owned() };
    let (mute, others) = (mute.to_vec(), others.len());
    let world = World::new(&all);
    mute.iter().for_each(|stored| world.answer(stored, no_answer.clone()));
    tokio::time::sleep(LIMIT * 2).await;
    let shutdown = Shutdown::new(Duration::from_secs(25));
    // All within the same day.
    let sweep = async || {
        let mut memory = world.memory.lock().await;
        let _ = world.sweeper.sweep(SweepRange::Back(1), &mut memory, &shutdown).await;
    };
    let mut sweeps = 0;
    while world.payments.sent().len() < others {
        sweep().await;
        sweeps += 1;
        assert!(sweeps <= 120, "{} of {others} after {sweeps}", world.payments.sent().len());
    }
    let asked = world.asked();
    for _ in 0..sweeps {
        sweep().await;
    }
    let again = world.asked() - asked;
    assert!(again >= 3_000, "{again}: the first are asked for again");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_says_nothing_brings_no_message() {
    let all: Vec<_> = (0..2_000).map(stored).collect();
    let world = World::new(&all);
    *world.bank.down.lock().unwrap() = true;
    let _shutdown = confirmers(&world, 2);
    tokio::time::sleep(Duration::from_secs(75 * 60)).await;
    assert_eq!(world.payments.bodies().len(), 0);
}
