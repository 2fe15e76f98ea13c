//! The `PartiQL` statements behind each write, made once per table.
//!
//! Up to 25 of them travel in one `BatchExecuteStatement`; each stands alone, with its own
//! condition and its own result (ADR-5).

use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementRequest, ReturnValuesOnConditionCheckFailure,
};
use jiff::Timestamp;

use super::change::{Change, Decision, FirstClaim, RightVersion};
use super::item::{NewItem, blob_item, new_item, partition_key, sort_key, time_text};
use crate::domain::{Data, Event, Failure, Payment, PaymentRef};

/// The texts of the statements for one table.
#[derive(Debug)]
pub(super) struct Statements {
    table: String,
    claim: WithData,
    claim_again: WithData,
    resume: WithData,
    settle: String,
    fail: String,
    refuse: String,
    replay: String,
    replay_anew: String,
    cancel: String,
    withhold: String,
    withhold_replayed: String,
    not_done: String,
    dead_lettered: String,
}

/// A statement that compares the blob: for payments without one, with one in the item, and
/// with one beside it, whose digest is compared.
#[derive(Debug)]
struct WithData {
    without: String,
    with: String,
    beside: String,
}

impl WithData {
    fn new(statement: &str) -> Self {
        Self {
            without: format!("{statement}{WITHOUT_BLOB}"),
            with: format!("{statement}{WITH_BLOB}"),
            beside: format!("{statement}{BLOB_BESIDE}"),
        }
    }

    fn of(&self, payment: &Payment) -> &String {
        match payment.data {
            None => &self.without,
            Some(Data::Whole(_)) => &self.with,
            Some(Data::Beside(_)) => &self.beside,
        }
    }
}

/// What the table must hold for a payment of a message, less the blob. The date is in the key,
/// and in an attribute of its own by which the table is read: both must be the message's.
const SAME: &str =
    r#" AND "ScheduledDate"=? AND "Amount"=? AND "Currency"=? AND "BeneficiaryID"=?"#;
const WITHOUT_BLOB: &str = r#" AND "DataBlob" IS MISSING AND "BlobDigest" IS MISSING"#;
const WITH_BLOB: &str = r#" AND "DataBlob"=?"#;
const BLOB_BESIDE: &str = r#" AND "BlobDigest"=?"#;
/// What fences off other workers.
const FENCE: &str = r#" AND "Attempts"=?"#;
/// What only a payment meets that was never attempted.
const UNTRIED: &str = r#" AND "Attempts"=0"#;
/// The next attempt, as a number: behind the fence it is known.
const NEXT: &str = r#" SET "Attempts"=?"#;
/// What a replay takes away.
const FORGET: &str = r#" REMOVE "FailureCode" REMOVE "FailureReason" REMOVE "AttemptsNotDone""#;

impl Statements {
    pub(super) fn new(table: &str) -> Self {
        let update = |event: Event, sets: &str, and: &str| {
            let (from, to) = event.edge();
            format!(
                r#"UPDATE "{table}" SET "Status"='{to}' SET "UpdatedAt"=?{sets} WHERE "PK"=? AND "SK"=? AND "Status"='{from}'{and}"#
            )
        };
        let first = r#" SET "Attempts"=1 SET "ClaimedAt"=?"#;
        let claim = update(Event::Claim, first, &format!("{UNTRIED}{SAME}"));
        let claim_again = update(Event::Claim, NEXT, &format!("{FENCE}{SAME}"));
        // A status that stays is not written, so the index is not either.
        let (from, _) = Event::Resume.edge();
        let resume = format!(
            r#"UPDATE "{table}"{NEXT} WHERE "PK"=? AND "SK"=? AND "Status"='{from}'{FENCE}{SAME}"#
        );
        // A status that stays, and nothing else but what `sets` says.
        let note = |event: Event, sets: &str| {
            let (from, _) = event.edge();
            format!(
                r#"UPDATE "{table}"{sets} WHERE "PK"=? AND "SK"=? AND "Status"='{from}'{FENCE}"#
            )
        };
        // The dead letter of an earlier failure is not that of this one.
        let failure = r#" SET "FailureCode"=? SET "FailureReason"=? REMOVE "DeadLetteredAt""#;
        let forget = format!(r#" SET "AttemptsBefore"=?{FORGET}"#);
        let forget_claim = format!(r#" SET "ClaimedAt"=?{forget}"#);
        Self {
            claim: WithData::new(&claim),
            claim_again: WithData::new(&claim_again),
            resume: WithData::new(&resume),
            settle: update(Event::Settle, r#" SET "TransactionID"=? SET "SettledAt"=?"#, ""),
            fail: update(Event::Fail, failure, FENCE),
            refuse: update(Event::Fail, failure, ""),
            replay: update(Event::Replay, &forget, FENCE),
            replay_anew: update(Event::Replay, &forget_claim, FENCE),
            cancel: update(Event::Cancel, "", UNTRIED),
            withhold: update(Event::Withhold, failure, UNTRIED),
            withhold_replayed: update(Event::Withhold, failure, FENCE),
            not_done: note(Event::NotDone, r#" SET "AttemptsNotDone"=?"#),
            dead_lettered: note(
                Event::DeadLetter,
                r#" SET "DeadLetters"=? SET "DeadLetteredAt"=?"#,
            ),
            table: table.to_owned(),
        }
    }

    /// The statement that makes `change` at `now`. A failed condition returns the item, so
    /// that nothing has to be read.
    pub(super) fn change(&self, change: &Change<'_>, now: Timestamp) -> BatchStatementRequest {
        let text = |value: String| AttributeValue::S(value);
        let number = |value: &u32| AttributeValue::N(value.to_string());
        let now = || text(time_text(now));
        let fenced = |seen: &u32, payment: &Payment| {
            let mut and = vec![number(seen)];
            and.extend(same_instruction(payment));
            and
        };
        let failure =
            |failure: &Failure| [text(failure.code.to_string()), text(failure.reason.clone())];
        let (statement, sets, and) = match change {
            Change::Claim(payment) => {
                (self.claim.of(payment), vec![now(), now()], same_instruction(payment))
            }
            Change::ClaimAgain(payment, seen) => {
                let next = number(&seen.saturating_add(1));
                (self.claim_again.of(payment), vec![now(), next], fenced(seen, payment))
            }
            Change::Resume(payment, seen) => {
                let next = number(&seen.saturating_add(1));
                (self.resume.of(payment), vec![next], fenced(seen, payment))
            }
            Change::Settle(_, settlement) => {
                let id = text(settlement.transaction_id.clone());
                let at = text(time_text(settlement.settled_at));
                (&self.settle, vec![now(), id, at], vec![])
            }
            Change::Fail(_, why, made) => {
                let [code, reason] = failure(why);
                (&self.fail, vec![now(), code, reason], vec![number(made)])
            }
            Change::Refuse(_, why) => {
                let [code, reason] = failure(why);
                (&self.refuse, vec![now(), code, reason], vec![])
            }
            Change::Replay(_, made, FirstClaim::Stays) => {
                (&self.replay, vec![now(), number(made)], vec![number(made)])
            }
            Change::Replay(_, made, FirstClaim::StartsAnew) => {
                (&self.replay_anew, vec![now(), now(), number(made)], vec![number(made)])
            }
            Change::Cancel(_) => (&self.cancel, vec![now()], vec![]),
            Change::Withhold(_, why) => {
                let [code, reason] = failure(why);
                (&self.withhold, vec![now(), code, reason], vec![])
            }
            Change::WithholdReplayed(_, why, made) => {
                let [code, reason] = failure(why);
                (&self.withhold_replayed, vec![now(), code, reason], vec![number(made)])
            }
            Change::NotDone(_, made, so_many) => {
                (&self.not_done, vec![number(so_many)], vec![number(made)])
            }
            Change::DeadLettered(_, made, so_many) => {
                (&self.dead_lettered, vec![number(so_many), now()], vec![number(made)])
            }
            Change::Decide(decision) => return self.decide(decision, now()),
        };
        conditional(statement.clone(), sets, &change.reference(), and)
    }

    /// The statement of a decision, made when it is needed: one payment at a time is decided.
    fn decide(&self, decision: &Decision<'_>, now: AttributeValue) -> BatchStatementRequest {
        let number = |value: u32| AttributeValue::N(value.to_string());
        let Decision { table, attempts, first_claim, right } = decision;
        let next = number(attempts.saturating_add(1));
        let mut sets = r#" SET "Attempts"=? SET "AttemptsBefore"=?"#.to_owned();
        let mut values = vec![now.clone(), next.clone(), next];
        match first_claim {
            FirstClaim::Stays => {}
            FirstClaim::StartsAnew => {
                sets.push_str(r#" SET "ClaimedAt"=?"#);
                values.push(now);
            }
        }
        let mut removes = FORGET.to_owned();
        match right {
            RightVersion::Table => {}
            RightVersion::Message(payment) => {
                sets.push_str(r#" SET "Amount"=? SET "Currency"=? SET "BeneficiaryID"=?"#);
                // The date is the key's, and stays.
                values.extend(same_instruction(payment).into_iter().skip(1));
                let (set, remove) = match payment.data {
                    None => ("", r#" REMOVE "DataBlob" REMOVE "BlobDigest""#),
                    Some(Data::Whole(_)) => (r#" SET "DataBlob"=?"#, r#" REMOVE "BlobDigest""#),
                    Some(Data::Beside(_)) => (r#" SET "BlobDigest"=?"#, r#" REMOVE "DataBlob""#),
                };
                sets.push_str(set);
                removes.push_str(remove);
            }
        }
        let blob = match table.data {
            None => WITHOUT_BLOB,
            Some(Data::Whole(_)) => WITH_BLOB,
            Some(Data::Beside(_)) => BLOB_BESIDE,
        };
        let (from, to) = Event::Replay.edge();
        let name = &self.table;
        let statement = format!(
            r#"UPDATE "{name}" SET "Status"='{to}' SET "UpdatedAt"=?{sets}{removes} WHERE "PK"=? AND "SK"=? AND "Status"='{from}'{FENCE}{SAME}{blob}"#
        );
        let mut and = vec![number(*attempts)];
        and.extend(same_instruction(table));
        conditional(statement, values, &table.reference(), and)
    }

    /// The statement that inserts `payment` if its key is free.
    pub(super) fn insert(&self, payment: &Payment, shards: u16) -> BatchStatementRequest {
        self.insert_item(new_item(payment, shards))
    }

    /// The statement that inserts the item of the payment's blob if its key is free; `None`
    /// when the payment needs none.
    pub(super) fn insert_blob(&self, payment: &Payment) -> Option<BatchStatementRequest> {
        Some(self.insert_item(blob_item(payment)?))
    }

    fn insert_item(&self, item: NewItem) -> BatchStatementRequest {
        let names: Vec<_> = item.iter().map(|(name, _)| format!("'{name}':?")).collect();
        let statement = format!(r#"INSERT INTO "{}" VALUE {{{}}}"#, self.table, names.join(","));
        request(statement, item.into_iter().map(|(_, value)| value).collect())
            .build()
            .unwrap_or_else(|_| unreachable!("the statement is set"))
    }
}

/// What the table must hold for a payment of a message.
fn same_instruction(payment: &Payment) -> Vec<AttributeValue> {
    let mut same = vec![
        AttributeValue::S(payment.due.to_string()),
        AttributeValue::N(payment.amount.to_string()),
        AttributeValue::S(payment.currency.to_string()),
        AttributeValue::S(payment.beneficiary.to_string()),
    ];
    same.extend(payment.data.iter().map(|data| {
        AttributeValue::S(match data {
            Data::Whole(blob) => blob.as_str().to_owned(),
            Data::Beside(digest) => digest.to_string(),
        })
    }));
    same
}

/// An update of the item that `reference` names. A failed condition returns the item.
fn conditional(
    statement: String,
    sets: Vec<AttributeValue>,
    reference: &PaymentRef,
    and: Vec<AttributeValue>,
) -> BatchStatementRequest {
    let mut parameters = sets;
    parameters.push(AttributeValue::S(partition_key(&reference.account)));
    parameters.push(AttributeValue::S(sort_key(reference)));
    parameters.extend(and);
    request(statement, parameters)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .unwrap_or_else(|_| unreachable!("the statement is set"))
}

fn request(
    statement: String,
    parameters: Vec<AttributeValue>,
) -> aws_sdk_dynamodb::types::builders::BatchStatementRequestBuilder {
    BatchStatementRequest::builder().statement(statement).set_parameters(Some(parameters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FailureCode, Settlement};
    use crate::payments::attribute;

    /// A change that wrote one of these would cost three units in the index instead of one.
    const INDEX_KEYS: [&str; 2] = [attribute::DUE_SHARD, attribute::DUE_KEY];

    fn all() -> Vec<String> {
        let Statements { claim, claim_again, resume, settle, fail, refuse, replay, .. } =
            Statements::new("dueflow-payments");
        let Statements { replay_anew, cancel, withhold, withhold_replayed, .. } =
            Statements::new("dueflow-payments");
        let Statements { not_done, dead_lettered, .. } = Statements::new("dueflow-payments");
        let with_data = [claim, claim_again, resume];
        let mut all: Vec<_> =
            with_data.into_iter().flat_map(|all| [all.without, all.with, all.beside]).collect();
        all.extend([settle, fail, refuse, replay, replay_anew, cancel, withhold]);
        all.extend([withhold_replayed, not_done, dead_lettered]);
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
        assert!(statements.cancel.contains(r#"SET "Status"='CANCELLED'"#));
        assert!(statements.cancel.contains(r#"AND "Status"='SCHEDULED'"#));
    }

    #[test]
    fn each_change_stands_under_exactly_these_conditions() {
        let Statements { claim, claim_again, resume, settle, fail, refuse, replay, .. } =
            Statements::new("t");
        let Statements { replay_anew, cancel, withhold, withhold_replayed, .. } =
            Statements::new("t");
        let Statements { not_done, dead_lettered, .. } = Statements::new("t");
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
        assert_stands_under(&refuse, &[pending]);
        assert_stands_under(&fail, &[pending, fence]);
        assert_stands_under(&replay, &[failed, fence]);
        assert_stands_under(&replay_anew, &[failed, fence]);
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
        let table = crate::payments::item::tests::longest_payment();
        let (attempts, first_claim) = (2, FirstClaim::Stays);
        let decision =
            Decision { table: &table, attempts, first_claim, right: RightVersion::Table };
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
        use crate::domain::{BlobDigest, DataBlob};
        let payment = crate::payments::item::tests::longest_payment();
        let blob = DataBlob::new("x").unwrap();
        let beside = Data::Beside(BlobDigest::of(&blob));
        let beside = Payment { data: Some(beside), ..payment.clone() };
        let whole = Payment { data: Some(Data::Whole(blob)), ..payment.clone() };
        let (reference, failure) = (payment.reference(), Failure::new(FailureCode::Rejected, "x"));
        let settlement =
            Settlement { transaction_id: "T".to_owned(), settled_at: payment.created_at };
        let statements = Statements::new("dueflow-payments");
        let decided = |table, right| {
            let first_claim = FirstClaim::StartsAnew;
            Change::Decide(Decision { table, attempts: 0, first_claim, right })
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
}
