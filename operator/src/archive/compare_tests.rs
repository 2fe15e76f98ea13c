//! Where payments lie, and in which order they are compared.

use domain::{Amount, BeneficiaryId, Payment, TraceKey};
use shared::testing::scheduled;

use super::*;

fn stored(status: Status) -> Held {
    let now = "2026-11-23T01:00:00Z".parse().unwrap();
    Ok(StoredPayment {
        status,
        attempts: 1,
        claimed_at: Some(now),
        transaction_id: (status == Status::Processed).then(|| "T".to_owned()),
        ..scheduled(Payment {
            id: "019ab1f4-5c1e-7d3a-8b2f-0123456789ab".parse().unwrap(),
            account: AccountId::parse("ACC").unwrap(),
            due: "2026-11-23".parse().unwrap(),
            amount: Amount::from_minor_units(Amount::MAX).unwrap(),
            currency: "EUR".parse().unwrap(),
            beneficiary: BeneficiaryId::parse("B").unwrap(),
            data: None,
            trace_key: TraceKey::parse("019ab1f4-0000-7000-8000-000000000001").unwrap(),
            created_at: now,
        })
    })
}

#[test]
fn a_payment_is_right_in_one_table_only_and_there_only_where_it_belongs() {
    let processed = stored(Status::Processed);
    assert_eq!(place(None, Some(&processed)), FoundIn::Archived);
    assert_eq!(place(Some(&processed), None), FoundIn::Waiting);
    assert_eq!(place(Some(&processed), Some(&processed)), FoundIn::Both);
    assert_eq!(place(None, None), FoundIn::Neither);
    for status in [Status::Scheduled, Status::Pending, Status::Failed, Status::Cancelled] {
        let open = stored(status);
        assert_eq!(place(Some(&open), None), FoundIn::Open, "{status}");
        assert_eq!(place(None, Some(&open)), FoundIn::NotSettled, "{status}");
        assert_eq!(place(Some(&open), Some(&processed)), FoundIn::Differing, "{status}");
    }
    let mut nobodys = stored(Status::Processed);
    nobodys.as_mut().unwrap().transaction_id = None;
    assert_eq!(place(None, Some(&nobodys)), FoundIn::NotSettled);
    let broken = Err(ItemError::Missing { attribute: "Amount" });
    assert_eq!(place(Some(&broken), None), FoundIn::Unreadable);
    assert_eq!(place(Some(&processed), Some(&broken)), FoundIn::Unreadable);
}

#[test]
fn books_with_anything_out_of_place_are_not_right() {
    let (open, processed) = (stored(Status::Failed), stored(Status::Processed));
    let reference = open.as_ref().unwrap().payment.reference();
    let mut books = DayComparison::default();
    books.enter(&reference, Some(&open), None);
    books.enter(&reference, None, Some(&processed));
    assert!(books.is_right());
    assert_eq!((books.count(), books.findings.len()), (2, 0));
    let largest = Amount::MAX.unsigned_abs().into();
    let archived = books.totals[&(FoundIn::Archived, "PROCESSED", "EUR")];
    assert_eq!(archived, Total { count: 1, sum: largest });
    let mut whole = DayComparison::default();
    books.enter(&reference, Some(&processed), None);
    whole.add(books.clone());
    whole.add(books);
    assert!(!whole.is_right());
    assert_eq!((whole.count(), whole.findings.len()), (6, 2));
    let archived = whole.totals[&(FoundIn::Archived, "PROCESSED", "EUR")];
    assert_eq!(archived, Total { count: 2, sum: 2 * largest });
}

fn side(accounts: &[&str]) -> Side {
    let read = accounts.iter().map(|account| {
        format!("{account}/2026-11-23/019ab1f4-5c1e-7d3a-8b2f-0123456789ab").parse().unwrap()
    });
    Side { read: read.collect(), rest: ArchiveRest::Nothing }
}

#[test]
fn both_indexes_are_merged_and_a_payment_in_both_comes_once() {
    let (mut payments, mut archive) = (side(&["A", "C", "C-1", "E"]), side(&["B", "C", "E", "F"]));
    let mut merged = Vec::new();
    while let Some(next) = take(&mut payments, &mut archive) {
        merged.push(next.account.to_string());
    }
    assert_eq!(merged, ["A", "B", "C", "C-1", "E", "F"]);
}
