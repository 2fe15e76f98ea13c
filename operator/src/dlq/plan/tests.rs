use std::time::Duration;

use domain::{AccountId, Amount, Failure, Payment, PaymentId, Settlement};
use shared::queue::DeadLetter;
use shared::testing::{sample_payment, scheduled};

use super::*;

const LIMITS: AttemptLimits =
    AttemptLimits { attempts: 20, key_retention: Duration::from_secs(86_400) };

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn payment() -> Payment {
    Payment {
        id: PaymentId::generate(),
        account: AccountId::parse("ACC").unwrap(),
        due: "2026-11-23".parse().unwrap(),
        amount: Amount::from_minor_units(1).unwrap(),
        created_at: now(),
        ..sample_payment()
    }
}

fn stored(status: Status, attempts: u32, failure: Option<Failure>) -> StoredPayment {
    StoredPayment {
        status,
        attempts,
        claimed_at: Some(now() - Duration::from_secs(3_600)),
        transaction_id: (status == Status::Processed).then(|| "T1".to_owned()),
        failure,
        ..scheduled(payment())
    }
}

fn failed(code: FailureCode, reason: &str, attempts: u32) -> StoredPayment {
    stored(Status::Failed, attempts, Some(Failure::new(code, reason)))
}

fn dead_letter(code: FailureCode) -> DeadLetterMessage {
    dead_letter_of(code, payment())
}

fn dead_letter_of(code: FailureCode, payment: Payment) -> DeadLetterMessage {
    let payment = Some(payment);
    let service = "dispatcher".to_owned();
    let failure = Failure::new(code, "x");
    let written = DeadLetter { failure, service, at: now(), payment, raw: None };
    DeadLetterMessage {
        message_id: "m".to_owned(),
        sent_at: None,
        group: "ACC".to_owned(),
        body: DeadLetterBody::Written(Box::new(written)),
    }
}

/// KeyQuery for, and nobody has to say what is to be paid.
const ASK: TableDecision = TableDecision::Ask(PaidVersion::Unquestioned);

fn with_dead_letter(stored: &StoredPayment) -> TableDecision {
    let dead_letter = dead_letter_of(FailureCode::Rejected, stored.payment.clone());
    by_table(Some(&dead_letter), stored, None, EarlierReplay::NotInThisRun, &RefusalCodes::Form)
}

fn by_name(stored: &StoredPayment) -> TableDecision {
    by_table(None, stored, None, EarlierReplay::NotInThisRun, &RefusalCodes::Form)
}

fn settled() -> KeyStatus {
    KeyStatus::Settled(Settlement { transaction_id: "T1".to_owned(), settled_at: now() })
}

#[test]
fn only_dead_letters_of_payments_that_failed_or_were_not_delivered_may_be_replayed() {
    for code in [
        FailureCode::Rejected,
        FailureCode::Refused,
        FailureCode::Exhausted,
        FailureCode::Unknown,
        FailureCode::Mismatch,
        FailureCode::Missing,
    ] {
        assert_eq!(by_dead_letter(&dead_letter(code)), None, "{code}");
    }
    for code in [
        FailureCode::MalformedRecord,
        FailureCode::MalformedMessage,
        FailureCode::InvalidItem,
        FailureCode::Overwritten,
        FailureCode::Conflict,
    ] {
        let refused = ReplayPlan::Refuse(ReplayRefusal::SeeRunbook(code));
        assert_eq!(by_dead_letter(&dead_letter(code)), Some(refused), "{code}");
    }
    let moved = |text: String| by_dead_letter(&DeadLetterMessage::read("m", "ACC", text));
    assert_eq!(moved(serde_json::to_string(&payment()).unwrap()), None);
    assert_eq!(moved("{".to_owned()), Some(ReplayPlan::Refuse(ReplayRefusal::Unreadable)));
    let reference = payment().reference();
    let confirmation = format!(
        r#"{{"payment":"{reference}","transaction_id":"T","settled_at":"2026-11-23T01:00:00Z"}}"#
    );
    let again = ReplayPlan::ConfirmAgain(serde_json::from_str(&confirmation).unwrap());
    assert_eq!(moved(confirmation), Some(again));
}

#[test]
fn a_payment_that_is_processed_is_refused_and_only_its_dead_letter_is_closed() {
    let processed = stored(Status::Processed, 1, None);
    let ended = FinalStatus::Processed { transaction_id: Some("T1".to_owned()) };
    assert_eq!(with_dead_letter(&processed), TableDecision::Plan(ReplayPlan::Close(ended.clone())));
    let refused = ReplayPlan::Refuse(ReplayRefusal::Ended(ended));
    assert_eq!(by_name(&processed), TableDecision::Plan(refused));
    let cancelled = stored(Status::Cancelled, 1, None);
    assert_eq!(
        with_dead_letter(&cancelled),
        TableDecision::Plan(ReplayPlan::Close(FinalStatus::Cancelled))
    );
}

#[test]
fn what_an_interrupted_replay_left_under_way_is_sent_again() {
    for status in [Status::Scheduled, Status::Pending] {
        let under_way = stored(status, 1, None);
        let again = TableDecision::Plan(ReplayPlan::SendAgain(status));
        assert_eq!(with_dead_letter(&under_way), again);
        assert_eq!(by_name(&under_way), again);
    }
}

#[test]
fn a_payment_that_waits_for_its_day_is_not_sent_because_somebody_names_it() {
    let waiting = stored(Status::Scheduled, 0, None);
    assert_eq!(
        by_name(&waiting),
        TableDecision::Plan(ReplayPlan::Refuse(ReplayRefusal::NotStarted))
    );
    let again = ReplayPlan::SendAgain(Status::Scheduled);
    assert_eq!(with_dead_letter(&waiting), TableDecision::Plan(again));
}

#[test]
fn only_one_rejected_attempt_is_certain_and_starts_the_first_claim_anew() {
    let once = failed(FailureCode::Rejected, "422 limit: x", 1);
    assert_eq!(
        with_dead_letter(&once),
        TableDecision::Plan(ReplayPlan::Replay {
            attempts: 1,
            first_claim: FirstClaim::StartsAnew,
            version: PaidVersion::Unquestioned,
            because: Justification::RejectedOnce,
        })
    );
    for (code, attempts) in [
        (FailureCode::Rejected, 2),
        (FailureCode::Rejected, 0),
        (FailureCode::Exhausted, 1),
        (FailureCode::Unknown, 1),
        (FailureCode::Conflict, 1),
        (FailureCode::Overwritten, 0),
    ] {
        let asked = with_dead_letter(&failed(code, "422 limit: x", attempts));
        assert_eq!(asked, ASK, "{code} after {attempts}");
    }
    assert_eq!(with_dead_letter(&stored(Status::Failed, 1, None)), ASK);
}

#[test]
fn a_rejection_without_the_contracts_words_is_asked_for_before_it_is_replayed() {
    for reason in ["400 without a readable reason", "410 gone: x", "404 no_such_path: x", "x"] {
        let once = failed(FailureCode::Rejected, reason, 1);
        assert_eq!(with_dead_letter(&once), ASK, "{reason}");
    }
    let once = failed(FailureCode::Rejected, "422 limit: x", 1);
    let listed = RefusalCodes::parse("AC04").unwrap();
    assert_eq!(by_table(None, &once, None, EarlierReplay::NotInThisRun, &listed), ASK);
}

#[test]
fn a_payment_that_was_taken_and_then_refused_is_asked_for_though_it_was_submitted_once() {
    let refused = failed(FailureCode::Refused, "422 closed: x", 1);
    assert_eq!(with_dead_letter(&refused), ASK);
    assert_eq!(by_name(&refused), ASK);
    let found = KeyStatus::Rejected { reason: "422 closed: x".to_owned() };
    let plan = by_answer(&refused, PaidVersion::Unquestioned, found, &LIMITS, now());
    assert!(matches!(&plan, ReplayPlan::Refuse(ReplayRefusal::RejectedForGood { .. })), "{plan:?}");
    assert!(plan.to_string().ends_with("dead-letters.md#refused"), "{plan}");
}

#[test]
fn a_key_that_was_settled_for_another_body_is_never_replayed() {
    for attempts in [1, 2] {
        let reused = failed(FailureCode::Rejected, "422 idempotency_key_reused: x", attempts);
        let refused = ReplayPlan::Refuse(ReplayRefusal::KeyReused);
        assert_eq!(with_dead_letter(&reused), TableDecision::Plan(refused));
    }
}

#[test]
fn a_payment_that_failed_again_in_this_run_is_left_for_the_next() {
    let once = failed(FailureCode::Rejected, "422 limit: x", 1);
    let dead_letter = dead_letter(FailureCode::Rejected);
    let (dead_letter, codes) = (Some(&dead_letter), &RefusalCodes::Form);
    let step = by_table(dead_letter, &once, None, EarlierReplay::InThisRun, codes);
    assert_eq!(step, TableDecision::Plan(ReplayPlan::Refuse(ReplayRefusal::FailedAgain)));
}

#[test]
fn what_was_settled_is_replayed_however_old_it_is() {
    let mut old = failed(FailureCode::Unknown, "x", 7);
    old.claimed_at = Some("2026-11-01T00:00:00Z".parse().unwrap());
    assert_eq!(
        by_answer(&old, PaidVersion::Unquestioned, settled(), &LIMITS, now()),
        ReplayPlan::Replay {
            attempts: 7,
            first_claim: FirstClaim::Stays,
            version: PaidVersion::Unquestioned,
            because: Justification::Settled { transaction_id: "T1".to_owned() },
        }
    );
}

#[test]
fn what_is_not_found_is_replayed_only_while_the_key_is_remembered_for_sure() {
    let young = failed(FailureCode::Exhausted, "x", 21);
    assert_eq!(
        by_answer(&young, PaidVersion::Unquestioned, KeyStatus::Nothing, &LIMITS, now()),
        ReplayPlan::Replay {
            attempts: 21,
            first_claim: FirstClaim::Stays,
            version: PaidVersion::Unquestioned,
            because: Justification::NothingSettled,
        }
    );
    let forgotten = ReplayPlan::Refuse(ReplayRefusal::Forgotten);
    let old = StoredPayment {
        claimed_at: Some(now() - Duration::from_secs(86_400 / 4 * 3)),
        ..young.clone()
    };
    assert_eq!(
        by_answer(&old, PaidVersion::Unquestioned, KeyStatus::Nothing, &LIMITS, now()),
        forgotten
    );
    let undated = StoredPayment { claimed_at: None, ..young };
    assert_eq!(
        by_answer(&undated, PaidVersion::Unquestioned, KeyStatus::Nothing, &LIMITS, now()),
        forgotten
    );
}

#[test]
fn without_an_answer_or_after_a_final_refusal_nothing_is_replayed() {
    let young = failed(FailureCode::Exhausted, "x", 21);
    let found = KeyStatus::NoAnswer { retry_after: None, reason: "503".to_owned() };
    let refused = ReplayRefusal::NoAnswer { reason: "503".to_owned() };
    assert_eq!(
        by_answer(&young, PaidVersion::Unquestioned, found, &LIMITS, now()),
        ReplayPlan::Refuse(refused)
    );
    let found = KeyStatus::Rejected { reason: "no".to_owned() };
    let refused = ReplayRefusal::RejectedForGood { reason: "no".to_owned() };
    assert_eq!(
        by_answer(&young, PaidVersion::Unquestioned, found, &LIMITS, now()),
        ReplayPlan::Refuse(refused)
    );
    let under_way =
        by_answer(&young, PaidVersion::Unquestioned, KeyStatus::UnderWay, &LIMITS, now());
    assert!(matches!(under_way, ReplayPlan::Replay { first_claim: FirstClaim::Stays, .. }));
}

/// A payment that was withheld before it was ever claimed.
fn withheld(code: FailureCode) -> StoredPayment {
    StoredPayment { claimed_at: None, ..failed(code, "x", 0) }
}

#[test]
fn a_withheld_payment_is_never_replayed_as_if_it_were_new() {
    let settled_or_under_way = [settled(), KeyStatus::UnderWay];
    for code in [FailureCode::Mismatch, FailureCode::Overwritten, FailureCode::Conflict] {
        for found in settled_or_under_way.clone() {
            let plan = by_answer(&withheld(code), PaidVersion::Unquestioned, found, &LIMITS, now());
            let raised = matches!(plan, ReplayPlan::Replay { version: PaidVersion::Table, .. });
            assert!(raised, "{code}: {plan:?} would leave Attempts at 0");
        }
    }
}

#[test]
fn of_the_withheld_ones_only_a_mismatch_is_sent_when_nothing_is_known_of_it() {
    let nothing =
        |code| by_answer(&withheld(code), PaidVersion::Table, KeyStatus::Nothing, &LIMITS, now());
    let replayed = nothing(FailureCode::Mismatch);
    let expected = ReplayPlan::Replay {
        attempts: 0,
        first_claim: FirstClaim::StartsAnew,
        version: PaidVersion::Table,
        because: Justification::NeverClaimed,
    };
    assert_eq!(replayed, expected);
    let see = |code| ReplayPlan::Refuse(ReplayRefusal::SeeRunbook(code));
    assert_eq!(nothing(FailureCode::Overwritten), see(FailureCode::Overwritten));
    assert_eq!(nothing(FailureCode::Conflict), ReplayPlan::Refuse(ReplayRefusal::Forgotten));
    let invalid = by_name(&withheld(FailureCode::InvalidItem));
    assert_eq!(invalid, TableDecision::Plan(see(FailureCode::InvalidItem)));
}

#[test]
fn what_is_undecided_is_neither_replayed_nor_sent_again() {
    let other = |stored: &StoredPayment| {
        let amount = Amount::from_minor_units(2).unwrap();
        dead_letter_of(FailureCode::Mismatch, Payment { amount, ..stored.payment.clone() })
    };
    for stored in [
        withheld(FailureCode::Mismatch),
        failed(FailureCode::Rejected, "422 limit: x", 1),
        stored(Status::Scheduled, 1, None),
        stored(Status::Pending, 1, None),
    ] {
        let dead_letter = other(&stored);
        let carrier = Some(&dead_letter);
        let step =
            by_table(carrier, &stored, None, EarlierReplay::NotInThisRun, &RefusalCodes::Form);
        let undecided =
            matches!(step, TableDecision::Plan(ReplayPlan::Refuse(ReplayRefusal::Undecided(_))));
        assert!(undecided, "{} is decided by a machine: {step:?}", stored.status);
    }
    let named = by_name(&withheld(FailureCode::Mismatch));
    assert!(
        matches!(named, TableDecision::Plan(ReplayPlan::Refuse(ReplayRefusal::Undecided(_)))),
        "{named:?}"
    );
}
