//! Receipt handles and receive attempts.

use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;

use crate::endpoint::{At, bodies};

crate::cases!(
    a_handle_of_an_earlier_receive_deletes_nothing,
    deleting_after_the_visibility_timeout_is_an_error,
    a_message_deleted_twice_is_deleted,
    a_batch_of_deletes_tells_which_failed,
    the_same_attempt_gets_the_same_messages_and_handles,
    an_attempt_whose_message_was_deleted_receives_anew,
);

async fn a_handle_of_an_earlier_receive_deletes_nothing(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let stale = queue.poll(1, 1, 0).await;
    let again = queue.poll(1, 60, 10).await;
    assert_ne!(stale[0].receipt_handle, again[0].receipt_handle);
    // Whether it is an error is the next case.
    let _ = queue.delete(&stale[0]).await;
    queue.change(&again[0], 0).await.unwrap();
    assert_eq!(bodies(&queue.receive(1).await), ["a1"]);
}

async fn deleting_after_the_visibility_timeout_is_an_error(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let stale = queue.poll(1, 1, 0).await;
    assert_eq!(queue.poll(1, 60, 10).await.len(), 1);
    queue.delete(&stale[0]).await.unwrap_err();
}

async fn a_message_deleted_twice_is_deleted(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let got = queue.receive(1).await;
    queue.delete(&got[0]).await.unwrap();
    queue.delete(&got[0]).await.unwrap();
}

async fn a_batch_of_deletes_tells_which_failed(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let got = queue.receive(1).await;
    let entry = |id: &str, handle: &str| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle);
        entry.build().unwrap()
    };
    let delete = at.client.delete_message_batch().queue_url(&queue.url);
    let delete = delete
        .entries(entry("good", got[0].receipt_handle.as_deref().unwrap()))
        .entries(entry("nonsense", "nonsense"));
    let deleted = delete.send().await.unwrap();
    assert_eq!((deleted.successful.len(), deleted.failed.len()), (1, 1));
    assert_eq!(deleted.successful[0].id, "good");
    assert_eq!(deleted.failed[0].code, "ReceiptHandleIsInvalid");
}

async fn the_same_attempt_gets_the_same_messages_and_handles(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1", "a2", "b1"]).await;
    let receive = || {
        let receive = at.client.receive_message().queue_url(&queue.url);
        let receive = receive.max_number_of_messages(2).visibility_timeout(60);
        receive.receive_request_attempt_id("attempt-1").send()
    };
    let first = receive().await.unwrap().messages.unwrap();
    let again = receive().await.unwrap().messages.unwrap_or_default();
    assert_eq!(bodies(&again), bodies(&first));
    assert_eq!(again[0].receipt_handle, first[0].receipt_handle);
    queue.delete(&again[0]).await.unwrap();
}

async fn an_attempt_whose_message_was_deleted_receives_anew(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1", "b1"]).await;
    let receive = || {
        let receive = at.client.receive_message().queue_url(&queue.url).visibility_timeout(60);
        receive.receive_request_attempt_id("attempt-1").send()
    };
    let first = receive().await.unwrap().messages.unwrap();
    queue.delete(&first[0]).await.unwrap();
    let again = receive().await.unwrap().messages.unwrap();
    assert_ne!(bodies(&again), bodies(&first));
}
