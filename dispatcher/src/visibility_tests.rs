//! INV-10: each place where a worker checks that a message is still its own, alone. Every test
//! here fails when its one guard is taken out and all others stay.

use std::time::Duration;

use domain::{Attempt, Event, Status};
use shared::shutdown::Shutdown;

use crate::attempt::{AttemptInterrupted, AttemptResult};
use crate::claim_result::CloseReason;
use crate::job::ClaimState;
use crate::testing::{Call, TODAY, TestDispatcher, VISIBILITY, dearer, noon, payment, rejected};

/// The attempt of a payment that was claimed at noon.
fn attempt(number: u32) -> Attempt {
    Attempt { number, before_replay: 0, not_done: 0, claimed_at: noon() }
}

/// Makes one attempt while a call takes longer than the message stays hidden.
async fn run(
    dispatcher: &TestDispatcher,
    state: ClaimState,
    slow: Call,
) -> Result<AttemptResult, AttemptInterrupted> {
    let due = payment("ACC", if slow == Call::Archive { "2026-11-22" } else { TODAY });
    dispatcher.hold(&due, Status::Pending, 1);
    let job = dispatcher.job(&due).await;
    dispatcher.ports.faults.slow.lock().unwrap().push(slow);
    dispatcher.attempts().run(&job, &state, &Shutdown::new(Duration::ZERO)).await
}

fn events(dispatcher: &TestDispatcher) -> Vec<Event> {
    dispatcher.ports.written()
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_before_the_claim_is_not_claimed() {
    let (dispatcher, due) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&due, Status::Scheduled, 0);
    let received = dispatcher.deliver(&[&due]).await;
    tokio::time::sleep(VISIBILITY).await;
    dispatcher.work_on(received).await;
    assert_eq!(dispatcher.ports.item(&due).status, Status::Scheduled);
    assert!(!dispatcher.is_gone(&due));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_before_its_turn_begins_no_attempt() {
    let dispatcher = TestDispatcher::new();
    let result = run(&dispatcher, ClaimState::Pending(attempt(1)), Call::Archive).await;
    assert!(matches!(result, Err(AttemptInterrupted::VisibilityLost)), "{result:?}");
    assert_eq!(events(&dispatcher), []);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_before_the_question_is_not_asked_for() {
    let dispatcher = TestDispatcher::new();
    let result = run(&dispatcher, ClaimState::Pending(attempt(1)), Call::Write).await;
    assert!(matches!(result, Err(AttemptInterrupted::VisibilityLost)), "{result:?}");
    assert_eq!((events(&dispatcher), dispatcher.questions()), (vec![Event::Resume], 0));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_while_it_was_asked_for_is_not_submitted() {
    let dispatcher = TestDispatcher::new();
    let result = run(&dispatcher, ClaimState::Pending(attempt(1)), Call::Ask).await;
    assert!(matches!(result, Err(AttemptInterrupted::VisibilityLost)), "{result:?}");
    assert_eq!((dispatcher.questions(), dispatcher.submissions()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_before_the_first_submission_is_not_submitted() {
    let dispatcher = TestDispatcher::new();
    let result = run(&dispatcher, ClaimState::New(attempt(1)), Call::Archive).await;
    assert!(matches!(result, Err(AttemptInterrupted::VisibilityLost)), "{result:?}");
    assert_eq!(dispatcher.submissions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_while_its_payment_was_rejected_fails_nothing() {
    let (dispatcher, due) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&due, Status::Scheduled, 0);
    let rejected = rejected();
    *dispatcher.ports.outcome.lock().unwrap() = rejected;
    dispatcher.ports.faults.slow.lock().unwrap().push(Call::Submit);
    dispatcher.work(&[&due]).await;
    assert_eq!(dispatcher.submissions(), 1);
    assert_eq!(dispatcher.ports.item(&due).status, Status::Pending);
    assert_eq!(dispatcher.dead_letters(), []);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_withholds_nothing() {
    let (dispatcher, due) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&dearer(&due), Status::Scheduled, 1);
    let job = dispatcher.job(&due).await;
    tokio::time::sleep(VISIBILITY).await;
    let reason = CloseReason::Withhold(Box::new(dispatcher.ports.item(&due)));
    assert!(dispatcher.receiver.claimer.account_worker.closer.close(job, reason).await.is_err());
    assert_eq!(dispatcher.ports.item(&due).status, Status::Scheduled);
    assert_eq!(dispatcher.dead_letters(), []);
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_lost_message_in_its_account_is_given_back_at_once() {
    let dispatcher = TestDispatcher::new();
    let (first, second) = (payment("ACC", TODAY), payment("ACC", TODAY));
    for due in [&first, &second] {
        dispatcher.hold(due, Status::Scheduled, 0);
    }
    let mut received = dispatcher.deliver(&[&first]).await;
    tokio::time::sleep(VISIBILITY).await;
    received.extend(dispatcher.deliver(&[&second]).await);
    dispatcher.work_on(received).await;
    assert_eq!(dispatcher.released(&second), Some(Duration::ZERO));
    assert_eq!(dispatcher.ports.item(&second).status, Status::Scheduled);
}
