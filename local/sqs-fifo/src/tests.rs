//! Tests of long polls, under tokio's clock held still: time passes when everybody waits for it.

use std::sync::Arc;
use std::time::Duration;

use rustack_sqs_model::operations::SqsOperation as Op;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::clock::Clock;
use super::engine::{Engine, Limits, Millis};
use super::handler::answer;
use super::shell::Shell;

/// Starts a shell with its timer, and the queues `q.fifo` and `dead.fifo`.
async fn start() -> Arc<Shell> {
    let engine = Engine::new("us-east-1", "000000000000", Limits::default(), 7);
    let clock = Clock::start(engine.now());
    let shell = Shell::new(engine, clock, "http://here".into(), "000000000000".into());
    let shell = Arc::new(shell);
    let timer = Arc::clone(&shell);
    tokio::spawn(async move { timer.keep_time().await });
    let arn = "arn:aws:sqs:us-east-1:000000000000:dead.fifo";
    let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 1 }).to_string();
    let dead = json!({ "FifoQueue": "true" });
    let live = json!({ "FifoQueue": "true", "RedrivePolicy": policy });
    for (name, attributes) in [("dead.fifo", dead), ("q.fifo", live)] {
        let request = json!({ "QueueName": name, "Attributes": attributes });
        call(&shell, Op::CreateQueue, request).await;
    }
    shell
}

async fn try_call(shell: &Shell, operation: Op, request: Value) -> Result<Value, String> {
    let body = request.to_string();
    let answer = answer(shell, operation, body.as_bytes()).await;
    let answer = answer.map_err(|error| error.code().to_owned())?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

async fn call(shell: &Shell, operation: Op, request: Value) -> Value {
    try_call(shell, operation, request).await.unwrap()
}

async fn send(shell: &Shell, group: &str, body: &str) {
    let request = json!({
        "QueueUrl": "http://here/000000000000/q.fifo", "MessageBody": body,
        "MessageGroupId": group, "MessageDeduplicationId": body,
    });
    call(shell, Op::SendMessage, request).await;
}

async fn receive(shell: &Shell, queue: &str, max: u32, wait: u32) -> Result<Vec<Value>, String> {
    let request = json!({
        "QueueUrl": queue, "MaxNumberOfMessages": max, "WaitTimeSeconds": wait,
    });
    let answer = try_call(shell, Op::ReceiveMessage, request).await?;
    Ok(answer["Messages"].as_array().cloned().unwrap_or_default())
}

/// Starts a poll and lets it come to wait.
async fn poll(shell: &Arc<Shell>, queue: &'static str) -> JoinHandle<Result<Vec<Value>, String>> {
    let shell = Arc::clone(shell);
    let poll = tokio::spawn(async move { receive(&shell, queue, 1, 20).await });
    tokio::task::yield_now().await;
    poll
}

async fn body(poll: JoinHandle<Result<Vec<Value>, String>>) -> Option<String> {
    let messages = poll.await.unwrap().unwrap();
    messages.first().map(|one| one["Body"].as_str().unwrap().to_owned())
}

async fn change(shell: &Shell, message: &Value, seconds: u32) {
    let handle = &message["ReceiptHandle"];
    let request =
        json!({ "QueueUrl": "q.fifo", "ReceiptHandle": handle, "VisibilityTimeout": seconds });
    call(shell, Op::ChangeMessageVisibility, request).await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_without_messages_ends_after_its_wait_time() {
    let shell = start().await;
    let begin = Instant::now();
    assert_eq!(receive(&shell, "q.fifo", 1, 3).await, Ok(vec![]));
    assert_eq!(begin.elapsed(), Duration::from_secs(3));
    assert_eq!(receive(&shell, "q.fifo", 1, 0).await, Ok(vec![]));
    assert_eq!(begin.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_gives_no_wait_time_takes_the_queue_s() {
    let shell = start().await;
    let attributes = json!({ "ReceiveMessageWaitTimeSeconds": "7" });
    let request = json!({ "QueueUrl": "q.fifo", "Attributes": attributes });
    call(&shell, Op::SetQueueAttributes, request).await;
    let begin = Instant::now();
    call(&shell, Op::ReceiveMessage, json!({ "QueueUrl": "q.fifo" })).await;
    assert_eq!(begin.elapsed(), Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_send_wakes_a_poll_at_once() {
    let shell = start().await;
    let begin = Instant::now();
    let poll = poll(&shell, "q.fifo").await;
    send(&shell, "a", "a1").await;
    assert_eq!(body(poll).await.as_deref(), Some("a1"));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_delete_that_frees_a_group_wakes_a_poll_at_once() {
    let shell = start().await;
    send(&shell, "a", "a1").await;
    send(&shell, "a", "a2").await;
    let got = receive(&shell, "q.fifo", 1, 0).await.unwrap();
    let begin = Instant::now();
    let poll = poll(&shell, "q.fifo").await;
    let request = json!({ "QueueUrl": "q.fifo", "ReceiptHandle": got[0]["ReceiptHandle"] });
    call(&shell, Op::DeleteMessage, request).await;
    assert_eq!(body(poll).await.as_deref(), Some("a2"));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_release_wakes_a_poll_and_its_redrive_one_of_the_dead_letter_queue() {
    let shell = start().await;
    send(&shell, "a", "a1").await;
    send(&shell, "a", "a2").await;
    let got = receive(&shell, "q.fifo", 1, 0).await.unwrap();
    let begin = Instant::now();
    let dead = poll(&shell, "dead.fifo").await;
    let live = poll(&shell, "q.fifo").await;
    change(&shell, &got[0], 0).await;
    assert_eq!(body(live).await.as_deref(), Some("a2"));
    assert_eq!(body(dead).await.as_deref(), Some("a1"));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_expiry_wakes_a_poll_when_it_is_due() {
    let shell = start().await;
    let no_redrive = json!({ "QueueUrl": "q.fifo", "Attributes": { "RedrivePolicy": "" } });
    call(&shell, Op::SetQueueAttributes, no_redrive).await;
    send(&shell, "a", "a1").await;
    let got = receive(&shell, "q.fifo", 1, 0).await.unwrap();
    let begin = Instant::now();
    let poll = poll(&shell, "q.fifo").await;
    change(&shell, &got[0], 5).await;
    assert_eq!(body(poll).await.as_deref(), Some("a1"));
    assert_eq!(begin.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_delay_wakes_a_poll_when_it_is_due() {
    let shell = start().await;
    let delay = json!({ "QueueUrl": "q.fifo", "Attributes": { "DelaySeconds": "4" } });
    call(&shell, Op::SetQueueAttributes, delay).await;
    let begin = Instant::now();
    let poll = poll(&shell, "q.fifo").await;
    send(&shell, "a", "a1").await;
    assert_eq!(body(poll).await.as_deref(), Some("a1"));
    assert_eq!(begin.elapsed(), Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_move_task_wakes_a_poll_of_the_queue_it_moves_to() {
    let shell = start().await;
    send(&shell, "a", "a1").await;
    let got = receive(&shell, "q.fifo", 1, 0).await.unwrap();
    change(&shell, &got[0], 0).await;
    assert_eq!(receive(&shell, "q.fifo", 1, 0).await, Ok(vec![]));
    let poll = poll(&shell, "q.fifo").await;
    let source = "arn:aws:sqs:us-east-1:000000000000:dead.fifo";
    call(&shell, Op::StartMessageMoveTask, json!({ "SourceArn": source })).await;
    assert_eq!(body(poll).await.as_deref(), Some("a1"));
}

#[tokio::test(start_paused = true)]
async fn one_batch_of_ten_groups_wakes_ten_polls() {
    let shell = start().await;
    let begin = Instant::now();
    let mut polls = Vec::new();
    for _ in 0..12 {
        polls.push(poll(&shell, "q.fifo").await);
    }
    let entries: Vec<_> = (0..10)
        .map(|n| {
            let id = n.to_string();
            json!({ "Id": id, "MessageBody": id, "MessageGroupId": id, "MessageDeduplicationId": id })
        })
        .collect();
    call(&shell, Op::SendMessageBatch, json!({ "QueueUrl": "q.fifo", "Entries": entries })).await;
    let rest = polls.split_off(10);
    let mut bodies = Vec::new();
    for poll in polls {
        bodies.extend(body(poll).await);
    }
    // In the order in which the polls came.
    let expected: Vec<_> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(bodies, expected);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert!(rest.iter().all(|poll| !poll.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_dropped_takes_nothing_and_the_next_one_is_woken() {
    let shell = start().await;
    let begin = Instant::now();
    let first = poll(&shell, "q.fifo").await;
    let second = poll(&shell, "q.fifo").await;
    // The first poll is woken, and dropped before it can run.
    send(&shell, "a", "a1").await;
    first.abort();
    assert_eq!(body(second).await.as_deref(), Some("a1"));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_poll_ends_at_once_when_the_server_stops() {
    let shell = start().await;
    let begin = Instant::now();
    let poll = poll(&shell, "q.fifo").await;
    shell.stop.cancel();
    assert_eq!(body(poll).await, None);
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_poll_ends_at_once_when_its_queue_is_deleted() {
    let shell = start().await;
    let begin = Instant::now();
    let poll = poll(&shell, "q.fifo").await;
    call(&shell, Op::DeleteQueue, json!({ "QueueUrl": "q.fifo" })).await;
    let refused = poll.await.unwrap();
    assert_eq!(refused, Err("AWS.SimpleQueueService.NonExistentQueue".into()));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn calls_are_counted_by_queue_and_operation() {
    let shell = start().await;
    send(&shell, "a", "a1").await;
    send(&shell, "b", "b1").await;
    receive(&shell, "http://here/000000000000/q.fifo", 10, 0).await.unwrap();
    let calls = shell.calls();
    let count = |operation| calls[&("q.fifo".to_owned(), operation)];
    assert_eq!((count("SendMessage"), count("ReceiveMessage")), (2, 1));
}

#[tokio::test]
async fn a_missing_field_is_a_missing_parameter() {
    let shell = start().await;
    let request = json!({ "QueueUrl": "q.fifo" });
    let refused = try_call(&shell, Op::DeleteMessage, request).await;
    assert_eq!(refused, Err("MissingParameter".into()));
}

#[tokio::test]
async fn a_malformed_batch_is_refused_whole() {
    let shell = start().await;
    let entry = |id: &str, group: Option<&str>| json!({ "Id": id, "MessageBody": "x", "MessageGroupId": group, "MessageDeduplicationId": "d" });
    let many: Vec<_> = (0..11).map(|n| entry(&n.to_string(), Some("a"))).collect();
    let large = json!({ "Id": "1", "MessageBody": "x".repeat(600_000), "MessageGroupId": "a", "MessageDeduplicationId": "d" });
    let mut larger = large.clone();
    larger["Id"] = "2".into();
    for (entries, code) in [
        (json!([]), "AWS.SimpleQueueService.EmptyBatchRequest"),
        (many.into(), "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
        (
            json!([entry("1", Some("a")), entry("1", Some("b"))]),
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        ),
        (json!([entry("a b", Some("a"))]), "AWS.SimpleQueueService.InvalidBatchEntryId"),
        (json!([entry("1", None)]), "InvalidParameterValue"),
        (json!([large, larger]), "AWS.SimpleQueueService.BatchRequestTooLong"),
    ] {
        let request = json!({ "QueueUrl": "q.fifo", "Entries": entries });
        assert_eq!(try_call(&shell, Op::SendMessageBatch, request).await, Err(code.into()));
    }
    assert_eq!(receive(&shell, "q.fifo", 10, 0).await, Ok(vec![]));
}

#[tokio::test(start_paused = true)]
async fn time_does_not_go_back_to_before_what_was_recalled() {
    let future = Millis(10_000_000_000_000);
    let clock = Clock::start(future);
    assert_eq!(clock.now(), future);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(clock.now(), future + Duration::from_secs(5));
}
