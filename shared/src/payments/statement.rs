//! The `PartiQL` statements behind each write, made once per table.
//!
//! Up to 25 of them travel in one `BatchExecuteStatement`; each stands alone, with its own
//! condition and its own result (ADR-5).

use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementRequest, ReturnValuesOnConditionCheckFailure,
};
use jiff::Timestamp;

use super::change::{Change, FirstClaim, OperatorDecision, RightVersion};
use super::keys::{partition_key, sort_key};
use super::new_item::{NewItem, blob_item, new_item, time_text};
use domain::{Data, Event, Failure, Money, Payment, PaymentRef};

/// The texts of the statements for one table.
#[derive(Debug)]
pub(super) struct Statements {
    table: String,
    claim: BlobStatements,
    claim_again: BlobStatements,
    resume: BlobStatements,
    settle: String,
    settle_of: String,
    fail: String,
    refuse: String,
    replay: String,
    replay_anew: String,
    discard: String,
    cancel: String,
    withhold: String,
    withhold_replayed: String,
    not_done: String,
    dead_lettered: String,
}

/// A statement that compares the blob: for payments without one, with one in the item, and
/// with one beside it, whose digest is compared.
#[derive(Debug)]
struct BlobStatements {
    without: String,
    with: String,
    beside: String,
}

impl BlobStatements {
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
/// What the table must hold for what was settled.
const MONEY: &str = r#" AND "Amount"=? AND "Currency"=?"#;
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
        let settled = r#" SET "TransactionID"=? SET "SettledAt"=?"#;
        let forget_claim = format!(r#" SET "ClaimedAt"=?{forget}"#);
        Self {
            claim: BlobStatements::new(&claim),
            claim_again: BlobStatements::new(&claim_again),
            resume: BlobStatements::new(&resume),
            settle: update(Event::Settle, settled, ""),
            settle_of: update(Event::Settle, settled, MONEY),
            fail: update(Event::Fail, failure, FENCE),
            refuse: update(Event::Fail, failure, ""),
            replay: update(Event::Replay, &forget, FENCE),
            replay_anew: update(Event::Replay, &forget_claim, FENCE),
            discard: update(Event::Discard, "", FENCE),
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
            Change::SettleOf(_, settlement, Money { amount, currency }) => {
                let id = text(settlement.transaction_id.clone());
                let at = text(time_text(settlement.settled_at));
                let money = vec![AttributeValue::N(amount.to_string()), text(currency.to_string())];
                (&self.settle_of, vec![now(), id, at], money)
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
            Change::Discard(_, made) => (&self.discard, vec![now()], vec![number(made)]),
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
    fn decide(
        &self,
        decision: &OperatorDecision<'_>,
        now: AttributeValue,
    ) -> BatchStatementRequest {
        let number = |value: u32| AttributeValue::N(value.to_string());
        let OperatorDecision { table, attempts, first_claim, right } = decision;
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
#[path = "statement_tests.rs"]
mod tests;
