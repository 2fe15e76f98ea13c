//! INV-10: each place where a worker asks whether a message is still its own, alone. Every test
//! here fails when its one guard is taken out and all others stay.

use std::time::Duration;

use domain::{Attempt, Event, Status};
use shared::shutdown::Shutdown;

use crate::attempt::Finding;
use crate::claim_result::Verdict;
use crate::job::Claim;
use crate::testing::{Call, Stage, TODAY, VISIBILITY, dearer, noon, payment, rejected};

/// The attempt of a payment that was claimed at noon.
fn attempt(number: u32) -> Attempt {
    Attempt { number, before_replay: 0, not_done: 0, claimed_at: noon() }
}

/// Makes one attempt while a call takes longer than the message stays hidden.
async fn make(stage: &Stage, claim: Claim, slow: Call) -> Finding {
    let due = payment("ACC", if slow == Call::Archive { "2026-11-22" } else { TODAY });
    stage.hold(&due, Status::Pending, 1);
    let job = stage.job(&due).await;
    stage.outside.slow.lock().unwrap().push(slow);
    stage.worker.group.attempts.make(&job, claim, &Shutdown::new(Duration::ZERO)).await
}

fn events(stage: &Stage) -> Vec<Event> {
    stage.outside.written.lock().unwrap().iter().map(|(_, event)| *event).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_before_the_claim_is_not_claimed() {
    let (stage, due) = (Stage::set(), payment("ACC", TODAY));
    stage.hold(&due, Status::Scheduled, 0);
    let received = stage.deliver(&[&due]).await;
    tokio::time::sleep(VISIBILITY).await;
    stage.work_on(received).await;
    assert_eq!(stage.outside.item(&due).status, Status::Scheduled);
    assert!(!stage.is_gone(&due));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_before_its_turn_begins_no_attempt() {
    let stage = Stage::set();
    let finding = make(&stage, Claim::Found(attempt(1)), Call::Archive).await;
    assert!(matches!(finding, Finding::Withdrawn), "{finding:?}");
    assert_eq!(events(&stage), []);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_before_the_question_is_not_asked_for() {
    let stage = Stage::set();
    let finding = make(&stage, Claim::Found(attempt(1)), Call::Write).await;
    assert!(matches!(finding, Finding::Withdrawn), "{finding:?}");
    assert_eq!((events(&stage), stage.questions()), (vec![Event::Resume], 0));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_while_it_was_asked_for_is_not_submitted() {
    let stage = Stage::set();
    let finding = make(&stage, Claim::Found(attempt(1)), Call::Ask).await;
    assert!(matches!(finding, Finding::Withdrawn), "{finding:?}");
    assert_eq!((stage.questions(), stage.submissions()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_before_the_first_submission_is_not_submitted() {
    let stage = Stage::set();
    let finding = make(&stage, Claim::Made(attempt(1)), Call::Archive).await;
    assert!(matches!(finding, Finding::Withdrawn), "{finding:?}");
    assert_eq!(stage.submissions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_while_its_payment_was_rejected_fails_nothing() {
    let (stage, due) = (Stage::set(), payment("ACC", TODAY));
    stage.hold(&due, Status::Scheduled, 0);
    let rejected = rejected();
    *stage.outside.outcome.lock().unwrap() = rejected;
    stage.outside.slow.lock().unwrap().push(Call::Submit);
    stage.work(&[&due]).await;
    assert_eq!(stage.submissions(), 1);
    assert_eq!(stage.outside.item(&due).status, Status::Pending);
    assert_eq!(stage.letters(), []);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_lost_withholds_nothing() {
    let (stage, due) = (Stage::set(), payment("ACC", TODAY));
    stage.hold(&dearer(&due), Status::Scheduled, 1);
    let job = stage.job(&due).await;
    tokio::time::sleep(VISIBILITY).await;
    let verdict = Verdict::Withhold(Box::new(stage.outside.item(&due)));
    assert!(stage.worker.group.close(job, verdict).await.is_err());
    assert_eq!(stage.outside.item(&due).status, Status::Scheduled);
    assert_eq!(stage.letters(), []);
}
