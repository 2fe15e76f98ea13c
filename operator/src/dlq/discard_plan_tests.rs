use std::time::Duration;

use domain::{AccountId, Amount, Failure, Payment, PaymentId, Settlement};
use shared::queue::DeadLetter;
use shared::testing::{sample_payment, scheduled};

use super::super::plan::Justification;
use super::*;

const LIMITS: AttemptLimits =
    AttemptLimits { attempts: 20, key_retention: Duration::from_secs(86_400) };

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn long_ago() -> Timestamp {
    now() - Duration::from_secs(30 * 3_600)
}

fn stored(status: Status, attempts: u32, failure: Option<Failure>) -> StoredPayment {
    let payment = Payment {
        id: PaymentId::generate(),
        account: AccountId::parse("ACC").unwrap(),
        due: "2026-11-23".parse().unwrap(),
        amount: Amount::from_minor_units(1).unwrap(),
        created_at: now(),
        ..sample_payment()
    };
    StoredPayment {
        status,
        attempts,
        claimed_at: (attempts > 0).then(|| now() - Duration::from_secs(3_600)),
        failure,
        ..scheduled(payment)
    }
}

fn failed(code: FailureCode, attempts: u32) -> StoredPayment {
    stored(Status::Failed, attempts, Some(Failure::new(code, "422 limit: x")))
}

fn dead_letter(code: FailureCode, payment: Option<Payment>) -> DeadLetterMessage {
    let failure = Failure::new(code, "x");
    let written =
        DeadLetter { failure, service: "dispatcher".to_owned(), at: now(), payment, raw: None };
    DeadLetterMessage {
        message_id: "m".to_owned(),
        sent_at: None,
        group: "ACC".to_owned(),
        body: DeadLetterBody::Written(Box::new(written)),
    }
}

fn settled() -> KeyStatus {
    KeyStatus::Settled(Settlement { transaction_id: "T1".to_owned(), settled_at: now() })
}

fn silent() -> KeyStatus {
    KeyStatus::NoAnswer { retry_after: None, reason: "503".to_owned() }
}

fn answer(stored: &StoredPayment, found: KeyStatus, evidence: Option<&str>) -> ReplayPlan {
    let rules = DiscardRules { codes: &RefusalCodes::Form, limits: &LIMITS, evidence };
    by_answer(None, stored, found, rules, now())
}

fn given_up(stored: &StoredPayment, because: DiscardGround) -> ReplayPlan {
    ReplayPlan::Discard { attempts: stored.attempts, because }
}

#[test]
fn a_conflict_is_refused_however_it_is_named() {
    let conflict = dead_letter(FailureCode::Conflict, None);
    for naming in [Naming::ByMessageId, Naming::Otherwise] {
        let refused = see_runbook(FailureCode::Conflict);
        assert_eq!(by_dead_letter(&conflict, naming), Some(refused));
    }
}

#[test]
fn a_message_without_a_payment_is_deleted_only_by_its_own_id() {
    let read = |text: &str| DeadLetterMessage::read("m", "unreadable", text.to_owned());
    let mut messages: Vec<_> = FailureCode::ALL
        .into_iter()
        .filter(|code| *code != FailureCode::Conflict)
        .map(|code| dead_letter(code, None))
        .collect();
    messages.push(read("{nonsense"));
    for message in messages {
        let plan = |naming| by_dead_letter(&message, naming);
        assert_eq!(plan(Naming::ByMessageId), Some(ReplayPlan::Delete), "{message:?}");
        let refused = refuse(DiscardRefusal::NotNamed);
        assert_eq!(plan(Naming::Otherwise), Some(refused), "{message:?}");
    }
}

#[test]
fn what_the_table_says_decides_about_every_dead_letter_of_a_payment_but_a_broken_message() {
    let payment = failed(FailureCode::Rejected, 1).payment;
    for code in FailureCode::ALL {
        let decided = by_dead_letter(&dead_letter(code, Some(payment.clone())), Naming::Otherwise);
        let by_itself =
            [FailureCode::Conflict, FailureCode::MalformedRecord, FailureCode::MalformedMessage];
        assert_eq!(decided.is_some(), by_itself.contains(&code), "{code}");
    }
    let moved = serde_json::to_string(&payment).unwrap();
    let moved = DeadLetterMessage::read("m", "ACC", moved);
    assert_eq!(by_dead_letter(&moved, Naming::ByMessageId), None);
}

#[test]
fn a_confirmation_is_never_given_up_but_sent_again() {
    let reference = failed(FailureCode::Rejected, 1).payment.reference();
    let text = format!(
        r#"{{"payment":"{reference}","transaction_id":"T","settled_at":"2026-11-23T01:00:00Z"}}"#
    );
    let again = ReplayPlan::ConfirmAgain(serde_json::from_str(&text).unwrap());
    let confirmation = DeadLetterMessage::read("m", "ACC", text);
    for naming in [Naming::ByMessageId, Naming::Otherwise] {
        assert_eq!(by_dead_letter(&confirmation, naming), Some(again.clone()));
    }
}

fn table(
    dead_letter: Option<&DeadLetterMessage>,
    naming: Naming,
    stored: &StoredPayment,
) -> DiscardDecision {
    by_table(dead_letter, naming, stored, EarlierReplay::NotInThisRun)
}

#[test]
fn what_may_be_paid_is_refused_and_what_failed_is_asked_for() {
    for status in [Status::Scheduled, Status::Pending] {
        let refused = refuse(DiscardRefusal::MayBePaid(status));
        let found = table(None, Naming::Otherwise, &stored(status, 1, None));
        assert_eq!(found, DiscardDecision::Plan(refused), "{status}");
    }
    for code in FailureCode::ALL {
        let found = table(None, Naming::Otherwise, &failed(code, 1));
        assert_eq!(found, DiscardDecision::Ask, "{code}");
    }
    let failure = Failure::new(FailureCode::Rejected, "422 idempotency_key_reused: x");
    let reused = stored(Status::Failed, 1, Some(failure));
    let refused = ReplayPlan::Refuse(ReplayRefusal::KeyReused);
    assert_eq!(table(None, Naming::Otherwise, &reused), DiscardDecision::Plan(refused));
    let again = by_table(
        None,
        Naming::Otherwise,
        &failed(FailureCode::Rejected, 1),
        EarlierReplay::InThisRun,
    );
    let refused = ReplayPlan::Refuse(ReplayRefusal::FailedAgain);
    assert_eq!(again, DiscardDecision::Plan(refused));
}

#[test]
fn of_what_has_ended_only_the_dead_letter_goes() {
    let cancelled = stored(Status::Cancelled, 1, None);
    let letter = dead_letter(FailureCode::Rejected, Some(cancelled.payment.clone()));
    let close = ReplayPlan::Close(FinalStatus::Cancelled);
    let found = table(Some(&letter), Naming::Otherwise, &cancelled);
    assert_eq!(found, DiscardDecision::Plan(close));
    let refused = ReplayPlan::Refuse(ReplayRefusal::Ended(FinalStatus::Cancelled));
    assert_eq!(table(None, Naming::Otherwise, &cancelled), DiscardDecision::Plan(refused));
}

#[test]
fn a_mismatch_of_what_had_ended_is_closed_by_name_and_one_that_a_discard_has_ended_at_any_time() {
    let of = |status, failure| {
        let stored = stored(status, 0, failure);
        let letter = dead_letter(FailureCode::Mismatch, Some(stored.payment.clone()));
        let plan = |naming| match table(Some(&letter), naming, &stored) {
            DiscardDecision::Plan(plan) => plan,
            DiscardDecision::Ask => panic!("{stored:?} has ended"),
        };
        [plan(Naming::Otherwise), plan(Naming::ByMessageId)].map(|plan| plan.as_str())
    };
    assert_eq!(of(Status::Cancelled, None), ["refuse", "close"]);
    assert_eq!(of(Status::Processed, None), ["refuse", "close"]);
    let failure = Some(Failure::new(FailureCode::Mismatch, "x"));
    assert_eq!(of(Status::Cancelled, failure), ["close", "close"], "a discard that was killed");
}

#[test]
fn what_was_settled_is_confirmed_instead() {
    for code in [FailureCode::Rejected, FailureCode::Exhausted, FailureCode::Unknown] {
        let plan = answer(&failed(code, 2), settled(), Some("the books"));
        let ReplayPlan::Replay { because, .. } = plan else { panic!("{code}: {plan:?}") };
        assert_eq!(because, Justification::Settled { transaction_id: "T1".to_owned() });
    }
    for code in [FailureCode::Overwritten, FailureCode::InvalidItem] {
        assert_eq!(answer(&failed(code, 0), settled(), Some("the books")), see_runbook(code));
    }
    let mismatch = answer(&failed(FailureCode::Mismatch, 0), settled(), None);
    let transaction_id = "T1".to_owned();
    assert_eq!(mismatch, refuse(DiscardRefusal::SettledUndecided { transaction_id }));
}

#[test]
fn what_is_under_way_or_has_no_answer_is_refused_whatever_evidence_there_is() {
    for code in FailureCode::ALL {
        let failed = failed(code, 1);
        let evidence = Some("the books");
        let under_way = refuse(DiscardRefusal::UnderWay);
        assert_eq!(answer(&failed, KeyStatus::UnderWay, evidence), under_way, "{code}");
        let plan = answer(&failed, silent(), evidence);
        assert!(matches!(plan, ReplayPlan::Refuse(ReplayRefusal::NoAnswer { .. })), "{code}");
    }
}

#[test]
fn what_is_not_found_is_given_up_while_the_key_is_remembered_and_then_only_with_evidence() {
    let young = failed(FailureCode::Exhausted, 20);
    let settled_nothing = given_up(&young, DiscardGround::NothingSettled);
    assert_eq!(answer(&young, KeyStatus::Nothing, None), settled_nothing);
    let old = StoredPayment { claimed_at: Some(long_ago()), ..young.clone() };
    let without_a_time = StoredPayment { claimed_at: None, ..young };
    for forgotten in [old, without_a_time, failed(FailureCode::Overwritten, 0)] {
        let refused = refuse(DiscardRefusal::NoEvidence);
        assert_eq!(answer(&forgotten, KeyStatus::Nothing, None), refused, "{forgotten:?}");
        let text = "the books".to_owned();
        let evident = given_up(&forgotten, DiscardGround::Evidence { text });
        assert_eq!(answer(&forgotten, KeyStatus::Nothing, Some("the books")), evident);
    }
}

#[test]
fn what_was_rejected_once_never_claimed_or_refused_for_good_needs_no_evidence() {
    let old = |failed| StoredPayment { claimed_at: Some(long_ago()), ..failed };
    let once = old(failed(FailureCode::Rejected, 1));
    let rejected_once = given_up(&once, DiscardGround::RejectedOnce);
    assert_eq!(answer(&once, KeyStatus::Nothing, None), rejected_once);
    let twice = old(failed(FailureCode::Rejected, 2));
    let refused = refuse(DiscardRefusal::NoEvidence);
    assert_eq!(answer(&twice, KeyStatus::Nothing, None), refused);
    for code in [FailureCode::Mismatch, FailureCode::InvalidItem] {
        let withheld = failed(code, 0);
        let never_claimed = given_up(&withheld, DiscardGround::NeverClaimed);
        assert_eq!(answer(&withheld, KeyStatus::Nothing, None), never_claimed, "{code}");
    }
    let reason = "422 account_closed".to_owned();
    let refused = old(failed(FailureCode::Refused, 1));
    let for_good = given_up(&refused, DiscardGround::RefusedForGood { reason: reason.clone() });
    assert_eq!(answer(&refused, KeyStatus::Rejected { reason }, None), for_good);
}

#[test]
fn a_payment_that_the_table_does_not_hold_is_asked_for_before_its_named_message_is_deleted() {
    let missing = dead_letter(FailureCode::Missing, Some(failed(FailureCode::Unknown, 1).payment));
    let refused = DiscardDecision::Plan(refuse(DiscardRefusal::NotNamed));
    assert_eq!(without_item(Some(&missing), Naming::Otherwise), refused);
    assert_eq!(without_item(Some(&missing), Naming::ByMessageId), DiscardDecision::Ask);
    let not_there = ReplayPlan::Refuse(ReplayRefusal::NotInTable);
    let by_reference = without_item(None, Naming::Otherwise);
    assert_eq!(by_reference, DiscardDecision::Plan(not_there.clone()));
    assert_eq!(by_answer_without_item(KeyStatus::Nothing), ReplayPlan::Delete);
    assert_eq!(by_answer_without_item(settled()), not_there);
    assert_eq!(by_answer_without_item(KeyStatus::UnderWay), refuse(DiscardRefusal::UnderWay));
    let plan = by_answer_without_item(silent());
    assert!(matches!(plan, ReplayPlan::Refuse(ReplayRefusal::NoAnswer { .. })), "{plan:?}");
}
