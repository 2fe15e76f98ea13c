//! Deduplication within its window of five minutes.

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Attribute};

use crate::endpoint::{At, bodies, entry, system};

crate::cases!(
    a_duplicate_gets_the_first_ids_and_is_not_delivered,
    a_duplicate_in_another_group_is_one_by_the_scope_of_the_queue,
    each_group_has_its_own_ids_by_the_scope_of_the_group,
    a_message_that_was_deleted_is_still_remembered,
    content_based_deduplication_takes_the_digest_of_the_body,
    an_explicit_id_goes_before_the_content,
    a_duplicate_within_one_batch_counts_as_sent,
);

async fn a_duplicate_gets_the_first_ids_and_is_not_delivered(at: At) {
    let queue = at.queue().await;
    let first = queue.try_send("a", "one", Some("id")).await.unwrap();
    let second = queue.try_send("a", "two", Some("id")).await.unwrap();
    assert_eq!(second.message_id, first.message_id);
    assert_eq!(second.sequence_number, first.sequence_number);
    assert_eq!(bodies(&queue.receive(10).await), ["one"]);
}

async fn a_duplicate_in_another_group_is_one_by_the_scope_of_the_queue(at: At) {
    let queue = at.queue_with(&[(Attribute::DeduplicationScope, "queue")]).await;
    queue.try_send("a", "one", Some("id")).await.unwrap();
    queue.try_send("b", "two", Some("id")).await.unwrap();
    assert_eq!(bodies(&queue.receive(10).await), ["one"]);
    assert!(queue.receive(10).await.is_empty());
}

async fn each_group_has_its_own_ids_by_the_scope_of_the_group(at: At) {
    let queue = at.queue_with(&[(Attribute::DeduplicationScope, "messageGroup")]).await;
    queue.try_send("a", "one", Some("id")).await.unwrap();
    queue.try_send("b", "two", Some("id")).await.unwrap();
    queue.try_send("b", "three", Some("id")).await.unwrap();
    let mut got = queue.receive(10).await;
    got.extend(queue.receive(10).await);
    let mut bodies = bodies(&got);
    bodies.sort_unstable();
    assert_eq!(bodies, ["one", "two"]);
}

async fn a_message_that_was_deleted_is_still_remembered(at: At) {
    let queue = at.queue().await;
    queue.try_send("a", "one", Some("id")).await.unwrap();
    let got = queue.receive(1).await;
    queue.delete(&got[0]).await.unwrap();
    queue.try_send("a", "two", Some("id")).await.unwrap();
    assert!(queue.receive(1).await.is_empty());
}

async fn content_based_deduplication_takes_the_digest_of_the_body(at: At) {
    let queue = at.queue_with(&[(Attribute::ContentBasedDeduplication, "true")]).await;
    queue.try_send("a", "hello", None).await.unwrap();
    queue.try_send("a", "hello", None).await.unwrap();
    let got = queue.receive(10).await;
    assert_eq!(bodies(&got), ["hello"]);
    // SHA-256 of "hello", FIPS 180-4.
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(system(&got[0], System::MessageDeduplicationId), Some(digest));
}

async fn an_explicit_id_goes_before_the_content(at: At) {
    let queue = at.queue_with(&[(Attribute::ContentBasedDeduplication, "true")]).await;
    queue.try_send("a", "same", Some("one")).await.unwrap();
    queue.try_send("a", "same", Some("two")).await.unwrap();
    assert_eq!(queue.receive(10).await.len(), 2);
}

async fn a_duplicate_within_one_batch_counts_as_sent(at: At) {
    let queue = at.queue().await;
    let mut second = entry("second", "a", "two");
    second.message_deduplication_id = Some("first".into());
    let send = at.client.send_message_batch().queue_url(&queue.url);
    let send = send.entries(entry("first", "a", "one")).entries(second);
    let sent = send.send().await.unwrap();
    assert_eq!((sent.successful.len(), sent.failed.len()), (2, 0));
    assert_eq!(bodies(&queue.receive(10).await), ["one"]);
}
