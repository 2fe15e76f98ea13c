//! What belongs to a message, from send to delete.

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageAttributeValue, MessageSystemAttributeName as System,
};

use crate::endpoint::{At, bodies, entry, system};

/// Largest message and batch since August 2025.
const MIB: usize = 1_048_576;

crate::cases!(
    a_batch_travels_from_send_to_delete_with_all_that_belongs_to_it,
    the_receive_count_grows_and_the_first_time_stays,
    sequence_numbers_have_twenty_digits_and_grow,
    a_message_of_one_mebibyte_arrives_whole,
    a_message_of_one_byte_more_is_refused,
);

async fn a_batch_travels_from_send_to_delete_with_all_that_belongs_to_it(at: At) {
    let queue = at.queue().await;
    let colour = MessageAttributeValue::builder().data_type("String").string_value("blue");
    let bytes =
        MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([1, 2]));
    let (colour, bytes) = (colour.build().unwrap(), bytes.build().unwrap());
    let entries = (0..10).map(|n: usize| {
        let mut entry = entry(&n.to_string(), "a", &format!("body \"{n}\" ü"));
        let attributes = [("colour".to_owned(), colour.clone()), ("bytes".into(), bytes.clone())];
        entry.message_attributes = Some(attributes.into());
        entry
    });
    let send = at.client.send_message_batch().queue_url(&queue.url);
    let sent = send.set_entries(Some(entries.collect())).send().await.unwrap();
    assert_eq!((sent.successful.len(), sent.failed.len()), (10, 0));

    let got = queue.receive(10).await;
    assert_eq!(got.len(), 10);
    for (n, (message, sent)) in got.iter().zip(&sent.successful).enumerate() {
        assert_eq!(message.body.as_deref(), Some(&*format!("body \"{n}\" ü")));
        assert_eq!(message.message_id.as_deref(), Some(&*sent.message_id));
        assert_eq!(message.md5_of_body.as_deref(), Some(&*sent.md5_of_message_body));
        assert_eq!(message.md5_of_message_attributes, sent.md5_of_message_attributes);
        let number = system(message, System::SequenceNumber);
        assert_eq!(number, sent.sequence_number.as_deref());
        assert_eq!(system(message, System::MessageGroupId), Some("a"));
        assert_eq!(system(message, System::MessageDeduplicationId), Some(&*n.to_string()));
        assert_eq!(system(message, System::ApproximateReceiveCount), Some("1"));
        let attributes = message.message_attributes.as_ref().unwrap();
        assert_eq!(attributes["colour"].string_value.as_deref(), Some("blue"));
        assert_eq!(attributes["bytes"].binary_value.as_ref().unwrap().as_ref(), [1, 2]);
    }

    let entries = got.iter().enumerate().map(|(n, message)| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string());
        entry.set_receipt_handle(message.receipt_handle.clone()).build().unwrap()
    });
    let delete = at.client.delete_message_batch().queue_url(&queue.url);
    let deleted = delete.set_entries(Some(entries.collect())).send().await.unwrap();
    assert_eq!((deleted.successful.len(), deleted.failed.len()), (10, 0));
}

async fn the_receive_count_grows_and_the_first_time_stays(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let first = queue.receive(1).await;
    queue.change(&first[0], 0).await.unwrap();
    let second = queue.receive(1).await;
    assert_eq!(system(&first[0], System::ApproximateReceiveCount), Some("1"));
    assert_eq!(system(&second[0], System::ApproximateReceiveCount), Some("2"));
    for name in [System::ApproximateFirstReceiveTimestamp, System::SentTimestamp] {
        let time = system(&first[0], name.clone());
        assert!(time.unwrap().parse::<u64>().is_ok());
        assert_eq!(system(&second[0], name), time);
    }
}

async fn sequence_numbers_have_twenty_digits_and_grow(at: At) {
    let queue = at.queue().await;
    let first = queue.send("a", "a1").await.sequence_number.unwrap();
    let second = queue.send("b", "b1").await.sequence_number.unwrap();
    assert_eq!((first.len(), second.len()), (20, 20));
    assert!(first < second);
}

async fn a_message_of_one_mebibyte_arrives_whole(at: At) {
    let queue = at.queue().await;
    let body = "x".repeat(MIB);
    queue.try_send("a", &body, Some("1")).await.unwrap();
    assert_eq!(bodies(&queue.receive(1).await), [body.as_str()]);
}

async fn a_message_of_one_byte_more_is_refused(at: At) {
    let queue = at.queue().await;
    let refused = queue.try_send("a", &"x".repeat(MIB + 1), Some("1")).await;
    assert_eq!(refused.unwrap_err(), "InvalidParameterValue");
}
