//! Each guard of the confirmer's worker, alone: the whole confirmer over ports that do what they
//! are told and note each call in its order.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use domain::{Failure, FailureCode, Status};
use shared::payments::{ApplyResult, ChangeError};
use shared::queue::ReportedResult;
use world::{Call, World, refused, settled, stored, work};

/// Asserts that calls came, in this order.
fn came_in_order(log: &[String], calls: &[&str]) {
    let places = calls.iter().map(|call| {
        let place = log.iter().position(|logged| logged == call);
        place.unwrap_or_else(|| panic!("{call} did not come: {log:#?}"))
    });
    assert!(places.is_sorted(), "{calls:?} came in another order: {log:#?}");
}

fn never_came(log: &[String], call: &str) {
    assert!(!log.iter().any(|logged| logged.starts_with(call)), "{call} came: {log:#?}");
}

fn in_status(status: Status) -> ChangeError {
    ChangeError::InStatus(Box::new(stored(status, "T-other")))
}

fn throttled() -> ChangeError {
    ChangeError::Database { code: "x".to_owned(), message: "throttled".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_is_written_before_its_message_goes_also_when_it_was_written_before() {
    for applied in [ApplyResult::Now, ApplyResult::Before] {
        let log = work(World::with(&[settled("T")]).writing(Ok(applied))).await;
        assert_eq!(log, ["settle", "delete m0"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_could_not_be_written_keeps_its_message() {
    let one = World::with(&[settled("T")]).writing(Err(throttled()));
    let whole = World::with(&[settled("T")]).failing(Call::Write);
    for world in [one, whole] {
        let log = work(world).await;
        assert_eq!(log, ["settle", "release m0"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_the_table_contradicts_is_dead_lettered_before_its_message_goes() {
    for status in Status::ALL {
        let world = || World::with(&[settled("T")]).writing(Err(in_status(status)));
        assert_eq!(
            work(world()).await,
            ["settle", "dead letter conflict", "delete m0"],
            "{status}"
        );
        let log = work(world().failing(Call::DeadLetter)).await;
        assert_eq!(log, ["settle", "no dead letter", "release m0"], "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_written_then_dead_lettered_with_its_payment_and_then_its_message_goes() {
    let world = || World::with(&[refused()]).writing(Ok(ApplyResult::Now));
    let log = work(world().holding(stored(Status::Failed, "T"))).await;
    assert_eq!(log, ["refuse", "read", "dead letter refused of ACC", "mark", "delete m0"]);
    let log = work(world().holding(stored(Status::Failed, "T")).failing(Call::DeadLetter)).await;
    assert_eq!(log, ["refuse", "read", "no dead letter", "release m0"]);
    // The item is gone, or cannot be read.
    assert_eq!(work(world()).await, ["refuse", "read", "release m0"]);
    assert_eq!(work(world().failing(Call::Read)).await, ["refuse", "read", "release m0"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_no_confirmation_is_dead_lettered_before_it_goes() {
    let world = || World::with(&[settled("T")]).with_body("n#nsense");
    assert_eq!(work(world()).await, ["dead letter malformed_message", "delete m0"]);
    let log = work(world().failing(Call::DeadLetter)).await;
    assert_eq!(log, ["no dead letter", "release m0"]);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_comes_twice_in_one_receive_is_written_once_and_its_second_message_waits() {
    let log = work(World::with(&[settled("T"), settled("T2")])).await;
    came_in_order(&log, &["release m1", "settle", "delete m0"]);
    never_came(&log, "delete m1");
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_with_another_payments_transaction_id_is_a_conflict_and_writes_nothing() {
    let world = || World::with(&[settled("T"), settled("T")]).each_of_its_own_payment();
    let log = work(world()).await;
    assert_eq!(log, ["dead letter conflict", "delete m1", "settle", "delete m0"]);
    // The second one stays until its dead letter is written.
    let log = work(world().failing(Call::DeadLetter)).await;
    came_in_order(&log, &["no dead letter", "release m1"]);
    never_came(&log, "delete m1");
}

#[tokio::test(start_paused = true)]
async fn a_settlement_whose_payment_the_table_lacks_goes_only_if_the_archive_has_it() {
    let absent = || World::with(&[settled("T")]).writing(Err(ChangeError::Missing));
    let log = work(absent().archived(stored(Status::Processed, "T"))).await;
    assert_eq!(log, ["settle", "archive lookup", "delete m0"]);
    let log = work(absent().archived(stored(Status::Processed, "T-other"))).await;
    assert_eq!(log, ["settle", "archive lookup", "dead letter conflict", "delete m0"]);
    let log = work(absent()).await;
    assert_eq!(log, ["settle", "archive lookup", "dead letter conflict", "delete m0"]);
    let log = work(absent().failing(Call::Archive)).await;
    assert_eq!(log, ["settle", "archive lookup", "release m0"]);
}

#[tokio::test(start_paused = true)]
async fn a_reported_refusal_never_counts_as_the_answer_to_a_submission() {
    // Whatever code its sender gave it: `rejected` would be replayed without asking.
    let failure = Failure::new(FailureCode::Rejected, "422 closed: x");
    let log = work(World::with(&[ReportedResult::Rejected(failure)])).await;
    came_in_order(&log, &["refuse", "read"]);
    let world = World::with(&[refused()]).holding(stored(Status::Failed, "T"));
    came_in_order(&work(world).await, &["dead letter refused of ACC"]);
}
