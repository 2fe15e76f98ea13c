use super::*;
use crate::payments::new_item::new_item;
use crate::testing::longest_payment;

type Item = HashMap<String, AttributeValue>;

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u32) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn with<const N: usize>(changes: [(&str, AttributeValue); N]) -> Item {
    let payment = longest_payment();
    let mut item: Item =
        new_item(&payment, 16).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    item.extend(changes.map(|(name, value)| (name.to_owned(), value)));
    item
}

fn of(item: &Item) -> Option<Violation> {
    violation(item, 16, "2026-11-23T10:00:00Z".parse().unwrap())
}

#[test]
fn what_dueflow_writes_in_a_payments_life_is_no_violation() {
    let claimed = ("ClaimedAt", text("2026-11-23T02:00:00Z"));
    let attempts = ("Attempts", number(1));
    for item in [
        with([]),
        with([("Status", text("PENDING")), attempts.clone(), claimed.clone()]),
        with([("Status", text("PROCESSED")), attempts.clone(), ("TransactionID", text("T"))]),
        with([("Status", text("FAILED")), attempts.clone(), ("FailureCode", text("rejected"))]),
        with([attempts, claimed, ("AttemptsBefore", number(1))]),
        with([("Status", text("CANCELLED"))]),
    ] {
        assert_eq!(of(&item), None);
    }
}

#[test]
fn a_waiting_item_that_nobody_would_find_or_pay_is_withheld_where_it_lies() {
    for (name, value) in [
        ("DueShard", text("2026-11-23#99")),
        ("DueShard", number(1)),
        ("DueKey", text("x")),
        ("CreatedAt", text("2062-01-01T00:00:00Z")),
        ("ExpiresAt", number(1)),
    ] {
        let item = with([(name, value)]);
        let found = of(&item).unwrap();
        assert_eq!(found.failure.code, FailureCode::InvalidItem, "{name}");
        assert_eq!(found.withheld_at, Some((reference_from(&item).unwrap(), 0)));
    }
    let mut without = with([]);
    without.remove("DueShard");
    assert!(of(&without).unwrap().failure.reason.contains("DueShard is missing"));
}

#[test]
fn a_waiting_item_with_leftovers_was_written_over() {
    for item in [
        with([("TransactionID", text("T"))]),
        with([("ClaimedAt", text("2026-11-23T02:00:00Z"))]),
        with([("Attempts", number(2))]),
    ] {
        assert_eq!(of(&item).unwrap().failure.code, FailureCode::Overwritten);
    }
}

#[test]
fn an_item_that_does_not_read_is_found_until_it_is_withheld() {
    let broken = with([("Amount", text("1250"))]);
    let found = of(&broken).unwrap();
    assert_eq!(found.failure.code, FailureCode::MalformedRecord);
    assert!(found.withheld_at.is_some() && found.payment.is_none());
    for code in ["malformed_record", "invalid_item", "overwritten"] {
        let failed = [("Status", text("FAILED")), ("FailureCode", text(code))];
        assert_eq!(of(&with(failed)), None);
    }
    let mut marked = broken;
    marked.insert("Status".to_owned(), text("FAILED"));
    marked.insert("FailureCode".to_owned(), text("malformed_record"));
    assert_eq!(of(&marked), None);
}

#[test]
fn an_item_that_has_ended_or_is_being_paid_is_listed_and_never_withheld() {
    for status in ["PENDING", "PROCESSED", "FAILED"] {
        let attempts = ("Attempts", number(1));
        let item = with([("Status", text(status)), attempts, ("DueShard", text("x"))]);
        let found = of(&item).unwrap();
        assert_eq!(found.withheld_at, None, "{status}");
    }
}
