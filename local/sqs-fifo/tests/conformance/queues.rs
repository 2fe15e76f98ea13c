//! Queues as such.

use aws_sdk_sqs::types::QueueAttributeName as Attribute;

use crate::endpoint::{At, code};

crate::cases!(
    a_queue_is_found_by_its_name_and_listed_by_its_beginning,
    a_new_queue_has_the_documented_attributes,
    attributes_are_set_and_shown,
    a_queue_made_again_with_equal_attributes_is_the_same,
    tags_are_set_shown_and_taken_away,
    counts_tell_visible_messages_from_those_in_flight,
    a_purge_removes_all_messages,
    a_deleted_queue_is_gone,
);

async fn a_queue_is_found_by_its_name_and_listed_by_its_beginning(at: At) {
    let queue = at.queue().await;
    let found = at.client.get_queue_url().queue_name(&queue.name).send().await.unwrap();
    assert_eq!(found.queue_url.as_ref(), Some(&queue.url));
    let beginning = queue.name.trim_end_matches(".fifo");
    let listed = at.client.list_queues().queue_name_prefix(beginning).send().await.unwrap();
    assert_eq!(listed.queue_urls(), [queue.url]);
}

async fn a_new_queue_has_the_documented_attributes(at: At) {
    let queue = at.queue().await;
    let get = at.client.get_queue_attributes().queue_url(&queue.url);
    let all = get.attribute_names(Attribute::All).send().await.unwrap().attributes.unwrap();
    for (name, value) in [
        (Attribute::FifoQueue, "true"),
        (Attribute::ContentBasedDeduplication, "false"),
        (Attribute::DelaySeconds, "0"),
        (Attribute::MaximumMessageSize, "1048576"),
        (Attribute::MessageRetentionPeriod, "345600"),
        (Attribute::ReceiveMessageWaitTimeSeconds, "0"),
        (Attribute::VisibilityTimeout, "30"),
        (Attribute::DeduplicationScope, "queue"),
        (Attribute::FifoThroughputLimit, "perQueue"),
    ] {
        assert_eq!(all.get(&name).map(String::as_str), Some(value), "{name}");
    }
}

async fn attributes_are_set_and_shown(at: At) {
    let queue = at.queue().await;
    let set = at.client.set_queue_attributes().queue_url(&queue.url);
    let set = set.attributes(Attribute::VisibilityTimeout, "77");
    set.attributes(Attribute::ContentBasedDeduplication, "true").send().await.unwrap();
    assert_eq!(queue.attribute(Attribute::VisibilityTimeout).await, "77");
    assert_eq!(queue.attribute(Attribute::ContentBasedDeduplication).await, "true");
}

async fn a_queue_made_again_with_equal_attributes_is_the_same(at: At) {
    let attributes = [(Attribute::VisibilityTimeout, "5")];
    let queue = at.queue_with(&attributes).await;
    let again = at.try_create(&queue.name, &attributes).await.unwrap();
    assert_eq!(again.url, queue.url);
}

async fn tags_are_set_shown_and_taken_away(at: At) {
    let queue = at.queue().await;
    let tag = at.client.tag_queue().queue_url(&queue.url);
    tag.tags("team", "orders").tags("stage", "test").send().await.unwrap();
    let untag = at.client.untag_queue().queue_url(&queue.url);
    untag.tag_keys("stage").send().await.unwrap();
    let tags = at.client.list_queue_tags().queue_url(&queue.url).send().await.unwrap();
    let tags = tags.tags.unwrap();
    assert_eq!((tags.len(), tags["team"].as_str()), (1, "orders"));
}

async fn counts_tell_visible_messages_from_those_in_flight(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1", "a2", "b1"]).await;
    queue.receive(1).await;
    let visible = queue.attribute(Attribute::ApproximateNumberOfMessages).await;
    let in_flight = queue.attribute(Attribute::ApproximateNumberOfMessagesNotVisible).await;
    assert_eq!((visible.as_str(), in_flight.as_str()), ("2", "1"));
}

async fn a_purge_removes_all_messages(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1", "b1"]).await;
    queue.receive(1).await;
    at.client.purge_queue().queue_url(&queue.url).send().await.unwrap();
    assert_eq!(queue.attribute(Attribute::ApproximateNumberOfMessages).await, "0");
    assert!(queue.receive(10).await.is_empty());
}

async fn a_deleted_queue_is_gone(at: At) {
    let queue = at.queue().await;
    at.client.delete_queue().queue_url(&queue.url).send().await.unwrap();
    let refused = at.client.get_queue_url().queue_name(&queue.name).send().await;
    let refused = refused.map_err(code).unwrap_err();
    assert_eq!(refused, "AWS.SimpleQueueService.NonExistentQueue");
}
