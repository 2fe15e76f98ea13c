//! Visibility timeouts: how they end, how they are changed.

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, QueueAttributeName as Attribute,
};

use crate::endpoint::{At, bodies};

crate::cases!(
    expired_messages_come_again_in_their_order,
    the_timeout_of_the_queue_holds_where_a_receive_gives_none,
    a_change_to_zero_shows_a_message_at_once_in_its_place,
    a_lengthened_timeout_holds,
    a_shortened_timeout_ends_earlier,
    a_group_goes_on_when_the_last_timeout_ends,
    a_handle_of_an_earlier_receive_changes_nothing,
    a_batch_of_changes_tells_which_failed,
);

async fn expired_messages_come_again_in_their_order(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1", "a2", "a3"]).await;
    assert_eq!(queue.poll(2, 1, 0).await.len(), 2);
    let again = queue.poll(10, 60, 10).await;
    assert_eq!(bodies(&again), ["a1", "a2", "a3"]);
}

async fn the_timeout_of_the_queue_holds_where_a_receive_gives_none(at: At) {
    let queue = at.queue_with(&[(Attribute::VisibilityTimeout, "1")]).await;
    queue.send_all(&["a1"]).await;
    let receive = || at.client.receive_message().queue_url(&queue.url);
    assert_eq!(receive().send().await.unwrap().messages().len(), 1);
    let again = receive().wait_time_seconds(10).send().await.unwrap();
    assert_eq!(bodies(again.messages()), ["a1"]);
}

async fn a_change_to_zero_shows_a_message_at_once_in_its_place(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1", "a2", "a3", "a4"]).await;
    let got = queue.receive(3).await;
    queue.change(&got[1], 0).await.unwrap();
    queue.delete(&got[0]).await.unwrap();
    assert!(queue.receive(10).await.is_empty(), "a3 is in flight still");
    queue.change(&got[2], 0).await.unwrap();
    assert_eq!(bodies(&queue.receive(10).await), ["a2", "a3", "a4"]);
}

async fn a_lengthened_timeout_holds(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let got = queue.poll(1, 1, 0).await;
    queue.change(&got[0], 60).await.unwrap();
    assert!(queue.poll(1, 60, 2).await.is_empty());
    queue.delete(&got[0]).await.unwrap();
}

async fn a_shortened_timeout_ends_earlier(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let got = queue.receive(1).await;
    queue.change(&got[0], 1).await.unwrap();
    assert!(queue.receive(1).await.is_empty());
    assert_eq!(bodies(&queue.poll(1, 60, 10).await), ["a1"]);
}

async fn a_group_goes_on_when_the_last_timeout_ends(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1", "a2", "a3"]).await;
    let got = queue.poll(2, 60, 0).await;
    queue.change(&got[0], 0).await.unwrap();
    queue.change(&got[1], 1).await.unwrap();
    assert!(queue.receive(10).await.is_empty(), "a2 is in flight still");
    assert_eq!(bodies(&queue.poll(10, 60, 10).await), ["a1", "a2", "a3"]);
}

async fn a_handle_of_an_earlier_receive_changes_nothing(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let stale = queue.poll(1, 1, 0).await;
    let again = queue.poll(1, 60, 10).await;
    assert_eq!(bodies(&again), ["a1"]);
    queue.change(&stale[0], 0).await.unwrap_err();
    assert!(queue.receive(1).await.is_empty());
}

async fn a_batch_of_changes_tells_which_failed(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1", "b1", "c1"]).await;
    let mut got = queue.receive(10).await;
    got.extend(queue.receive(10).await);
    let entry = |id: &str, handle: &str, seconds| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id);
        entry.receipt_handle(handle).visibility_timeout(seconds).build().unwrap()
    };
    let handle = |message: &Message| message.receipt_handle.clone().unwrap();
    let change = at.client.change_message_visibility_batch().queue_url(&queue.url);
    let change = change
        .entries(entry("shown", &handle(&got[0]), 0))
        .entries(entry("longer", &handle(&got[1]), 300))
        .entries(entry("nonsense", "nonsense", 0));
    let changed = change.send().await.unwrap();
    let ids: Vec<_> = changed.successful.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["shown", "longer"]);
    assert_eq!(changed.failed.len(), 1);
    assert_eq!(changed.failed[0].id, "nonsense");
    assert_eq!(changed.failed[0].code, "ReceiptHandleIsInvalid");
    assert!(changed.failed[0].sender_fault);
    assert_eq!(queue.receive(10).await[0].body, got[0].body);
}
