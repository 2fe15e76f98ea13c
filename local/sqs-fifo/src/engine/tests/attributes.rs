//! Queues and their attributes, and digests.

use rustack_sqs_model::types::MessageAttributeValue;

use super::*;

#[test]
fn a_new_queue_shows_the_attributes_of_sqs() {
    let mut world = World::new();
    let all = world.engine.queue_attributes(QUEUE, world.now).unwrap();
    let expected = [
        ("ApproximateNumberOfMessages", "0"),
        ("ApproximateNumberOfMessagesDelayed", "0"),
        ("ApproximateNumberOfMessagesNotVisible", "0"),
        ("ContentBasedDeduplication", "false"),
        ("CreatedTimestamp", "1700000000"),
        ("DeduplicationScope", "queue"),
        ("DelaySeconds", "0"),
        ("FifoQueue", "true"),
        ("FifoThroughputLimit", "perQueue"),
        ("LastModifiedTimestamp", "1700000000"),
        ("MaximumMessageSize", "1048576"),
        ("MessageRetentionPeriod", "345600"),
        ("QueueArn", "arn:aws:sqs:us-east-1:000000000000:orders.fifo"),
        ("ReceiveMessageWaitTimeSeconds", "0"),
        ("SqsManagedSseEnabled", "true"),
        ("VisibilityTimeout", "30"),
    ];
    let shown: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(shown, expected);
}

#[test]
fn attributes_out_of_range_or_unknown_change_nothing() {
    let mut world = World::new();
    for (name, value) in [
        ("DelaySeconds", "901"),
        ("DelaySeconds", "-1"),
        ("VisibilityTimeout", "43201"),
        ("ReceiveMessageWaitTimeSeconds", "21"),
        ("MessageRetentionPeriod", "59"),
        ("MaximumMessageSize", "1023"),
        ("ContentBasedDeduplication", "yes"),
        ("DeduplicationScope", "account"),
        ("FifoThroughputLimit", "perMessageGroupId"),
        ("FifoQueue", "false"),
    ] {
        let refused = world.set(&[("VisibilityTimeout", "7"), (name, value)]);
        assert_eq!(refused.unwrap_err().code(), "InvalidAttributeValue", "{name}");
        assert_eq!(world.attribute(QUEUE, "VisibilityTimeout"), "30");
    }
    let refused = world.set(&[("Colour", "blue")]);
    assert_eq!(refused, Err(SqsError::InvalidAttributeName("Colour".into())));
}

#[test]
fn creating_a_queue_again_needs_the_same_attributes() {
    let mut world = World::with(Limits::default(), &[("DelaySeconds", "5")]);
    world.create(QUEUE, &[("DelaySeconds", "5")]).unwrap();
    world.create(QUEUE, &[]).unwrap();
    let refused = world.create(QUEUE, &[("DelaySeconds", "6")]).unwrap_err();
    assert_eq!(refused, SqsError::QueueAlreadyExists("DelaySeconds".into()));
}

#[test]
fn names_are_of_eighty_characters_and_end_in_fifo() {
    let mut world = World::new();
    let longest = format!("{}.fifo", "q".repeat(75));
    world.create(&longest, &[]).unwrap();
    for name in ["plain", ".fifo", "a b.fifo", "a.b.fifo", &format!("q{longest}")] {
        let refused = world.create(name, &[]).unwrap_err();
        assert_eq!(refused.code(), "InvalidParameterValue", "{name}");
    }
    let none = HashMap::new();
    let refused = world.engine.create_queue("plain", &none, &none, world.now);
    assert!(matches!(refused, Err(SqsError::UnsupportedOperation(_))));
}

#[test]
fn a_deleted_queue_s_name_is_free_after_a_minute() {
    let mut world = World::new();
    world.send("a", "a1");
    world.engine.delete_queue(QUEUE, world.now).unwrap();
    let gone = world.try_send("a", "a2", "2");
    assert_eq!(gone, Err(SqsError::QueueDoesNotExist));
    world.pass(59_999);
    assert_eq!(world.create(QUEUE, &[]), Err(SqsError::QueueDeletedRecently));
    world.pass(1);
    world.create(QUEUE, &[]).unwrap();
    assert!(world.receive(10).is_empty());
}

#[test]
fn digests_are_those_of_the_aws_sdks() {
    // Recorded from AWS by localstack: tests/aws/services/sqs/test_sqs.snapshot.json.
    let text = |value: &str| MessageAttributeValue {
        data_type: "String".into(),
        string_value: Some(value.into()),
        binary_value: None,
    };
    let draft = Draft::new("msg", Some("a"), None).unwrap();
    assert_eq!(draft.body_md5().to_string(), "6e2baaf3b97dbeef01c0043275f9a0e7");
    assert_eq!(draft.attributes_md5(), None);
    let attributes = [("Help.Me", "Me"), ("Hello", "There"), ("General", "Kenobi")];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), text(value)));
    let draft = draft.with_attributes(attributes).unwrap();
    let md5 = draft.attributes_md5().unwrap().to_string();
    assert_eq!(md5, "4c360f3fdafd970e05fae2f149d997f5");

    let binary = MessageAttributeValue {
        data_type: "Binary".into(),
        string_value: None,
        binary_value: Some(
            b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01".into(),
        ),
    };
    let draft = Draft::new("test", Some("a"), None).unwrap();
    let draft = draft.with_attributes([("attr1".to_owned(), binary)]).unwrap();
    let md5 = draft.attributes_md5().unwrap().to_string();
    assert_eq!(md5, "8cbe4db156db8a94db8b801b7addb984");
}

#[test]
fn malformed_message_attributes_are_refused() {
    let with = |name: &str, kind: &str, text: Option<&str>, bytes: Option<&[u8]>| {
        let value = MessageAttributeValue {
            data_type: kind.into(),
            string_value: text.map(Into::into),
            binary_value: bytes.map(Into::into),
        };
        let draft = Draft::new("x", Some("a"), None).unwrap();
        draft.with_attributes([(name.to_owned(), value)]).is_ok()
    };
    assert!(with("a.b-c_1", "Number.int", Some("1"), None));
    assert!(!with("a b", "String", Some("1"), None));
    assert!(!with("a", "Text", Some("1"), None));
    assert!(!with("a", "String", Some(""), None));
    assert!(!with("a", "Binary", Some("1"), None));
    assert!(with("a", "Binary", None, Some(b"1")));
}
