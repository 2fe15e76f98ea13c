use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

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

fn item() -> Item {
    let payment = longest_payment();
    new_item(&payment, 16).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What is wrong with a new item that was written when it says.
fn breach(item: &Item) -> Option<Breach> {
    let stored = StoredPayment::from_item(item).unwrap();
    check_new(item, &stored, 16, "2026-11-23T01:00:05Z".parse().unwrap()).err()
}

#[test]
fn what_dueflow_inserts_keeps_the_contract() {
    assert_eq!(breach(&item()), None);
}

#[test]
fn every_key_is_derived_again() {
    for name in ["PK", "SK", "DueShard", "DueKey"] {
        let wrong = [
            text("2026-11-23#99"),
            text("2026-11-23#5"),
            text("2027-06-01#05"),
            text(""),
            number(5),
        ];
        for wrong in wrong {
            let mut item = item();
            item.insert(name.to_owned(), wrong);
            assert_eq!(breach(&item).unwrap().attribute(), name);
        }
        let mut item = item();
        item.remove(name);
        let breach = breach(&item).unwrap();
        assert_eq!(breach.attribute(), name);
        assert!(breach.to_string().contains("missing"), "{breach}");
    }
}

#[test]
fn a_currency_that_nobody_is_paid_in_on_the_day_is_no_part_of_a_new_item() {
    for wrong in ["HRK", "BGN", "ZWL", "XXX", "XTS", "XAU", "XDR", "CLF"] {
        let mut item = item();
        item.insert("Currency".to_owned(), text(wrong));
        let breach = breach(&item).unwrap();
        assert_eq!(breach.attribute(), "Currency");
        assert!(breach.to_string().starts_with(&format!("Currency: {wrong} ")), "{breach}");
    }
    let mut item = item();
    item.insert("Currency".to_owned(), text("XCG"));
    assert_eq!(breach(&item), None);
}

#[test]
fn the_shard_follows_from_the_number_of_the_installation() {
    let mut payment = longest_payment();
    // In shard 08 of 16 and in 02 of 10, as the contract says.
    payment.id = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab".parse().unwrap();
    let item = new_item(&payment, 16);
    let item: Item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(check_keys(&item, &payment, 16), Ok(()));
    let expected = format!("{}#02", payment.due);
    let found = Some(format!("{}#08", payment.due));
    let attribute = "DueShard";
    assert_eq!(check_keys(&item, &payment, 10), Err(Breach::Key { attribute, found, expected }));
}

#[test]
fn an_attribute_of_dueflows_own_is_no_part_of_a_new_item() {
    let times = ["ClaimedAt", "SettledAt", "DeadLetteredAt"];
    for name in OWN_ATTRIBUTES {
        let value = match name {
            _ if times.contains(&name) => text("2026-11-23T01:00:00.000Z"),
            "AttemptsBefore" | "AttemptsNotDone" | "DeadLetters" | "ExpiresAt" => number(0),
            "FailureCode" => text("rejected"),
            _ => text("x"),
        };
        let mut item = item();
        item.insert(name.to_owned(), value);
        assert_eq!(breach(&item), Some(Breach::Own(name)));
    }
    let contract = include_str!("../../../docs/item-contract.md");
    let line = contract.lines().find(|line| line.contains("must not be there")).unwrap();
    assert!(OWN_ATTRIBUTES.iter().all(|own| line.contains(&format!("`{own}`"))), "{line}");
    assert_eq!(line.matches('`').count(), 2 * OWN_ATTRIBUTES.len(), "{line}");
}

#[test]
fn a_new_item_is_scheduled_and_was_never_attempted() {
    let mut attempted = item();
    attempted.insert("Attempts".to_owned(), number(3));
    assert_eq!(breach(&attempted), Some(Breach::Attempts(3)));
    for status in [Status::Pending, Status::Processed, Status::Failed, Status::Cancelled] {
        let mut other = item();
        other.insert("Status".to_owned(), text(status.as_str()));
        assert_eq!(breach(&other), Some(Breach::Status(status)));
    }
}

#[test]
fn only_a_creation_more_than_15_minutes_ahead_is_a_fault_and_an_old_one_is_none() {
    let created = |at: &str| {
        let mut item = item();
        item.insert("CreatedAt".to_owned(), text(at));
        item.insert("UpdatedAt".to_owned(), text(at));
        breach(&item)
    };
    assert_eq!(created("2026-11-23T01:15:05Z"), None);
    assert_eq!(created("1999-01-01T00:00:00Z"), None);
    for ahead in ["2026-11-23T01:15:06Z", "2026-11-23T03:00:00Z", "2062-01-01T00:00:00Z"] {
        assert_eq!(created(ahead).unwrap().attribute(), "CreatedAt");
    }
    let mut item = item();
    item.insert("UpdatedAt".to_owned(), text("2026-11-23T01:00:01Z"));
    assert_eq!(breach(&item).unwrap().attribute(), "UpdatedAt");
}

#[test]
fn a_payment_that_waits_again_was_replayed_and_has_not_ended() {
    let mut replayed = item();
    replayed.insert("Attempts".to_owned(), number(2));
    replayed.insert("AttemptsBefore".to_owned(), number(2));
    assert_eq!(check_own(&replayed, Status::Scheduled), Ok(()));
    let by_hand = {
        let mut item = replayed.clone();
        item.remove("AttemptsBefore");
        item
    };
    assert!(check_own(&by_hand, Status::Scheduled).is_err());
    assert_eq!(check_own(&item(), Status::Scheduled), Err(Breach::Attempts(0)));
    assert_eq!(check_own(&item(), Status::Pending), Err(Breach::Attempts(0)));
    for own in OF_AN_END {
        let mut ended = replayed.clone();
        ended.insert(own.to_owned(), text("x"));
        assert_eq!(check_own(&ended, Status::Scheduled), Err(Breach::Own(own)));
        assert_eq!(check_own(&ended, Status::Pending), Err(Breach::Own(own)));
        assert_eq!(check_own(&ended, Status::Processed), Ok(()));
    }
}
