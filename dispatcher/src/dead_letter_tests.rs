//! INV-16: what a person has to decide stays undecided until a person has decided. And of each
//! change to FAILED there is one dead letter.

use std::time::Duration;

use domain::{Certainty, FailureCode, KeyStatus, Outcome, Payment, Settlement, Status};
use shared::dispatch_stop::ObservedAnswer;

use crate::calls::concurrency_limit::Health;
use crate::calls::limiter::Purpose;
use crate::recorder::End;
use crate::testing::{Call, Stage, TODAY, dearer, noon, payment, rejected};

/// The versions that a dead letter holds: the table's and the message's.
fn versions(stage: &Stage) -> (Payment, Payment) {
    let letters = stage.letters();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(letter.failure.code, FailureCode::Mismatch);
    let message = serde_json::from_str(letter.raw.as_deref().unwrap()).unwrap();
    (letter.payment.clone().unwrap(), message)
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_was_changed_after_it_was_queued_is_withheld_with_both_versions() {
    for attempts in [0, 1] {
        let (stage, queued) = (Stage::set(), payment("ACC", TODAY));
        let changed = dearer(&queued);
        stage.hold(&changed, Status::Scheduled, attempts);
        stage.work(&[&queued]).await;
        let item = stage.outside.item(&queued);
        assert_eq!((item.status, item.attempts), (Status::Failed, attempts));
        assert_eq!(item.failure.unwrap().code, FailureCode::Mismatch);
        assert_eq!(versions(&stage), (changed.clone(), queued.clone()));
        assert!(stage.is_gone(&queued));
        // What the scan for lost messages might have queued, as the table has it.
        stage.work(&[&changed]).await;
        stage.work(&[&queued]).await;
        assert_eq!((stage.submissions(), stage.letters().len()), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_withheld_payment_whose_dead_letter_was_not_written_has_it_written_by_the_next_delivery()
{
    let (stage, queued) = (Stage::set(), payment("ACC", TODAY));
    stage.hold(&dearer(&queued), Status::Scheduled, 0);
    *stage.outside.no_letters.lock().unwrap() = true;
    stage.work(&[&queued]).await;
    assert_eq!(stage.outside.item(&queued).status, Status::Failed);
    assert!(!stage.is_gone(&queued), "nothing says yet that it was withheld");
    *stage.outside.no_letters.lock().unwrap() = false;
    stage.work(&[&queued]).await;
    assert_eq!(versions(&stage), (dearer(&queued), queued.clone()));
    assert!(stage.is_gone(&queued));
}

#[tokio::test(start_paused = true)]
async fn a_pending_payment_that_was_changed_is_asked_for_and_never_submitted() {
    let (stage, queued) = (Stage::set(), payment("ACC", TODAY));
    stage.hold(&dearer(&queued), Status::Pending, 1);
    let no_answer = KeyStatus::NoAnswer { retry_after: None, reason: "503".to_owned() };
    for found in [no_answer, KeyStatus::UnderWay] {
        *stage.outside.found.lock().unwrap() = found;
        stage.work(&[&queued]).await;
        assert_eq!(stage.outside.item(&queued).status, Status::Pending);
        assert!(!stage.is_gone(&queued), "only this message knows of the other version");
    }
    *stage.outside.found.lock().unwrap() = KeyStatus::Nothing;
    stage.work(&[&queued]).await;
    let item = stage.outside.item(&queued);
    assert_eq!(item.status, Status::Failed);
    assert_eq!(versions(&stage), (dearer(&queued), queued.clone()));
    assert_eq!((stage.questions(), stage.submissions()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_404_of_a_service_that_is_not_believed_any_more_fails_no_payment() {
    let (stage, queued) = (Stage::set(), payment("ACC", TODAY));
    stage.hold(&dearer(&queued), Status::Pending, 1);
    stage.outside.slow.lock().unwrap().push(Call::Ask);
    *stage.outside.takes.lock().unwrap() = Some(Duration::from_secs(10));
    let distrust = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        for _ in 0..5 {
            let pass = stage.worker.gate.enter(Purpose::Submit).await.unwrap();
            let answer = ObservedAnswer::OutOfContract { account: &queued.account, words: "400" };
            let _ = pass.ended(Health::Answered, Some(answer));
        }
    };
    let delivered = [&queued];
    tokio::join!(stage.work(&delivered), distrust);
    assert_eq!(stage.outside.item(&queued).status, Status::Pending);
    assert_eq!((stage.questions(), stage.is_gone(&queued)), (1, false));
}

#[tokio::test(start_paused = true)]
async fn a_pending_payment_that_was_changed_and_is_settled_ends_and_a_person_hears_of_it() {
    let mut stage = Stage::set();
    let queued = payment("ACC", TODAY);
    stage.hold(&dearer(&queued), Status::Pending, 1);
    let settlement = Settlement { transaction_id: "T1".to_owned(), settled_at: noon() };
    *stage.outside.found.lock().unwrap() = KeyStatus::Settled(settlement);
    stage.work(&[&queued]).await;
    assert!(matches!(stage.done.try_recv().unwrap().end, End::Settled(_)));
    let letters = stage.letters();
    assert_eq!((letters.len(), letters[0].failure.code), (1, FailureCode::Mismatch));
    assert_eq!(stage.submissions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_has_ended_keeps_its_status_whatever_its_message_says() {
    for status in [Status::Processed, Status::Cancelled] {
        let (stage, queued) = (Stage::set(), payment("ACC", TODAY));
        stage.hold(&dearer(&queued), status, 1);
        stage.work(&[&queued]).await;
        assert_eq!(stage.outside.item(&queued).status, status);
        assert_eq!((stage.letters().len(), stage.is_gone(&queued)), (1, true));
    }
}

#[tokio::test(start_paused = true)]
async fn leftover_messages_of_a_failed_payment_leave_no_more_dead_letters() {
    let (stage, due) = (Stage::set(), payment("ACC", TODAY));
    stage.hold(&due, Status::Scheduled, 0);
    let rejected = rejected();
    *stage.outside.outcome.lock().unwrap() = rejected;
    for _ in 0..8 {
        stage.work(&[&due]).await;
    }
    assert_eq!((stage.letters().len(), stage.submissions()), (1, 1));
    let item = stage.outside.item(&due);
    assert_eq!((item.dead_letters.count, item.dead_letters.last), (1, Some(noon())));
}

#[tokio::test(start_paused = true)]
async fn only_what_was_certainly_not_done_does_not_count_against_the_limit() {
    for (certainty, counted) in [(Certainty::Certain, 1), (Certainty::Uncertain, 0)] {
        let (stage, due) = (Stage::set(), payment("ACC", TODAY));
        stage.hold(&due, Status::Scheduled, 0);
        *stage.outside.outcome.lock().unwrap() = turned_away(certainty);
        stage.work(&[&due]).await;
        let item = stage.outside.item(&due);
        assert_eq!((item.status, item.attempts), (Status::Pending, 1));
        assert_eq!(item.not_done, counted, "{certainty:?}");
    }
}

/// Fewer refusals than the breaker takes for an outage, and more than the limit of attempts.
#[tokio::test(start_paused = true)]
async fn clean_refusals_fail_no_payment_and_those_that_prove_nothing_do() {
    for (certainty, status) in
        [(Certainty::Certain, Status::Pending), (Certainty::Uncertain, Status::Failed)]
    {
        let (stage, due) = (Stage::set(), payment("ACC", TODAY));
        stage.hold(&due, Status::Scheduled, 0);
        *stage.outside.outcome.lock().unwrap() = turned_away(certainty);
        for _ in 0..8 {
            stage.work(&[&due]).await;
        }
        let item = stage.outside.item(&due);
        assert_eq!(item.status, status, "{certainty:?}");
        assert!(item.attempts > 5, "the fence grows all the same");
    }
}

fn turned_away(certainty: Certainty) -> Outcome {
    Outcome::NotDone { certainty, retry_after: None, reason: "503".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_question_without_an_answer_counts_only_when_it_is_all_that_is_left_to_do() {
    let (stage, due) = (Stage::set(), payment("ACC", TODAY));
    stage.hold(&due, Status::Pending, 1);
    let no_answer = KeyStatus::NoAnswer { retry_after: None, reason: "timeout".to_owned() };
    *stage.outside.found.lock().unwrap() = no_answer;
    stage.work(&[&due]).await;
    assert_eq!(stage.outside.item(&due).not_done, 1);
    // Its key is old: it is only asked for, and that is bounded.
    stage.clock(24 * 3_600);
    stage.work(&[&due]).await;
    assert_eq!(stage.outside.item(&due).not_done, 1);
}
