//! Error codes.

use aws_sdk_sqs::types::QueueAttributeName as Attribute;

use crate::endpoint::{At, Queue, Refused, code, entry};

crate::cases!(
    a_queue_that_does_not_exist_is_named_so,
    a_malformed_receipt_handle_is_invalid,
    a_message_visible_again_is_not_in_flight,
    a_visibility_timeout_of_more_than_twelve_hours_is_refused,
    twelve_hours_count_from_the_receive,
    a_receive_asks_for_one_to_ten_messages,
    a_poll_waits_twenty_seconds_at_most,
    a_message_needs_a_group,
    a_message_needs_a_deduplication_id,
    a_message_may_not_bring_its_own_delay,
    a_body_has_characters_of_xml_only,
    an_empty_batch_is_refused,
    a_batch_of_eleven_is_refused,
    entries_of_one_id_are_refused,
    a_malformed_entry_id_is_refused,
    a_batch_of_more_than_one_mebibyte_is_refused,
    an_unknown_attribute_is_refused,
    an_attribute_out_of_range_is_refused,
    a_queue_made_again_with_other_attributes_is_refused,
    a_fifo_queue_s_name_ends_in_fifo,
    a_second_purge_within_a_minute_is_refused,
    a_name_is_not_free_within_a_minute_of_its_deletion,
);

async fn a_queue_that_does_not_exist_is_named_so(at: At) {
    let queue = at.queue().await;
    let url = queue.url.replace(".fifo", "x.fifo");
    let missing = Queue { url: url.clone(), ..queue };
    let expected = "AWS.SimpleQueueService.NonExistentQueue";
    assert_eq!(missing.try_send("a", "a1", Some("1")).await.unwrap_err(), expected);
    let receive = at.client.receive_message().queue_url(&url).send().await;
    assert_eq!(receive.map_err(code).unwrap_err(), expected);
    let get = at.client.get_queue_attributes().queue_url(&url).send().await;
    assert_eq!(get.map_err(code).unwrap_err(), expected);
}

async fn a_malformed_receipt_handle_is_invalid(at: At) {
    let queue = at.queue().await;
    let delete = at.client.delete_message().queue_url(&queue.url).receipt_handle("nonsense");
    let refused = delete.send().await.map_err(code).unwrap_err();
    assert_eq!(refused, "ReceiptHandleIsInvalid");
}

async fn a_message_visible_again_is_not_in_flight(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let got = queue.receive(1).await;
    queue.change(&got[0], 0).await.unwrap();
    let refused = queue.change(&got[0], 5).await.unwrap_err();
    assert_eq!(refused, "AWS.SimpleQueueService.MessageNotInflight");
}

async fn a_visibility_timeout_of_more_than_twelve_hours_is_refused(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let got = queue.receive(1).await;
    assert_eq!(queue.change(&got[0], 43_201).await.unwrap_err(), "InvalidParameterValue");
    let receive = at.client.receive_message().queue_url(&queue.url).visibility_timeout(43_201);
    assert_eq!(receive.send().await.map_err(code).unwrap_err(), "InvalidParameterValue");
}

async fn twelve_hours_count_from_the_receive(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let got = queue.receive(1).await;
    // The poll lets a second pass.
    assert!(queue.poll(1, 60, 1).await.is_empty());
    assert_eq!(queue.change(&got[0], 43_200).await.unwrap_err(), "InvalidParameterValue");
}

async fn a_receive_asks_for_one_to_ten_messages(at: At) {
    let queue = at.queue().await;
    for max in [0, 11] {
        let receive = at.client.receive_message().queue_url(&queue.url);
        let refused = receive.max_number_of_messages(max).send().await;
        assert_eq!(refused.map_err(code).unwrap_err(), "InvalidParameterValue");
    }
}

async fn a_poll_waits_twenty_seconds_at_most(at: At) {
    let queue = at.queue().await;
    let receive = at.client.receive_message().queue_url(&queue.url).wait_time_seconds(21);
    assert_eq!(receive.send().await.map_err(code).unwrap_err(), "InvalidParameterValue");
}

async fn a_message_needs_a_group(at: At) {
    let queue = at.queue().await;
    let send = at.client.send_message().queue_url(&queue.url).message_body("x");
    let refused = send.message_deduplication_id("1").send().await;
    assert_eq!(refused.map_err(code).unwrap_err(), "MissingParameter");
}

async fn a_message_needs_a_deduplication_id(at: At) {
    let queue = at.queue().await;
    let refused = queue.try_send("a", "a1", None).await.unwrap_err();
    assert_eq!(refused, "InvalidParameterValue");
}

async fn a_message_may_not_bring_its_own_delay(at: At) {
    let queue = at.queue().await;
    let send = at.client.send_message().queue_url(&queue.url).message_body("x");
    let send = send.message_group_id("a").message_deduplication_id("1").delay_seconds(5);
    assert_eq!(send.send().await.map_err(code).unwrap_err(), "InvalidParameterValue");
}

async fn a_body_has_characters_of_xml_only(at: At) {
    let queue = at.queue().await;
    let refused = queue.try_send("a", "\u{1}", Some("1")).await.unwrap_err();
    assert_eq!(refused, "InvalidMessageContents");
}

async fn batch(queue: &Queue, entries: &[(&str, &str)]) -> Refused<()> {
    let entries = entries.iter().map(|(id, body)| entry(id, "a", body)).collect();
    let send = queue.client.send_message_batch().queue_url(&queue.url);
    send.set_entries(Some(entries)).send().await.map(|_| ()).map_err(code)
}

async fn an_empty_batch_is_refused(at: At) {
    let refused = batch(&at.queue().await, &[]).await.unwrap_err();
    assert_eq!(refused, "AWS.SimpleQueueService.EmptyBatchRequest");
}

async fn a_batch_of_eleven_is_refused(at: At) {
    let queue = at.queue().await;
    let ids: Vec<_> = (0..11).map(|n| n.to_string()).collect();
    let entries: Vec<_> = ids.iter().map(|id| (id.as_str(), "x")).collect();
    let refused = batch(&queue, &entries).await.unwrap_err();
    assert_eq!(refused, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest");
    assert!(queue.receive(1).await.is_empty());
}

async fn entries_of_one_id_are_refused(at: At) {
    let queue = at.queue().await;
    let refused = batch(&queue, &[("1", "x"), ("1", "y")]).await.unwrap_err();
    assert_eq!(refused, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct");
    assert!(queue.receive(1).await.is_empty());
}

async fn a_malformed_entry_id_is_refused(at: At) {
    let refused = batch(&at.queue().await, &[("a.b", "x")]).await.unwrap_err();
    assert_eq!(refused, "AWS.SimpleQueueService.InvalidBatchEntryId");
}

async fn a_batch_of_more_than_one_mebibyte_is_refused(at: At) {
    let queue = at.queue().await;
    let half = "x".repeat(524_289);
    let refused = batch(&queue, &[("1", &half), ("2", &half)]).await.unwrap_err();
    assert_eq!(refused, "AWS.SimpleQueueService.BatchRequestTooLong");
    assert!(queue.receive(1).await.is_empty());
}

async fn set(queue: &Queue, name: Attribute, value: &str) -> Refused<()> {
    let set = queue.client.set_queue_attributes().queue_url(&queue.url);
    set.attributes(name, value).send().await.map(|_| ()).map_err(code)
}

async fn an_unknown_attribute_is_refused(at: At) {
    let queue = at.queue().await;
    let refused = set(&queue, Attribute::from("Colour"), "blue").await.unwrap_err();
    assert_eq!(refused, "InvalidAttributeName");
}

async fn an_attribute_out_of_range_is_refused(at: At) {
    let queue = at.queue().await;
    let refused = set(&queue, Attribute::VisibilityTimeout, "43201").await.unwrap_err();
    assert_eq!(refused, "InvalidAttributeValue");
    assert_eq!(queue.attribute(Attribute::VisibilityTimeout).await, "30");
}

async fn a_queue_made_again_with_other_attributes_is_refused(at: At) {
    let queue = at.queue().await;
    let other = [(Attribute::VisibilityTimeout, "7")];
    let refused = at.try_create(&queue.name, &other).await.unwrap_err();
    assert_eq!(refused, "QueueAlreadyExists");
}

async fn a_fifo_queue_s_name_ends_in_fifo(at: At) {
    let name = At::name().replace(".fifo", "");
    assert_eq!(at.try_create(&name, &[]).await.unwrap_err(), "InvalidParameterValue");
}

async fn a_second_purge_within_a_minute_is_refused(at: At) {
    let queue = at.queue().await;
    let purge = || at.client.purge_queue().queue_url(&queue.url).send();
    purge().await.unwrap();
    let refused = purge().await.map_err(code).unwrap_err();
    assert_eq!(refused, "AWS.SimpleQueueService.PurgeQueueInProgress");
}

async fn a_name_is_not_free_within_a_minute_of_its_deletion(at: At) {
    let queue = at.queue().await;
    at.client.delete_queue().queue_url(&queue.url).send().await.unwrap();
    let refused = at.try_create(&queue.name, &[]).await.unwrap_err();
    assert_eq!(refused, "AWS.SimpleQueueService.QueueDeletedRecently");
}
