use domain::{AccountId, Amount, Failure, FailureCode, Payment, PaymentId};
use shared::testing::{sample_payment, scheduled};

use super::*;

fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

fn stored() -> StoredPayment {
    scheduled(Payment {
        id: PaymentId::generate(),
        account: AccountId::parse("ACC-1").unwrap(),
        due: "2026-11-24".parse().unwrap(),
        amount: Amount::from_minor_units(1).unwrap(),
        created_at: now(),
        ..sample_payment()
    })
}

fn of(stored: &StoredPayment) -> Option<SweepSkipReason> {
    skip_reason(&stored.payment.reference(), stored, "2026-11-24".parse().unwrap(), now())
}

#[test]
fn a_scan_takes_what_waits_on_its_own_day_and_what_was_replayed() {
    assert_eq!(of(&stored()), None);
    let replayed =
        StoredPayment { attempts: 2, attempts_before: 2, claimed_at: Some(now()), ..stored() };
    assert_eq!(of(&replayed), None);
}

#[test]
fn a_scan_leaves_a_payment_of_another_day_whatever_its_shard_says() {
    let mut ahead = stored();
    ahead.payment.due = "2027-06-01".parse().unwrap();
    assert_eq!(of(&ahead), Some(SweepSkipReason::Day));
}

#[test]
fn a_scan_leaves_an_item_under_the_keys_of_another_payment() {
    let stored = stored();
    let other = PaymentRef { id: PaymentId::generate(), ..stored.payment.reference() };
    let found = skip_reason(&other, &stored, "2026-11-24".parse().unwrap(), now());
    assert_eq!(found, Some(SweepSkipReason::Keys));
}

#[test]
fn a_scan_leaves_what_was_settled_or_claimed_before_and_written_over() {
    let rejected = Failure::new(FailureCode::Rejected, "x");
    for left in [
        StoredPayment { transaction_id: Some("T".to_owned()), ..stored() },
        StoredPayment { settled_at: Some(now()), ..stored() },
        StoredPayment { failure: Some(rejected), ..stored() },
        StoredPayment { claimed_at: Some(now()), ..stored() },
        StoredPayment { attempts_before: 1, ..stored() },
        StoredPayment { attempts: 1, transaction_id: Some("T".to_owned()), ..stored() },
    ] {
        assert_eq!(of(&left), Some(SweepSkipReason::Leftovers), "{left:?}");
    }
}

#[test]
fn a_scan_leaves_what_says_that_it_was_created_in_the_future() {
    let mut ahead = stored();
    ahead.payment.created_at = now() + CLOCK_MARGIN;
    assert_eq!(of(&ahead), None);
    ahead.payment.created_at += CLOCK_MARGIN;
    assert_eq!(of(&ahead), Some(SweepSkipReason::CreatedAhead));
}
