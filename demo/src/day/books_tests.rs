use domain::{AccountId, Amount, BeneficiaryId};
use jiff::Timestamp;
use shared::testing::{sample_payment, scheduled};

use super::*;

fn payment() -> Payment {
    Payment {
        id: PaymentId::generate(),
        account: AccountId::parse("ACC-1").unwrap(),
        due: "2026-11-25".parse().unwrap(),
        amount: Amount::from_minor_units(1250).unwrap(),
        beneficiary: BeneficiaryId::parse("BEN-1").unwrap(),
        created_at: Timestamp::UNIX_EPOCH,
        ..sample_payment()
    }
}

fn stored(payment: &Payment, status: Status, attempts: u32) -> StoredPayment {
    StoredPayment {
        status,
        attempts,
        transaction_id: (status == Status::Processed).then(|| "T-1".to_owned()),
        ..scheduled(payment.clone())
    }
}

/// Settlements of one payment: how many, and their amount.
type Settlements = (usize, i64);

fn journal_of(payment: &Payment, (times, amount): Settlements) -> JournalSettlements {
    let id = payment.id;
    let line = format!(
        "{{\"idempotency_key\":\"{id}\",\"transaction_id\":\"T-1\",\"amount\":{amount}}}\n"
    );
    JournalSettlements::read(line.repeat(times).as_bytes()).unwrap()
}

/// The books of one payment with this planned, found so and settled so.
fn books(
    planned: PlannedEnd,
    found: &[(StoredIn, Status, u32)],
    settlements: Option<Settlements>,
) -> DayBooks {
    let (payment, mut ledger) = (payment(), Ledger::default());
    ledger.expect(&payment, planned);
    let mut journal = journal_of(&payment, settlements.unwrap_or_default());
    let dead_letters = HashMap::from([(payment.id, 1)]);
    for (place, status, attempts) in found {
        let stored = stored(&payment, *status, *attempts);
        ledger.found(*place, &stored, &mut journal, &dead_letters);
    }
    ledger.close(&journal)
}

#[test]
fn each_fate_has_one_place() {
    use StoredIn::{Archive, Payments};
    let once = || Some((1, 1250));
    for (planned, found, journal, balances) in [
        (PlannedEnd::Executed, (Archive, Status::Processed, 1), once(), true),
        (PlannedEnd::Executed, (Payments, Status::Failed, 1), None, true),
        (PlannedEnd::Waits, (Payments, Status::Scheduled, 0), None, true),
        (PlannedEnd::Cancelled, (Payments, Status::Cancelled, 0), None, true),
        (PlannedEnd::Executed, (Payments, Status::Processed, 1), once(), false),
        (PlannedEnd::Executed, (Payments, Status::Failed, 1), once(), false),
        (PlannedEnd::Executed, (Archive, Status::Processed, 1), None, false),
        (PlannedEnd::Executed, (Archive, Status::Processed, 1), Some((2, 1250)), false),
        (PlannedEnd::Executed, (Archive, Status::Processed, 1), Some((1, 1251)), false),
        (PlannedEnd::Waits, (Payments, Status::Scheduled, 1), None, false),
        (PlannedEnd::Waits, (Payments, Status::Pending, 1), None, false),
        (PlannedEnd::Cancelled, (Payments, Status::Cancelled, 0), once(), false),
        (PlannedEnd::Cancelled, (Archive, Status::Processed, 1), once(), false),
    ] {
        let case = format!("{planned:?} {found:?} {journal:?}");
        assert_eq!(books(planned, &[found], journal).balance(), balances, "{case}");
    }
}

#[test]
fn a_payment_in_both_tables_or_in_none_is_a_difference() {
    use StoredIn::{Archive, Payments};
    let both = [(Archive, Status::Processed, 1), (Payments, Status::Processed, 1)];
    assert_eq!(books(PlannedEnd::Executed, &both, Some((1, 1250))).wrong, 1);
    assert_eq!(books(PlannedEnd::Waits, &[], None).wrong, 1);
    // Not found, though it was settled.
    assert_eq!(books(PlannedEnd::Executed, &[], Some((1, 1250))).wrong, 2);
}

#[test]
fn what_was_never_scheduled_is_a_difference() {
    let mut ledger = Ledger::default();
    let stranger = stored(&payment(), Status::Scheduled, 0);
    ledger.found(
        StoredIn::Payments,
        &stranger,
        &mut JournalSettlements::default(),
        &HashMap::new(),
    );
    assert!(!ledger.close(&JournalSettlements::default()).balance());
}
