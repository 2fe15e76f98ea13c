use super::*;
use crate::payments::attribute;
use domain::{FailureCode, Settlement};

/// A change that wrote one of these would cost three units in the index instead of one.
const INDEX_KEYS: [&str; 2] = [attribute::DUE_SHARD, attribute::DUE_KEY];

fn all() -> Vec<String> {
    let Statements { claim, claim_again, resume, settle, fail, refuse, replay, .. } =
        Statements::new("dueflow-payments");
    let Statements { replay_anew, cancel, withhold, withhold_replayed, .. } =
        Statements::new("dueflow-payments");
    let Statements { not_done, dead_lettered, settle_of, discard, .. } =
        Statements::new("dueflow-payments");
    let with_data = [claim, claim_again, resume];
    let mut all: Vec<_> =
        with_data.into_iter().flat_map(|all| [all.without, all.with, all.beside]).collect();
    all.extend([settle, fail, refuse, replay, replay_anew, cancel, withhold]);
    all.extend([withhold_replayed, not_done, dead_lettered, settle_of, discard]);
    all
}

#[test]
fn a_change_to_failed_takes_the_mark_of_an_earlier_dead_letter_away() {
    let Statements { fail, refuse, withhold, withhold_replayed, .. } =
        Statements::new("dueflow-payments");
    for statement in [fail, refuse, withhold, withhold_replayed] {
        assert!(statement.contains(r#"REMOVE "DeadLetteredAt""#), "{statement}");
    }
}

#[test]
fn a_message_of_another_day_than_the_items_is_not_claimed() {
    let statements = Statements::new("dueflow-payments");
    let Statements { claim, claim_again, resume, .. } = &statements;
    for statement in [&claim.with, &claim_again.without, &resume.beside] {
        assert!(statement.contains(r#"AND "ScheduledDate"=?"#), "{statement}");
    }
}

#[test]
fn conditions_come_from_the_transition_function() {
    let statements = Statements::new("dueflow-payments");
    for statement in [&statements.claim.with, &statements.claim_again.without] {
        assert!(statement.contains(r#"SET "Status"='PENDING'"#));
        assert!(statement.contains(r#"AND "Status"='SCHEDULED'"#));
    }
    for statement in [&statements.settle, &statements.fail, &statements.refuse] {
        assert!(statement.contains(r#"AND "Status"='PENDING'"#));
    }
    assert!(statements.resume.with.contains(r#"AND "Status"='PENDING'"#));
    for statement in [&statements.replay, &statements.replay_anew] {
        assert!(statement.contains(r#"SET "Status"='SCHEDULED'"#));
        assert!(statement.contains(r#"AND "Status"='FAILED'"#));
    }
    assert!(statements.discard.contains(r#"SET "Status"='CANCELLED'"#));
    assert!(statements.cancel.contains(r#"SET "Status"='CANCELLED'"#));
    assert!(statements.cancel.contains(r#"AND "Status"='SCHEDULED'"#));
}

#[test]
fn each_change_stands_under_exactly_these_conditions() {
    let Statements { claim, claim_again, resume, settle, fail, refuse, replay, .. } =
        Statements::new("t");
    let Statements { replay_anew, cancel, withhold, withhold_replayed, .. } = Statements::new("t");
    let Statements { not_done, dead_lettered, settle_of, discard, .. } = Statements::new("t");
    let same = r#""ScheduledDate"=? AND "Amount"=? AND "Currency"=? AND "BeneficiaryID"=?"#;
    let (scheduled, pending) = (r#""Status"='SCHEDULED'"#, r#""Status"='PENDING'"#);
    let (untried, fence) = (r#""Attempts"=0"#, r#""Attempts"=?"#);
    for (statements, mut conditions) in [
        (claim, vec![scheduled, untried, same]),
        (claim_again, vec![scheduled, fence, same]),
        (resume, vec![pending, fence, same]),
    ] {
        for (statement, blob) in [
            (statements.without, r#""DataBlob" IS MISSING AND "BlobDigest" IS MISSING"#),
            (statements.with, r#""DataBlob"=?"#),
            (statements.beside, r#""BlobDigest"=?"#),
        ] {
            conditions.push(blob);
            assert_stands_under(&statement, &conditions);
            conditions.pop();
        }
    }
    let failed = r#""Status"='FAILED'"#;
    assert_stands_under(&settle, &[pending]);
    assert_stands_under(&settle_of, &[pending, r#""Amount"=? AND "Currency"=?"#]);
    assert_stands_under(&refuse, &[pending]);
    assert_stands_under(&fail, &[pending, fence]);
    assert_stands_under(&replay, &[failed, fence]);
    assert_stands_under(&replay_anew, &[failed, fence]);
    assert_stands_under(&discard, &[failed, fence]);
    assert_stands_under(&cancel, &[scheduled, untried]);
    assert_stands_under(&withhold, &[scheduled, untried]);
    assert_stands_under(&withhold_replayed, &[scheduled, fence]);
    assert_stands_under(&not_done, &[pending, fence]);
    assert_stands_under(&dead_lettered, &[failed, fence]);
}

fn assert_stands_under(statement: &str, conditions: &[&str]) {
    let expected = [&[r#""PK"=? AND "SK"=?"#], conditions].concat().join(" AND ");
    let (_, conditions) = statement.split_once(" WHERE ").unwrap();
    assert_eq!(conditions, expected, "{statement}");
}

#[test]
fn a_decision_stands_under_the_version_that_the_person_has_seen_and_raises_the_attempts() {
    let table = crate::testing::longest_payment();
    let (attempts, first_claim) = (2, FirstClaim::Stays);
    let decision =
        OperatorDecision { table: &table, attempts, first_claim, right: RightVersion::Table };
    let request = Statements::new("t").change(&Change::Decide(decision), table.created_at);
    let conditions = [
        r#""Status"='FAILED'"#,
        r#""Attempts"=?"#,
        r#""ScheduledDate"=? AND "Amount"=? AND "Currency"=? AND "BeneficiaryID"=?"#,
        r#""DataBlob" IS MISSING AND "BlobDigest" IS MISSING"#,
    ];
    assert_stands_under(request.statement(), &conditions);
    let three = AttributeValue::N("3".to_owned());
    assert_eq!(request.parameters()[1..3], [three.clone(), three]);
}

#[test]
fn whoever_acts_on_a_payment_again_is_fenced_by_its_attempts() {
    let statements = Statements::new("dueflow-payments");
    let Statements { claim_again, resume, fail, replay, replay_anew, .. } = &statements;
    let Statements { withhold_replayed, not_done, dead_lettered, .. } = &statements;
    for statement in [
        &claim_again.with,
        &resume.with,
        fail,
        replay,
        replay_anew,
        withhold_replayed,
        not_done,
        dead_lettered,
    ] {
        assert!(statement.contains(r#"AND "Attempts"=?"#), "{statement}");
    }
    assert!(statements.claim.with.contains(r#"AND "Attempts"=0"#));
}

#[test]
fn only_a_payment_that_was_never_attempted_is_cancelled_or_withheld() {
    let Statements { cancel, withhold, .. } = Statements::new("dueflow-payments");
    for statement in [cancel, withhold] {
        assert!(statement.contains(r#"AND "Status"='SCHEDULED'"#), "{statement}");
        assert!(statement.ends_with(r#"AND "Attempts"=0"#), "{statement}");
    }
    let Statements { withhold_replayed, .. } = Statements::new("dueflow-payments");
    let whatever_was_claimed_since = r#"AND "Status"='SCHEDULED' AND "Attempts"=?"#;
    assert!(withhold_replayed.ends_with(whatever_was_claimed_since), "{withhold_replayed}");
}

#[test]
fn no_change_of_status_writes_a_key_of_the_index() {
    for statement in all() {
        for key in INDEX_KEYS {
            assert!(!statement.contains(key), "{statement} writes {key}");
        }
    }
}

#[test]
fn every_statement_has_as_many_parameters_as_it_asks_for() {
    use domain::{BlobDigest, DataBlob};
    let payment = crate::testing::longest_payment();
    let blob = DataBlob::new("x").unwrap();
    let beside = Data::Beside(BlobDigest::of(&blob));
    let beside = Payment { data: Some(beside), ..payment.clone() };
    let whole = Payment { data: Some(Data::Whole(blob)), ..payment.clone() };
    let (reference, failure) = (payment.reference(), Failure::new(FailureCode::Rejected, "x"));
    let settlement = Settlement { transaction_id: "T".to_owned(), settled_at: payment.created_at };
    let statements = Statements::new("dueflow-payments");
    let decided = |table, right| {
        let first_claim = FirstClaim::StartsAnew;
        Change::Decide(OperatorDecision { table, attempts: 0, first_claim, right })
    };
    for change in [
        Change::Claim(&payment),
        Change::Claim(&beside),
        Change::Claim(&whole),
        Change::Resume(&beside, 1),
        Change::ClaimAgain(&payment, 1),
        Change::Resume(&payment, 1),
        Change::Settle(&reference, &settlement),
        Change::Fail(&reference, &failure, 1),
        Change::Refuse(&reference, &failure),
        Change::Replay(&reference, 1, FirstClaim::Stays),
        Change::Replay(&reference, 1, FirstClaim::StartsAnew),
        Change::Discard(&reference, 1),
        Change::Cancel(&reference),
        Change::Withhold(&reference, &failure),
        Change::WithholdReplayed(&reference, &failure, 1),
        Change::NotDone(&reference, 2, 1),
        Change::DeadLettered(&reference, 1, 1),
        decided(&payment, RightVersion::Table),
        decided(&payment, RightVersion::Message(&whole)),
        decided(&beside, RightVersion::Message(&payment)),
        decided(&whole, RightVersion::Message(&beside)),
    ] {
        let request = statements.change(&change, payment.created_at);
        let asked = request.statement().matches('?').count();
        assert_eq!(asked, request.parameters().len(), "{}", request.statement());
    }
}
