//! Each rule about what comes from outside, broken once.

use domain::{Failure, FailureCode, Status};
use jiff::tz::TimeZone;

use super::tests::{change, good, only, payment, settled, spoilt, stored};
use super::{Change, DeadLetterEvidence, Evidence, Expect, Violation, check};

/// A letter about one of the payments.
fn letter(number: u8, code: &str) -> DeadLetterEvidence {
    DeadLetterEvidence { payment: Some(payment(number).id), code: code.to_owned() }
}

#[test]
fn a_payment_that_was_settled_before_its_day_at_the_bank_is_found() {
    let at = |time: &'static str, zone: &'static str| {
        move |run: &mut Evidence| {
            run.journal[0].at = time.parse().ok();
            run.zone = TimeZone::get(zone).ok();
        }
    };
    spoilt(at("2026-11-23T23:59:59Z", "UTC"), &[Violation::PaidEarly]);
    spoilt(at("2026-11-24T00:00:00Z", "UTC"), &[]);
    spoilt(at("2026-11-23T23:00:00Z", "Europe/Madrid"), &[]);
    spoilt(at("2026-11-24T04:59:59Z", "America/New_York"), &[Violation::PaidEarly]);
    // Where the bank is nobody says: its day has begun nowhere.
    let unknown =
        |time: &'static str| move |run: &mut Evidence| run.journal[0].at = time.parse().ok();
    spoilt(unknown("2026-11-23T09:59:59Z"), &[Violation::PaidEarly]);
    spoilt(unknown("2026-11-23T10:00:00Z"), &[]);
}

/// Another program writes over a payment: with another amount, and as if it were new.
fn overwritten(run: &mut Evidence, number: u8, after: usize) {
    let changed = Change {
        instruction: "9 EUR BEN-1".to_owned(),
        ..change(&payment(number), Status::Scheduled)
    };
    run.stream.insert(after, changed);
    run.foreign.insert(after);
}

#[test]
fn a_version_that_nobody_approved_and_that_is_paid_is_found() {
    let paid_as_changed = |run: &mut Evidence| {
        overwritten(run, 0, 1);
        run.journal[0].amount = 9;
        for later in &mut run.stream[2..4] {
            later.instruction = "9 EUR BEN-1".to_owned();
        }
    };
    let both = [Violation::PaidUnapproved];
    let mut evidence = good();
    paid_as_changed(&mut evidence);
    let findings = check(&evidence, Expect::Ended);
    assert!(both.iter().all(|violation| findings.count(*violation) == 1), "{findings}");
    // As it was inserted: what the other program wrote came too late.
    let mut evidence = good();
    overwritten(&mut evidence, 0, 3);
    evidence.table[0] = stored(&payment(0), Status::Scheduled);
    evidence.letters.push(letter(0, "overwritten"));
    only(&check(&evidence, Expect::Ended), &[]);
    assert_eq!(check(&evidence, Expect::Ended).noticed, 1);
}

#[test]
fn a_version_that_a_person_has_replayed_may_be_paid() {
    let mut evidence = good();
    overwritten(&mut evidence, 0, 1);
    let version = |status, attempts| Change {
        attempts: Some(attempts),
        instruction: "9 EUR BEN-1".to_owned(),
        ..change(&payment(0), status)
    };
    evidence.stream.splice(2..2, [version(Status::Failed, 0), version(Status::Scheduled, 1)]);
    for later in &mut evidence.stream[4..6] {
        later.instruction = "9 EUR BEN-1".to_owned();
    }
    evidence.journal[0].amount = 9;
    only(&check(&evidence, Expect::Ended), &[]);
}

#[test]
fn what_was_withheld_and_is_taken_up_without_a_person_is_found() {
    let withheld = |attempts| {
        let statuses = [(Status::Failed, 0), (Status::Scheduled, attempts)];
        statuses.map(|(status, attempts)| Change {
            attempts: Some(attempts),
            ..change(&payment(0), status)
        })
    };
    let mut evidence = good();
    evidence.stream.splice(1..1, withheld(0));
    // Back to SCHEDULED, and then PENDING.
    assert_eq!(check(&evidence, Expect::Ended).count(Violation::Undecided), 2);
    let mut evidence = good();
    evidence.stream.splice(1..1, withheld(1));
    only(&check(&evidence, Expect::Ended), &[]);
}

#[test]
fn a_rejection_without_the_contracts_words_is_found() {
    for (reason, expected) in [
        ("422 limit: daily limit reached", &[][..]),
        ("400 without a readable reason", &[Violation::RejectedUncertain]),
        ("400 Bad Request: plain HTTP", &[Violation::RejectedUncertain]),
        ("422", &[Violation::RejectedUncertain]),
    ] {
        let failure = Failure::new(FailureCode::Rejected, reason);
        spoilt(|run| run.table[2].failure = Some(failure), expected);
    }
}

#[test]
fn what_no_scan_finds_and_nobody_is_told_of_is_found() {
    let ahead = |run: &mut Evidence| {
        run.table[1] = stored(&payment(1), Status::Scheduled);
        run.stream.truncate(4);
        run.stream.extend(
            [Status::Scheduled, Status::Pending, Status::Failed].map(|s| change(&payment(2), s)),
        );
        run.journal.truncate(1);
        run.today = "2026-11-23".parse().ok();
    };
    spoilt(ahead, &[]);
    let hidden = |run: &mut Evidence| {
        ahead(run);
        run.hidden.insert(payment(1).id.to_string());
    };
    spoilt(hidden, &[Violation::OutOfSight]);
    let told = |run: &mut Evidence| {
        hidden(run);
        run.letters.push(letter(1, "invalid_item"));
    };
    spoilt(told, &[]);
}

#[test]
fn a_payment_that_was_deleted_before_it_ended_is_found_unless_a_person_is_told() {
    let deleted = |run: &mut Evidence| {
        run.table.remove(1);
        run.stream.truncate(4);
        let gone = Change { status: None, ..change(&payment(1), Status::Scheduled) };
        run.foreign.insert(run.stream.len());
        run.stream.push(gone);
        run.stream.extend(
            [Status::Scheduled, Status::Pending, Status::Failed].map(|s| change(&payment(2), s)),
        );
        run.journal.truncate(1);
    };
    spoilt(deleted, &[Violation::OutOfSight]);
    spoilt(
        |run| {
            deleted(run);
            run.letters.push(letter(1, "overwritten"));
        },
        &[],
    );
    // One that was settled before is done with.
    let later = |run: &mut Evidence| {
        run.table.remove(1);
        let gone = Change { status: None, ..change(&payment(1), Status::Scheduled) };
        run.foreign.insert(run.stream.len());
        run.stream.push(gone);
        run.journal.push(settled(&payment(1)));
        run.journal.pop();
    };
    spoilt(later, &[]);
}
