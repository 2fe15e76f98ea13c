use super::*;
use aws_sdk_dynamodbstreams::primitives::DateTime;
use aws_sdk_dynamodbstreams::types::StreamRecord;

type Item = HashMap<String, AttributeValue>;

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u32) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn image() -> Item {
    [
        ("PK", text("ACCOUNT#ACC-1")),
        ("SK", text("2026-11-23#019ab1f4-5c1e-7d3a-8b2f-0123456789ab")),
        ("DueShard", text("2026-11-23#08")),
        ("DueKey", text("ACC-1#019ab1f4-5c1e-7d3a-8b2f-0123456789ab")),
        ("AccountID", text("ACC-1")),
        ("PaymentID", text("019ab1f4-5c1e-7d3a-8b2f-0123456789ab")),
        ("ScheduledDate", text("2026-11-23")),
        ("Status", text("SCHEDULED")),
        ("Amount", number(1250)),
        ("Currency", text("EUR")),
        ("BeneficiaryID", text("BEN-1")),
        ("TraceKey", text("019ab1f4-0000-7000-8000-000000000001")),
        ("CreatedAt", text("2026-11-23T01:00:00.123Z")),
        ("UpdatedAt", text("2026-11-23T01:00:00.123Z")),
        ("Attempts", number(0)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// An item with other attributes.
fn with<const N: usize>(changes: [(&str, AttributeValue); N]) -> Item {
    let mut item = image();
    item.extend(changes.map(|(name, value)| (name.to_owned(), value)));
    item
}

fn record(event: OperationType, image: Item) -> Record {
    let written = DateTime::from_secs(1_795_395_601); // 2026-11-23T01:00:01Z
    let change = StreamRecord::builder()
        .set_new_image(Some(image))
        .approximate_creation_date_time(written)
        .sequence_number("100000000000000000001");
    Record::builder().event_name(event).dynamodb(change.build()).build()
}

fn on(day: &str) -> RecordRules {
    let now = "2026-11-23T01:00:05Z".parse().unwrap();
    RecordRules { today: day.parse().unwrap(), shards: 16, now }
}

fn fault(event: OperationType, image: Item) -> Option<RecordFault> {
    match classify(&record(event, image), on("2026-11-20")) {
        RecordAction::DeadLetter(fault) => Some(*fault),
        RecordAction::Forward(_) | RecordAction::Skip(_) | RecordAction::Removed(_) => None,
    }
}

#[test]
fn an_insert_that_is_due_or_overdue_is_forwarded() {
    for day in ["2026-11-23", "2026-11-24"] {
        let classified = classify(&record(OperationType::Insert, image()), on(day));
        assert!(matches!(classified, RecordAction::Forward(_)), "{classified:?}");
    }
}

#[test]
fn an_insert_for_a_later_day_is_left_for_that_day() {
    let classified = classify(&record(OperationType::Insert, image()), on("2026-11-22"));
    assert!(matches!(classified, RecordAction::Skip(SkipReason::NotDue)));
}

#[test]
fn the_item_of_a_blob_is_skipped_whatever_it_holds() {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let mut blob = image();
    blob.insert("PK".to_owned(), text("BLOB#ACC-1"));
    for name in ["Status", "Amount", "DataBlob"] {
        blob.insert(name.to_owned(), AttributeValue::M(HashMap::new()));
        let classified = classify(&record(OperationType::Insert, blob.clone()), on("2026-11-23"));
        assert!(matches!(classified, RecordAction::Skip(SkipReason::Blob)), "{classified:?}");
    }
}

#[test]
fn a_payment_whose_blob_lies_beside_is_forwarded_with_the_digest() {
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let mut large = image();
    large.insert("BlobDigest".to_owned(), AttributeValue::S(digest.to_owned()));
    let classified = classify(&record(OperationType::Insert, large.clone()), on("2026-11-23"));
    let RecordAction::Forward(payment) = classified else { panic!("{classified:?}") };
    assert_eq!(payment.blob_beside().unwrap().to_string(), digest);
    large.insert("BlobDigest".to_owned(), AttributeValue::S(digest[1..].to_owned()));
    let classified = classify(&record(OperationType::Insert, large), on("2026-11-23"));
    assert!(matches!(classified, RecordAction::DeadLetter(_)), "{classified:?}");
}

#[test]
fn dueflows_own_updates_are_skipped() {
    let replayed = [("Attempts", number(1)), ("AttemptsBefore", number(1))];
    let claimed = [("Status", text("PENDING")), ("Attempts", number(1))];
    let failed = [("Status", text("FAILED")), ("FailureCode", text("invalid_item"))];
    let settled = [("Status", text("PROCESSED")), ("TransactionID", text("T"))];
    for own in [with(replayed), with(claimed), with(failed), with(settled)] {
        let classified = classify(&record(OperationType::Modify, own), on("2026-11-23"));
        assert!(matches!(classified, RecordAction::Skip(SkipReason::NotNew)), "{classified:?}");
    }
}

#[test]
fn a_new_item_that_breaks_the_contract_is_invalid_days_before_it_is_due() {
    let key = "2026-11-23#019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
    for (name, value) in [
        ("DueShard", text("2026-11-23#09")),
        ("DueShard", text("2026-11-23#8")),
        ("DueShard", text("2026-11-20#08")),
        ("DueKey", text(key)),
        ("CreatedAt", text("2062-01-01T00:00:00Z")),
        ("Attempts", number(2)),
        ("ClaimedAt", text("2026-11-23T01:00:00Z")),
        ("Status", text("PENDING")),
    ] {
        let fault = fault(OperationType::Insert, with([(name, value)])).unwrap();
        assert_eq!(fault.failure.code, FailureCode::InvalidItem);
        assert_eq!(fault.attribute, name);
        assert!(fault.payment.is_some() && fault.mark.is_some());
    }
}

#[test]
fn an_item_under_other_keys_is_marked_under_those() {
    let other = "ACCOUNT#ACC-2";
    let found = fault(OperationType::Insert, with([("PK", text(other))])).unwrap();
    let mark = found.mark.unwrap();
    assert_eq!(mark.reference.account.as_str(), "ACC-2");
    assert_eq!(mark.seen, ObservedStatus::Scheduled(0));
    // No index entry names it, so no scan finds it, and no statement can.
    let nowhere = fault(OperationType::Insert, with([("SK", text("x"))])).unwrap();
    assert_eq!(nowhere.mark, None);
}

#[test]
fn what_another_program_has_written_over_a_payment_is_never_forwarded() {
    let by_hand = [("Attempts", number(1)), ("TransactionID", text("T"))];
    let reset = [("Attempts", number(1)), ("FailureCode", text("rejected"))];
    let pending = [("Status", text("PENDING"))];
    for (item, seen) in [
        (image(), ObservedStatus::Scheduled(0)),
        (with([("Amount", number(999_999))]), ObservedStatus::Scheduled(0)),
        (with(by_hand), ObservedStatus::Scheduled(1)),
        (with(reset), ObservedStatus::Scheduled(1)),
        (with(pending), ObservedStatus::Pending(0)),
    ] {
        let fault = fault(OperationType::Modify, item).unwrap();
        assert_eq!(fault.failure.code, FailureCode::Overwritten);
        assert_eq!(fault.mark.unwrap().seen, seen);
    }
    let unreadable = with([("Amount", text("1250")), ("Attempts", text("0"))]);
    let fault = fault(OperationType::Modify, unreadable).unwrap();
    assert_eq!((fault.failure.code, fault.mark), (FailureCode::Overwritten, None));
}

#[test]
fn a_payment_of_today_or_ahead_that_is_deleted_is_told_and_one_of_a_past_day_is_archived() {
    let removed = |day: &str| {
        let keys = ["PK", "SK"].map(|name| (name.to_owned(), image()[name].clone()));
        let change = StreamRecord::builder().set_keys(Some(keys.into()));
        let record = Record::builder().event_name(OperationType::Remove).dynamodb(change.build());
        classify(&record.build(), on(day))
    };
    for day in ["2026-11-23", "2026-11-01"] {
        assert!(matches!(removed(day), RecordAction::Removed(_)));
    }
    assert!(matches!(removed("2026-11-24"), RecordAction::Skip(SkipReason::NotNew)));
}

#[test]
fn an_insert_that_is_no_payment_is_malformed_and_kept_whole() {
    let mut blob_is_a_map = image();
    blob_is_a_map.insert("DataBlob".to_owned(), AttributeValue::M(HashMap::new()));
    let classified = classify(&record(OperationType::Insert, blob_is_a_map), on("2026-11-23"));
    assert!(matches!(classified, RecordAction::DeadLetter(_)), "{classified:?}");
    for name in ["Status", "Amount", "AccountID", "PaymentID", "Attempts", "UpdatedAt"] {
        let mut broken = image();
        broken.insert(name.to_owned(), AttributeValue::S("n#nsense".to_owned()));
        let record = record(OperationType::Insert, broken);
        let RecordAction::DeadLetter(fault) = classify(&record, on("2026-11-23")) else {
            panic!("{name} was accepted");
        };
        assert_eq!(fault.failure.code, FailureCode::MalformedRecord);
        assert_eq!(fault.attribute, name);
        let can_be_marked = name != "Status" && name != "Attempts";
        assert_eq!(fault.mark.is_some(), can_be_marked);
        let json = record_json(&record);
        assert_eq!(json["dynamodb"]["NewImage"][name]["S"], "n#nsense");
        assert_eq!(json["dynamodb"]["NewImage"]["Currency"]["S"], "EUR");
    }
}
