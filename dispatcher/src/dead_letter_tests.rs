//! INV-16: what a person has to decide stays undecided until a person has decided. And of each
//! change to FAILED there is one dead letter.

use std::time::Duration;

use domain::{
    BlobDigest, Certainty, Data, DataBlob, FailureCode, KeyStatus, Outcome, Payment, Settlement,
    Status,
};
use shared::dispatch_stop::ObservedAnswer;

use crate::calls::concurrency_limit::CallHealth;
use crate::calls::limiter::CallPurpose;
use crate::recorder::DispatchResult;
use crate::testing::{Call, TODAY, TestDispatcher, dearer, noon, payment, rejected};

/// The versions that a dead letter holds: the table's and the message's.
fn versions(dispatcher: &TestDispatcher) -> (Payment, Payment) {
    let dead_letters = dispatcher.dead_letters();
    let [letter] = &dead_letters[..] else { panic!("{dead_letters:?}") };
    assert_eq!(letter.failure.code, FailureCode::Mismatch);
    let message = serde_json::from_str(letter.raw.as_deref().unwrap()).unwrap();
    (letter.payment.clone().unwrap(), message)
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_was_changed_after_it_was_queued_is_withheld_with_both_versions() {
    for attempts in [0, 1] {
        let (dispatcher, queued) = (TestDispatcher::new(), payment("ACC", TODAY));
        let changed = dearer(&queued);
        dispatcher.hold(&changed, Status::Scheduled, attempts);
        dispatcher.work(&[&queued]).await;
        let item = dispatcher.ports.item(&queued);
        assert_eq!((item.status, item.attempts), (Status::Failed, attempts));
        assert_eq!(item.failure.unwrap().code, FailureCode::Mismatch);
        assert_eq!(versions(&dispatcher), (changed.clone(), queued.clone()));
        assert!(dispatcher.is_gone(&queued));
        // What the scan for lost messages might have queued, as the table has it.
        dispatcher.work(&[&changed]).await;
        dispatcher.work(&[&queued]).await;
        assert_eq!((dispatcher.submissions(), dispatcher.dead_letters().len()), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_withheld_payment_whose_dead_letter_was_not_written_has_it_written_by_the_next_delivery()
{
    let (dispatcher, queued) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&dearer(&queued), Status::Scheduled, 0);
    *dispatcher.ports.faults.no_dead_letters.lock().unwrap() = true;
    dispatcher.work(&[&queued]).await;
    assert_eq!(dispatcher.ports.item(&queued).status, Status::Failed);
    assert!(!dispatcher.is_gone(&queued), "nothing says yet that it was withheld");
    *dispatcher.ports.faults.no_dead_letters.lock().unwrap() = false;
    dispatcher.work(&[&queued]).await;
    assert_eq!(versions(&dispatcher), (dearer(&queued), queued.clone()));
    assert!(dispatcher.is_gone(&queued));
}

#[tokio::test(start_paused = true)]
async fn a_pending_payment_that_was_changed_is_asked_for_and_never_submitted() {
    let (mut dispatcher, queued) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&dearer(&queued), Status::Pending, 1);
    let no_answer = KeyStatus::NoAnswer { retry_after: None, reason: "503".to_owned() };
    for found in [no_answer, KeyStatus::UnderWay] {
        *dispatcher.ports.found.lock().unwrap() = found;
        dispatcher.work(&[&queued]).await;
        assert_eq!(dispatcher.ports.item(&queued).status, Status::Pending);
        assert!(!dispatcher.is_gone(&queued), "only this message knows of the other version");
        assert!(dispatcher.recorded.try_recv().is_err(), "its message would go");
    }
    *dispatcher.ports.found.lock().unwrap() = KeyStatus::Nothing;
    dispatcher.work(&[&queued]).await;
    let item = dispatcher.ports.item(&queued);
    assert_eq!(item.status, Status::Failed);
    assert_eq!(versions(&dispatcher), (dearer(&queued), queued.clone()));
    assert_eq!((dispatcher.questions(), dispatcher.submissions()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn the_message_of_a_payment_that_was_taken_with_202_goes() {
    let (mut dispatcher, queued) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&queued, Status::Scheduled, 0);
    *dispatcher.ports.outcome.lock().unwrap() = Outcome::Accepted;
    dispatcher.work(&[&queued]).await;
    let taken = dispatcher.recorded.try_recv().unwrap();
    assert!(matches!(taken.result, DispatchResult::Accepted), "{taken:?}");
    assert_eq!(dispatcher.ports.item(&queued).status, Status::Pending);
}

/// Delivers a payment, and has dispatching stopped by strange answers while its call is under way.
async fn work_while_answers_become_distrusted(
    dispatcher: &TestDispatcher,
    queued: &Payment,
    slow: Call,
) {
    dispatcher.ports.faults.slow.lock().unwrap().push(slow);
    *dispatcher.ports.faults.takes.lock().unwrap() = Some(Duration::from_secs(10));
    let distrust = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        for _ in 0..5 {
            let permit =
                dispatcher.receiver.conditions.limiter.acquire(CallPurpose::Submit).await.unwrap();
            let answer = ObservedAnswer::OutOfContract { account: &queued.account, words: "400" };
            let _ = permit.ended(CallHealth::Answered, Some(answer));
        }
    };
    let delivered = [queued];
    tokio::join!(dispatcher.work(&delivered), distrust);
}

#[tokio::test(start_paused = true)]
async fn a_404_of_a_service_that_is_not_believed_any_more_fails_no_payment() {
    let (dispatcher, queued) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&dearer(&queued), Status::Pending, 1);
    work_while_answers_become_distrusted(&dispatcher, &queued, Call::Ask).await;
    assert_eq!(dispatcher.ports.item(&queued).status, Status::Pending);
    assert_eq!((dispatcher.questions(), dispatcher.is_gone(&queued)), (1, false));
}

#[tokio::test(start_paused = true)]
async fn a_rejection_of_a_service_that_is_not_believed_any_more_fails_no_payment() {
    let (dispatcher, queued) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&queued, Status::Scheduled, 0);
    *dispatcher.ports.outcome.lock().unwrap() = rejected();
    work_while_answers_become_distrusted(&dispatcher, &queued, Call::Submit).await;
    let item = dispatcher.ports.item(&queued);
    assert_eq!((item.status, item.not_done), (Status::Pending, 1), "it costs no try");
    assert_eq!((dispatcher.submissions(), dispatcher.is_gone(&queued)), (1, false));
}

#[tokio::test(start_paused = true)]
async fn a_settlement_is_believed_also_of_a_service_whose_refusals_are_not() {
    let settlement = Settlement { transaction_id: "T1".to_owned(), settled_at: noon() };
    let mut submitted = TestDispatcher::new();
    let queued = payment("ACC", TODAY);
    submitted.hold(&queued, Status::Scheduled, 0);
    work_while_answers_become_distrusted(&submitted, &queued, Call::Submit).await;
    assert!(matches!(submitted.recorded.try_recv().unwrap().result, DispatchResult::Settled(_)));
    let mut disputed = TestDispatcher::new();
    disputed.hold(&dearer(&queued), Status::Pending, 1);
    *disputed.ports.found.lock().unwrap() = KeyStatus::Settled(settlement);
    work_while_answers_become_distrusted(&disputed, &queued, Call::Ask).await;
    assert!(matches!(disputed.recorded.try_recv().unwrap().result, DispatchResult::Settled(_)));
}

#[tokio::test(start_paused = true)]
async fn a_pending_payment_that_was_changed_and_is_settled_ends_and_a_person_hears_of_it() {
    let mut dispatcher = TestDispatcher::new();
    let queued = payment("ACC", TODAY);
    dispatcher.hold(&dearer(&queued), Status::Pending, 1);
    let settlement = Settlement { transaction_id: "T1".to_owned(), settled_at: noon() };
    *dispatcher.ports.found.lock().unwrap() = KeyStatus::Settled(settlement);
    dispatcher.work(&[&queued]).await;
    assert!(matches!(dispatcher.recorded.try_recv().unwrap().result, DispatchResult::Settled(_)));
    let dead_letters = dispatcher.dead_letters();
    assert_eq!((dead_letters.len(), dead_letters[0].failure.code), (1, FailureCode::Mismatch));
    assert_eq!(dispatcher.submissions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_has_ended_keeps_its_status_whatever_its_message_says() {
    for status in [Status::Processed, Status::Cancelled] {
        let (dispatcher, queued) = (TestDispatcher::new(), payment("ACC", TODAY));
        dispatcher.hold(&dearer(&queued), status, 1);
        dispatcher.work(&[&queued]).await;
        assert_eq!(dispatcher.ports.item(&queued).status, status);
        assert_eq!((dispatcher.dead_letters().len(), dispatcher.is_gone(&queued)), (1, true));
    }
}

#[tokio::test(start_paused = true)]
async fn leftover_messages_of_a_failed_payment_leave_no_more_dead_letters() {
    let (dispatcher, due) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&due, Status::Scheduled, 0);
    let rejected = rejected();
    *dispatcher.ports.outcome.lock().unwrap() = rejected;
    for _ in 0..8 {
        dispatcher.work(&[&due]).await;
    }
    assert_eq!((dispatcher.dead_letters().len(), dispatcher.submissions()), (1, 1));
    let item = dispatcher.ports.item(&due);
    assert_eq!((item.dead_letters.count, item.dead_letters.last), (1, Some(noon())));
}

#[tokio::test(start_paused = true)]
async fn only_what_was_certainly_not_done_does_not_count_against_the_limit() {
    for (certainty, counted) in [(Certainty::Certain, 1), (Certainty::Uncertain, 0)] {
        let (dispatcher, due) = (TestDispatcher::new(), payment("ACC", TODAY));
        dispatcher.hold(&due, Status::Scheduled, 0);
        *dispatcher.ports.outcome.lock().unwrap() = turned_away(certainty);
        dispatcher.work(&[&due]).await;
        let item = dispatcher.ports.item(&due);
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
        let (dispatcher, due) = (TestDispatcher::new(), payment("ACC", TODAY));
        dispatcher.hold(&due, Status::Scheduled, 0);
        *dispatcher.ports.outcome.lock().unwrap() = turned_away(certainty);
        for _ in 0..8 {
            dispatcher.work(&[&due]).await;
        }
        let item = dispatcher.ports.item(&due);
        assert_eq!(item.status, status, "{certainty:?}");
        assert!(item.attempts > 5, "the fence grows all the same");
    }
}

fn turned_away(certainty: Certainty) -> Outcome {
    Outcome::NotDone { certainty, retry_after: None, reason: "503".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_question_without_an_answer_counts_only_when_it_is_all_that_is_left_to_do() {
    let (dispatcher, due) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&due, Status::Pending, 1);
    let no_answer = KeyStatus::NoAnswer { retry_after: None, reason: "timeout".to_owned() };
    *dispatcher.ports.found.lock().unwrap() = no_answer;
    dispatcher.work(&[&due]).await;
    assert_eq!(dispatcher.ports.item(&due).not_done, 1);
    // Its key is old: it is only asked for, and that is bounded.
    dispatcher.clock(24 * 3_600);
    dispatcher.work(&[&due]).await;
    assert_eq!(dispatcher.ports.item(&due).not_done, 1);
}

#[tokio::test(start_paused = true)]
async fn a_payment_without_a_blob_does_not_wait_for_the_blobs_of_other_accounts() {
    let (dispatcher, plain) = (TestDispatcher::new(), payment("PLAIN", TODAY));
    let digest = BlobDigest::of(&DataBlob::new("x").unwrap());
    let large = Payment { data: Some(Data::Beside(digest)), ..payment("LARGE", TODAY) };
    dispatcher.hold(&plain, Status::Scheduled, 0);
    dispatcher.hold(&large, Status::Scheduled, 0);
    dispatcher.ports.faults.slow.lock().unwrap().push(Call::Blobs);
    let received = dispatcher.deliver(&[&large, &plain]).await;
    let claimer = dispatcher.receiver.claimer.clone();
    let claiming = tokio::time::timeout(Duration::from_secs(1), claimer.work(received)).await;
    assert!(claiming.is_err(), "the blob was read at once");
    assert_eq!(*dispatcher.ports.submitted.lock().unwrap(), [plain]);
}
