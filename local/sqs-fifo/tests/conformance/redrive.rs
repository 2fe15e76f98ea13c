//! Dead-letter queues.

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Attribute};

use crate::endpoint::{At, Queue, bodies, system};

crate::cases!(
    a_message_received_too_often_goes_to_the_dead_letter_queue_with_its_group,
    a_dead_message_has_its_id_as_deduplication_id,
    the_group_of_a_dead_message_goes_on_in_order,
    two_messages_with_one_deduplication_id_are_both_kept_when_dead,
    the_sources_of_a_dead_letter_queue_are_listed,
);

/// Receives one message and lets go of it at once.
async fn fail(queue: &Queue) {
    let got = queue.receive(1).await;
    queue.change(&got[0], 0).await.unwrap();
}

async fn a_message_received_too_often_goes_to_the_dead_letter_queue_with_its_group(at: At) {
    let (queue, dead) = at.queue_with_dead_letters(2).await;
    queue.send_all(&["a1"]).await;
    fail(&queue).await;
    fail(&queue).await;
    assert!(queue.receive(1).await.is_empty());
    let got = dead.poll(10, 60, 5).await;
    assert_eq!(bodies(&got), ["a1"]);
    assert_eq!(system(&got[0], System::MessageGroupId), Some("a"));
    let source = queue.arn().await;
    assert_eq!(system(&got[0], System::DeadLetterQueueSourceArn), Some(&*source));
    assert_eq!(queue.attribute(Attribute::ApproximateNumberOfMessages).await, "0");
}

async fn a_dead_message_has_its_id_as_deduplication_id(at: At) {
    let (queue, dead) = at.queue_with_dead_letters(1).await;
    let sent = queue.send("a", "a1").await;
    fail(&queue).await;
    assert!(queue.receive(1).await.is_empty());
    let got = dead.poll(1, 60, 5).await;
    let id = system(&got[0], System::MessageDeduplicationId);
    assert_eq!(id, sent.message_id.as_deref());
}

async fn the_group_of_a_dead_message_goes_on_in_order(at: At) {
    let (queue, dead) = at.queue_with_dead_letters(1).await;
    queue.send_all(&["a1", "a2", "a3"]).await;
    fail(&queue).await;
    assert_eq!(bodies(&queue.poll(10, 60, 5).await), ["a2", "a3"]);
    assert_eq!(bodies(&dead.poll(10, 60, 5).await), ["a1"]);
}

async fn two_messages_with_one_deduplication_id_are_both_kept_when_dead(at: At) {
    let (queue, dead) = at.queue_with_dead_letters(1).await;
    let set = at.client.set_queue_attributes().queue_url(&queue.url);
    set.attributes(Attribute::DeduplicationScope, "messageGroup").send().await.unwrap();
    queue.try_send("a", "one", Some("id")).await.unwrap();
    queue.try_send("b", "two", Some("id")).await.unwrap();
    fail(&queue).await;
    fail(&queue).await;
    assert!(queue.receive(10).await.is_empty());
    let mut got = dead.poll(10, 60, 5).await;
    got.extend(dead.receive(10).await);
    let mut bodies = bodies(&got);
    bodies.sort_unstable();
    assert_eq!(bodies, ["one", "two"]);
}

async fn the_sources_of_a_dead_letter_queue_are_listed(at: At) {
    let (queue, dead) = at.queue_with_dead_letters(3).await;
    let sources = at.client.list_dead_letter_source_queues().queue_url(&dead.url);
    let sources = sources.send().await.unwrap().queue_urls;
    assert_eq!(sources, [queue.url]);
}
