//! Long polls: what ends them early.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use tokio::task::JoinHandle;

use crate::endpoint::{At, Queue};

/// Seconds a poll waits at most: far longer than it takes if it is woken.
const LONG: i32 = 20;
/// A poll that was woken has ended by then.
const SOON: Duration = Duration::from_secs(10);

crate::cases!(
    a_poll_without_messages_ends_after_its_time,
    a_poll_is_woken_by_a_send,
    a_poll_is_woken_by_the_delete_that_frees_a_group,
    a_poll_is_woken_by_a_release,
    a_poll_is_woken_by_an_expiry,
    a_poll_is_woken_by_the_end_of_a_delay,
    a_poll_of_a_dead_letter_queue_is_woken_by_a_redrive,
);

/// A poll under way, and the first body it brings.
fn poll(queue: &Queue) -> JoinHandle<Option<String>> {
    let queue = queue.clone();
    tokio::spawn(async move {
        let got = queue.poll(1, 60, LONG).await;
        got.into_iter().next()?.body
    })
}

async fn brings_soon(poll: JoinHandle<Option<String>>, expected: &str) {
    let body = tokio::time::timeout(SOON, poll).await;
    assert_eq!(body.expect("woken").unwrap().as_deref(), Some(expected));
}

async fn a_poll_without_messages_ends_after_its_time(at: At) {
    let queue = at.queue().await;
    let begin = Instant::now();
    assert!(queue.poll(1, 60, 1).await.is_empty());
    let took = begin.elapsed();
    assert!((Duration::from_millis(900)..SOON).contains(&took), "{took:?}");
}

async fn a_poll_is_woken_by_a_send(at: At) {
    let queue = at.queue().await;
    let poll = poll(&queue);
    queue.let_others_arrive().await;
    queue.send("a", "a1").await;
    brings_soon(poll, "a1").await;
}

async fn a_poll_is_woken_by_the_delete_that_frees_a_group(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1", "a2"]).await;
    let got = queue.receive(1).await;
    let poll = poll(&queue);
    queue.let_others_arrive().await;
    queue.delete(&got[0]).await.unwrap();
    brings_soon(poll, "a2").await;
}

async fn a_poll_is_woken_by_a_release(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let got = queue.receive(1).await;
    let poll = poll(&queue);
    queue.let_others_arrive().await;
    queue.change(&got[0], 0).await.unwrap();
    brings_soon(poll, "a1").await;
}

async fn a_poll_is_woken_by_an_expiry(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    assert_eq!(queue.poll(1, 1, 0).await.len(), 1);
    brings_soon(poll(&queue), "a1").await;
}

async fn a_poll_is_woken_by_the_end_of_a_delay(at: At) {
    let queue = at.queue_with(&[(Attribute::DelaySeconds, "1")]).await;
    queue.send_all(&["a1"]).await;
    brings_soon(poll(&queue), "a1").await;
}

async fn a_poll_of_a_dead_letter_queue_is_woken_by_a_redrive(at: At) {
    let (queue, dead) = at.queue_with_dead_letters(1).await;
    queue.send_all(&["a1", "a2"]).await;
    assert_eq!(queue.poll(1, 1, 0).await.len(), 1);
    let (first, second) = (poll(&dead), poll(&queue));
    brings_soon(second, "a2").await;
    brings_soon(first, "a1").await;
}
