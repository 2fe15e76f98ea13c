//! Each guard of the dispatcher, alone: the whole dispatcher over ports that do what they are
//! told and note each call in its order.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use domain::{Amount, Certainty, Outcome, Payment, RefusalCodes};
use shared::payments::{BlobError, ChangeError};
use world::{Call, World, blob, payment, pending, settled_in_archive, work};

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

fn rejected() -> Outcome {
    let code = RefusalCodes::Form.take("limit").unwrap();
    Outcome::Rejected { code, reason: "422 limit: reached".to_owned() }
}

fn passing() -> ChangeError {
    ChangeError::Database { code: "x".to_owned(), message: "throttled".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_payment_is_claimed_then_submitted_then_recorded_and_then_its_message_goes() {
    let log = work(World::with(&[payment("A", 0)])).await;
    came_in_order(&log, &["claim A0", "submit A0", "confirm A", "delete A0"]);
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_could_not_be_recorded_keeps_its_message() {
    let log = work(World::with(&[payment("A", 0)]).failing(Call::Confirm)).await;
    came_in_order(&log, &["submit A0", "release A0"]);
    never_came(&log, "delete");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_payment_is_failed_then_dead_lettered_and_then_its_message_goes() {
    let log = work(World::with(&[payment("A", 0)]).answering("A0", rejected())).await;
    came_in_order(
        &log,
        &["submit A0", "fail A0", "dead letter A0 rejected", "mark A0", "delete A0"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_could_not_be_failed_has_no_dead_letter_and_keeps_its_message() {
    for call in [Call::Fail, Call::FailRefused] {
        let world = World::with(&[payment("A", 0)]).answering("A0", rejected());
        let log = work(world.failing(call)).await;
        came_in_order(&log, &["fail A0", "release A0"]);
        never_came(&log, "dead letter");
        never_came(&log, "delete");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_could_not_be_dead_lettered_keeps_its_message() {
    let failed = World::with(&[payment("A", 0)]).answering("A0", rejected());
    let unreadable = World::with(&[payment("A", 0)]).with_body("A0", "n#nsense");
    let absent = World::with(&[payment("A", 0)]).claiming("A0", ChangeError::Missing);
    for world in [failed, unreadable, absent] {
        let log = work(world.failing(Call::DeadLetter)).await;
        came_in_order(&log, &["no dead letter", "release A0"]);
        never_came(&log, "delete");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_no_payment_is_dead_lettered_and_then_goes() {
    let log = work(World::with(&[payment("A", 0)]).with_body("A0", "n#nsense")).await;
    came_in_order(&log, &["dead letter raw malformed_message", "delete A0"]);
    never_came(&log, "claim");
    never_came(&log, "submit");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_submitted_whose_claim_was_not_decided() {
    let one = World::with(&[payment("A", 0)]).claiming("A0", passing());
    let whole = World::with(&[payment("A", 0)]).failing(Call::Claim);
    for world in [one, whole] {
        let log = work(world).await;
        came_in_order(&log, &["claim A0", "release A0"]);
        never_came(&log, "submit");
        never_came(&log, "delete");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_found_pending_is_asked_for_after_a_write_that_only_one_worker_makes() {
    let found = || World::with(&[payment("A", 0)]).claiming("A0", pending(payment("A", 0), 1));
    let log = work(found()).await;
    came_in_order(&log, &["claim A0", "resume A0", "ask A0", "submit A0", "delete A0"]);
    // Another worker has begun a turn since.
    let log = work(found().turning("A0", pending(payment("A", 0), 2))).await;
    came_in_order(&log, &["resume A0", "release A0"]);
    never_came(&log, "ask");
    never_came(&log, "submit");
}

#[tokio::test(start_paused = true)]
async fn what_follows_an_undecided_claim_in_its_account_goes_back_with_it_in_order() {
    let payments = [payment("A", 0), payment("A", 1), payment("B", 2)];
    let log = work(World::with(&payments).claiming("A0", passing())).await;
    came_in_order(&log, &["release A1", "release A0"]);
    never_came(&log, "submit A1");
    came_in_order(&log, &["submit B2", "delete B2"]);
}

#[tokio::test(start_paused = true)]
async fn a_payment_is_submitted_when_the_one_before_it_in_its_account_is_answered() {
    let log = work(World::with(&[payment("A", 0), payment("A", 1)])).await;
    came_in_order(&log, &["submit A0", "answer A0", "submit A1"]);
}

#[tokio::test(start_paused = true)]
async fn what_must_wait_takes_the_rest_of_its_account_back_and_nobody_elses() {
    let (certainty, reason) = (Certainty::Certain, "503 unavailable: x".to_owned());
    let busy = Outcome::NotDone { certainty, retry_after: None, reason };
    let payments = [payment("A", 0), payment("A", 1), payment("B", 2)];
    let log = work(World::with(&payments).answering("A0", busy)).await;
    came_in_order(&log, &["submit A0", "release A1", "release A0"]);
    never_came(&log, "submit A1");
    came_in_order(&log, &["submit B2", "confirm B", "delete B2"]);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_comes_twice_in_one_receive_is_worked_on_once() {
    let twice = payment("A", 0);
    let log = work(World::with(&[twice.clone(), twice])).await;
    // The second message is given back, and comes again when the first is done.
    came_in_order(&log, &["release A0", "answer A0", "resume A0", "ask A0"]);
    assert_eq!(log.iter().filter(|call| *call == "submit A0").count(), 1, "{log:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_key_grew_old_while_it_waited_for_its_turn_is_not_submitted() {
    // One call a second, and a key is trusted for three quarters of one.
    let world =
        World::with(&[payment("A", 0), payment("B", 1)]).remembering(Duration::from_secs(1));
    let log = work(world.at_most_a_second(1)).await;
    came_in_order(&log, &["submit A0", "release B1"]);
    never_came(&log, "submit B1");
}

fn overdue() -> Payment {
    Payment { due: "2026-11-22".parse().unwrap(), ..payment("A", 0) }
}

#[tokio::test(start_paused = true)]
async fn an_overdue_payment_that_was_archived_is_confirmed_and_not_submitted() {
    let log = work(World::with(&[overdue()]).archived(settled_in_archive(overdue()))).await;
    came_in_order(&log, &["confirm A", "delete A0"]);
    never_came(&log, "submit");
}

#[tokio::test(start_paused = true)]
async fn an_overdue_payment_is_not_submitted_while_the_archive_cannot_be_read_or_contradicts_it() {
    let log = work(World::with(&[overdue()]).failing(Call::Archive)).await;
    came_in_order(&log, &["claim A0", "release A0"]);
    never_came(&log, "submit");
    let dearer = Payment { amount: Amount::from_minor_units(9).unwrap(), ..overdue() };
    let log = work(World::with(&[overdue()]).archived(settled_in_archive(dearer))).await;
    came_in_order(&log, &["fail A0", "dead letter A0 mismatch", "delete A0"]);
    never_came(&log, "submit");
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_payment_the_table_lacks_goes_only_if_the_archive_has_it_settled() {
    let absent = || World::with(&[payment("A", 0)]).claiming("A0", ChangeError::Missing);
    let log = work(absent().archived(settled_in_archive(payment("A", 0)))).await;
    came_in_order(&log, &["delete A0"]);
    never_came(&log, "dead letter");
    let log = work(absent()).await;
    came_in_order(&log, &["dead letter raw missing", "delete A0"]);
    let dearer = Payment { amount: Amount::from_minor_units(9).unwrap(), ..payment("A", 0) };
    let log = work(absent().archived(settled_in_archive(dearer))).await;
    came_in_order(&log, &["dead letter raw mismatch", "delete A0"]);
    let log = work(absent().failing(Call::Archive)).await;
    came_in_order(&log, &["release A0"]);
    never_came(&log, "dead letter");
    never_came(&log, "delete");
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_blob_is_missing_another_one_or_unread_is_not_submitted() {
    for (error, then) in [
        (BlobError::Missing, "dead letter A0 missing"),
        (BlobError::Differs, "dead letter A0 mismatch"),
        (BlobError::Unread, "release A0"),
    ] {
        let log = work(World::with(&[blob(payment("A", 0))]).with_blob(error)).await;
        came_in_order(&log, &["claim A0", then]);
        never_came(&log, "submit");
    }
}
