//! Each rule, broken once.

use domain::{AccountId, Failure, FailureCode, Payment, PaymentId, Status};
use shared::payments::StoredPayment;
use shared::testing::{sample_payment, scheduled};

use super::{Change, DeadLetterEvidence, Evidence, Expect, Findings, Settled, Violation, check};

pub(super) fn payment(number: u8) -> Payment {
    Payment {
        id: PaymentId::from_parts(1_764_000_000_000 + u64::from(number), &[7; 10]),
        account: AccountId::parse("ACC-1").unwrap(),
        due: "2026-11-24".parse().unwrap(),
        amount: "1250".parse().unwrap(),
        beneficiary: domain::BeneficiaryId::parse("BEN-1").unwrap(),
        created_at: "2026-11-24T00:00:00Z".parse().unwrap(),
        ..sample_payment()
    }
}

pub(super) fn change(payment: &Payment, status: Status) -> Change {
    let transaction_id = (status == Status::Processed).then(|| format!("tx-{}", payment.id));
    Change {
        payment: payment.id.to_string(),
        account: payment.account.to_string(),
        due: Some(payment.due),
        status: Some(status),
        attempts: Some(u32::from(status != Status::Scheduled)),
        instruction: "1250 EUR BEN-1".to_owned(),
        transaction_id,
    }
}

pub(super) fn settled(payment: &Payment) -> Settled {
    Settled {
        key: payment.id.to_string(),
        transaction_id: format!("tx-{}", payment.id),
        account: payment.account.to_string(),
        beneficiary: payment.beneficiary.to_string(),
        amount: 1250,
        currency: "EUR".to_owned(),
        at: "2026-11-24T01:00:00Z".parse().ok(),
    }
}

pub(super) fn stored(payment: &Payment, status: Status) -> StoredPayment {
    let failure = Failure::new(FailureCode::Rejected, "422 limit: reached");
    StoredPayment {
        status,
        attempts: 1,
        transaction_id: change(payment, status).transaction_id,
        failure: (status == Status::Failed).then_some(failure),
        ..scheduled(payment.clone())
    }
}

/// Two payments settled in order, one rejected.
pub(super) fn good() -> Evidence {
    let mut evidence = Evidence { inserted: 3, ..Evidence::default() };
    for number in 0..3 {
        let payment = payment(number);
        let end = if number == 2 { Status::Failed } else { Status::Processed };
        for status in [Status::Scheduled, Status::Pending, end] {
            evidence.stream.push(change(&payment, status));
        }
        evidence.table.push(stored(&payment, end));
        match end {
            Status::Failed => {
                let code = "rejected".to_owned();
                evidence.letters.push(DeadLetterEvidence { payment: Some(payment.id), code });
            }
            _ => evidence.journal.push(settled(&payment)),
        }
    }
    evidence
}

/// Only these rules are broken.
pub(super) fn only(findings: &Findings, expected: &[Violation]) {
    assert_eq!(findings.kinds().collect::<Vec<_>>(), expected, "{findings}");
}

/// What is found after `spoil` has changed a good run.
pub(super) fn spoilt(spoil: impl FnOnce(&mut Evidence), expected: &[Violation]) {
    let mut evidence = good();
    spoil(&mut evidence);
    only(&check(&evidence, Expect::Ended), expected);
}

#[test]
fn a_good_run_is_clean_and_shows_its_balance() {
    let findings = check(&good(), Expect::Ended);
    assert!(findings.clean(), "{findings}");
    assert_eq!((findings.balance.processed, findings.balance.failed), (2, 1));
    assert_eq!(findings.compared, 1);
    assert!(findings.to_string().contains("residue 0"));
}

#[test]
fn a_payment_settled_twice_is_found() {
    spoilt(|run| run.journal.push(settled(&payment(0))), &[Violation::SettledTwice]);
}

#[test]
fn a_settlement_under_another_key_is_found() {
    let entry = || Settled { key: format!("{}-2", payment(0).id), ..settled(&payment(0)) };
    spoilt(|run| run.journal.push(entry()), &[Violation::SettledUnderAnotherKey]);
}

#[test]
fn a_settlement_of_another_amount_currency_beneficiary_or_account_is_found() {
    let spoils: [fn(&mut Settled); 4] = [
        |entry| entry.amount += 1,
        |entry| entry.currency = "JPY".to_owned(),
        |entry| entry.beneficiary = "BEN-2".to_owned(),
        |entry| entry.account = "ACC-2".to_owned(),
    ];
    for spoil in spoils {
        spoilt(|run| spoil(&mut run.journal[0]), &[Violation::SettledOtherwise]);
    }
}

#[test]
fn a_transaction_id_that_the_journal_lacks_is_found() {
    spoilt(
        |run| run.table[0].transaction_id = Some("tx-other".to_owned()),
        &[Violation::ProcessedWithoutSettlement],
    );
}

#[test]
fn money_that_moved_for_a_failed_payment_is_found_unless_an_operator_is_told() {
    let moved = |run: &mut Evidence| run.journal.push(settled(&payment(2)));
    spoilt(moved, &[Violation::SettledButNotProcessed]);
    let told = |run: &mut Evidence| {
        moved(run);
        let code = "conflict".to_owned();
        run.letters.push(DeadLetterEvidence { payment: Some(payment(2).id), code });
    };
    spoilt(told, &[]);
}

#[test]
fn a_payment_that_has_not_ended_is_found_and_told_from_one_that_nothing_will_move_on() {
    let open = |run: &mut Evidence| {
        run.table[1] = stored(&payment(1), Status::Pending);
        run.stream.remove(5);
    };
    spoilt(open, &[Violation::Stranded]);
    let queued = |run: &mut Evidence| {
        open(run);
        run.queued.insert(payment(1).id.to_string());
    };
    spoilt(queued, &[Violation::NotEnded]);
    let mut evidence = good();
    open(&mut evidence);
    assert!(check(&evidence, Expect::Open).clean());
}

#[test]
fn a_status_that_was_not_allowed_is_found() {
    for (from, to) in [
        (Status::Scheduled, Status::Processed),
        (Status::Processed, Status::Pending),
        (Status::Cancelled, Status::Scheduled),
    ] {
        let changes = [change(&payment(9), from), change(&payment(9), to)];
        let mut findings = Findings::default();
        super::life::check(&changes.iter().collect::<Vec<_>>(), &[], &mut findings);
        assert_eq!(findings.count(Violation::ForbiddenChange), 1, "{from} to {to}");
    }
    // A write that changes nothing, and a replay.
    let statuses = [
        Status::Scheduled,
        Status::Pending,
        Status::Pending,
        Status::Failed,
        Status::Scheduled,
        Status::Pending,
        Status::Processed,
    ];
    let changes = statuses.map(|status| change(&payment(9), status));
    let mut findings = Findings::default();
    super::life::check(&changes.iter().collect::<Vec<_>>(), &[], &mut findings);
    assert!(findings.clean(), "{findings}");
}

#[test]
fn a_payment_that_was_not_inserted_as_scheduled_is_found() {
    spoilt(|run| drop(run.stream.remove(0)), &[Violation::NotBornScheduled]);
}

#[test]
fn an_overwritten_amount_or_transaction_id_is_found() {
    spoilt(|run| run.stream[2].instruction = "9 EUR BEN-1".into(), &[Violation::Overwritten]);
    let again = Change { transaction_id: Some("tx-2".into()), ..good().stream[2].clone() };
    spoilt(|run| run.stream.push(again), &[Violation::Overwritten]);
}

#[test]
fn a_removed_item_is_found() {
    let removed = Change { status: None, ..good().stream[2].clone() };
    let spoil = |run: &mut Evidence| {
        run.stream.push(removed);
        run.table.remove(0);
        run.journal.remove(0);
    };
    spoilt(spoil, &[Violation::Removed, Violation::Residue]);
}

#[test]
fn a_table_that_disagrees_with_its_stream_is_found() {
    spoilt(|run| drop(run.stream.remove(8)), &[Violation::StreamDisagrees]);
}

#[test]
fn payments_settled_out_of_order_are_found() {
    spoilt(|run| run.journal.reverse(), &[Violation::OutOfOrder]);
}

#[test]
fn the_order_is_by_due_date_before_the_id() {
    let spoil = |run: &mut Evidence| {
        // The second is due a day before the first, and comes after it all the same.
        for change in &mut run.stream[3..6] {
            change.due = "2026-11-23".parse().ok();
        }
        // Its insertion is read first.
        run.stream.rotate_left(3);
    };
    spoilt(spoil, &[Violation::OutOfOrder]);
}

#[test]
fn what_was_inserted_later_failed_before_or_was_refused_by_the_queue_may_come_later() {
    let mut evidence = good();
    evidence.journal.reverse();
    let mut inserted_later = evidence.clone();
    inserted_later.stream.rotate_left(3);
    assert!(check(&inserted_later, Expect::Ended).clean());
    let mut replayed = evidence.clone();
    let life = [Status::Failed, Status::Scheduled, Status::Pending];
    replayed.stream.splice(2..2, life.map(|status| change(&payment(0), status)));
    assert!(check(&replayed, Expect::Ended).clean());
    evidence.overtaken.insert(payment(0).id.to_string());
    assert!(check(&evidence, Expect::Ended).clean());
}

#[test]
fn a_failed_payment_without_a_letter_is_found() {
    spoilt(|run| run.letters.clear(), &[Violation::FailedWithoutDeadLetter]);
}

#[test]
fn a_letter_of_a_payment_that_never_failed_is_found() {
    let letter =
        |number| DeadLetterEvidence { payment: Some(payment(number).id), code: "rejected".into() };
    spoilt(|run| run.letters.push(letter(8)), &[Violation::DeadLetterWithoutFailure]);
    let mut evidence = good();
    evidence.letters.push(letter(1));
    evidence.table[1] = stored(&payment(1), Status::Pending);
    evidence.stream.remove(5);
    only(&check(&evidence, Expect::Open), &[Violation::DeadLetterWithoutFailure]);
}

#[test]
fn a_message_that_the_queue_gave_up_is_found() {
    spoilt(|run| run.letters[0].code = "redriven".into(), &[Violation::GivenUpByQueue]);
}

#[test]
fn a_lost_payment_and_one_that_nobody_inserted_leave_a_residue() {
    spoilt(|run| run.inserted = 4, &[Violation::Residue]);
    spoilt(|run| run.inserted = 2, &[Violation::Residue]);
}
