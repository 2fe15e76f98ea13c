use domain::{AccountId, Amount, DueDate, Payment, PaymentId, Status};
use proptest::prelude::*;
use shared::testing::{sample_payment, scheduled};

use super::*;

fn at(text: &str) -> Timestamp {
    format!("2026-11-24T{text}Z").parse().unwrap()
}

fn stored(status: Status, attempts: u32, created: &str) -> StoredPayment {
    let payment = Payment {
        id: PaymentId::generate(),
        account: AccountId::parse("ACC-1").unwrap(),
        due: "2026-11-24".parse::<DueDate>().unwrap(),
        amount: Amount::from_minor_units(1).unwrap(),
        created_at: at(created),
        ..sample_payment()
    };
    StoredPayment { updated_at: at("09:00:00"), status, attempts, ..scheduled(payment) }
}

const NOT_WAITING: [Status; 4] =
    [Status::Pending, Status::Processed, Status::Failed, Status::Cancelled];

#[test]
fn an_opening_carries_what_was_inserted_before_the_day_or_within_the_margin() {
    let start = at("00:00:00");
    let opens = |created| opens(&stored(Status::Scheduled, 0, created), start).is_some();
    assert!(opens("00:00:00") && opens("00:14:59"));
    assert!(!opens("00:15:00") && !opens("08:00:00"));
    for status in NOT_WAITING {
        assert_eq!(super::opens(&stored(status, 0, "00:00:00"), start), None);
    }
}

#[test]
fn an_opening_carries_what_was_replayed_before_the_day() {
    let replayed = |updated| {
        let stored = stored(Status::Scheduled, 2, "00:00:00");
        opens(&StoredPayment { updated_at: at(updated), ..stored }, at("08:00:00"))
    };
    assert_eq!(replayed("07:00:00"), Some(Dispatch::Again(2)));
    assert_eq!(replayed("08:14:59"), Some(Dispatch::Again(2)));
    assert_eq!(replayed("08:15:00"), None, "its own message carries it");
}

#[test]
fn only_what_was_written_where_nobody_read_is_lost() {
    let lost = |since: Option<&str>, until: Option<&str>| LostRecords {
        since: since.map(at),
        until: until.map(at),
    };
    let start = at("00:00:00");
    let is =
        |created, lost: LostRecords| is_lost(&stored(Status::Scheduled, 0, created), start, &lost);
    let hour = lost(Some("10:00:00"), Some("11:00:00"));
    for (created, expected) in [
        ("09:44:59", false),
        ("09:45:00", true),
        ("10:30:00", true),
        ("11:15:00", true),
        ("11:15:01", false),
    ] {
        assert_eq!(is(created, hour).is_some(), expected, "{created}");
    }
    assert!(is("23:00:00", lost(Some("10:00:00"), None)).is_some());
    assert!(is("00:00:00", lost(None, None)).is_some());
    let next_day = at("12:00:00");
    let ahead = stored(Status::Scheduled, 0, "10:30:00");
    assert_eq!(is_lost(&ahead, next_day, &hour), None, "it is the opening's");
    assert_eq!(is_lost(&stored(Status::Scheduled, 2, "10:30:00"), start, &hour), None);
    for status in NOT_WAITING {
        assert_eq!(is_lost(&stored(status, 0, "10:30:00"), start, &hour), None);
    }
}

#[test]
fn a_payment_waits_since_it_was_inserted_and_a_replay_since_it_was_made() {
    let waits = |stored: StoredPayment, since| super::waits(&stored, at(since));
    let new = |created| stored(Status::Scheduled, 0, created);
    assert_eq!(waits(new("10:00:00"), "10:00:01"), Some(Dispatch::First));
    assert_eq!(waits(new("10:00:00"), "10:00:00"), None);
    let replay = || stored(Status::Scheduled, 3, "01:00:00");
    assert_eq!(waits(replay(), "09:00:01"), Some(Dispatch::Again(3)));
    assert_eq!(waits(replay(), "09:00:00"), None);
    for status in NOT_WAITING {
        assert_eq!(waits(stored(status, 0, "01:00:00"), "23:00:00"), None);
    }
}

#[test]
fn a_queue_that_may_carry_all_is_left_alone_and_one_that_cannot_is_not() {
    use MessageCoverage::{Covered, NothingWaits, Uncovered};
    for (scheduled, queued, coverage) in [
        (0, 0, NothingWaits),
        (0, 1_000_000, NothingWaits),
        (1, 0, Uncovered),
        (1, 1_000, Uncovered),
        (1, 1_001, Covered),
        (1_000_000, 1_000_000, Covered),
        (1_000_000, 500_000, Covered),
        (1_000_001, 500_000, Uncovered),
        (3_000, 1_000, Uncovered),
        (u64::MAX, u64::MAX, Covered),
    ] {
        assert_eq!(
            message_coverage(scheduled, queued),
            coverage,
            "{scheduled} with {queued} messages"
        );
    }
}

proptest! {
    /// Whichever of the payments have a message.
    #[test]
    fn what_is_queued_twice_is_little_or_less_than_what_had_no_message(
        scheduled in 0_u64..3_000_000,
        with_message in 0_u64..3_000_000,
        others in 0_u64..100_000,
    ) {
        let with_message = with_message.min(scheduled);
        let queued = with_message + others;
        match message_coverage(scheduled, queued) {
            MessageCoverage::NothingWaits => prop_assert_eq!(scheduled, 0),
            MessageCoverage::Covered => prop_assert!(queued > FEW),
            MessageCoverage::Uncovered => {
                let without = scheduled - with_message;
                prop_assert!(with_message <= FEW || with_message < without);
            }
        }
    }

    /// Once a backlog has drained, nothing is left waiting.
    #[test]
    fn with_few_messages_everything_that_waits_is_queued(
        scheduled in 1_u64..3_000_000,
        queued in 0_u64..=FEW,
    ) {
        prop_assert_eq!(message_coverage(scheduled, queued), MessageCoverage::Uncovered);
    }
}
