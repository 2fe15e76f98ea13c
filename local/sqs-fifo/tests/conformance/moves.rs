//! Message move tasks.

use std::time::Duration;

use aws_sdk_sqs::types::{
    ListMessageMoveTasksResultEntry as Task, MessageSystemAttributeName as System,
    QueueAttributeName as Attribute,
};

use crate::endpoint::{At, Queue, bodies, code, system};

crate::cases!(
    a_task_moves_messages_back_in_order_as_new_ones,
    a_task_moves_messages_to_the_destination_asked_for,
    a_cancelled_task_leaves_the_rest,
    a_queue_has_one_running_task,
    a_task_needs_a_dead_letter_queue,
    a_task_needs_a_queue_that_exists,
);

/// A queue and its dead-letter queue, with ten dead messages of one group.
async fn dead(at: &At) -> (Queue, Queue) {
    let (queue, dead) = at.queue_with_dead_letters(1).await;
    for n in 0..10 {
        queue.send("a", &format!("a{n}")).await;
    }
    for message in queue.receive(10).await {
        queue.change(&message, 0).await.unwrap();
    }
    assert!(queue.receive(10).await.is_empty());
    (queue, dead)
}

async fn newest(dead: &Queue) -> Task {
    let list = dead.client.list_message_move_tasks().source_arn(dead.arn().await);
    let tasks = list.send().await.unwrap().results.unwrap();
    tasks.into_iter().next().unwrap()
}

/// The newest task once it no longer runs.
async fn ended(dead: &Queue) -> Task {
    let ended = async {
        loop {
            let task = newest(dead).await;
            if !matches!(task.status.as_deref(), Some("RUNNING" | "CANCELLING")) {
                return task;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap()
}

async fn start(dead: &Queue, to: Option<String>, rate: Option<i32>) -> Result<String, String> {
    let start = dead.client.start_message_move_task().source_arn(dead.arn().await);
    let start = start.set_destination_arn(to).set_max_number_of_messages_per_second(rate);
    start.send().await.map(|started| started.task_handle.unwrap()).map_err(code)
}

async fn a_task_moves_messages_back_in_order_as_new_ones(at: At) {
    let (queue, dead) = dead(&at).await;
    start(&dead, None, None).await.unwrap();
    let task = ended(&dead).await;
    assert_eq!(task.status.as_deref(), Some("COMPLETED"));
    assert_eq!(task.approximate_number_of_messages_moved, 10);
    let got = queue.poll(10, 60, 5).await;
    let expected: Vec<_> = (0..10).map(|n| format!("a{n}")).collect();
    assert_eq!(bodies(&got), expected);
    assert_eq!(system(&got[0], System::ApproximateReceiveCount), Some("1"));
    assert_eq!(dead.attribute(Attribute::ApproximateNumberOfMessages).await, "0");
}

async fn a_task_moves_messages_to_the_destination_asked_for(at: At) {
    let (_, dead) = dead(&at).await;
    let other = at.queue().await;
    start(&dead, Some(other.arn().await), None).await.unwrap();
    assert_eq!(ended(&dead).await.status.as_deref(), Some("COMPLETED"));
    assert_eq!(other.poll(10, 60, 5).await.len(), 10);
}

async fn a_cancelled_task_leaves_the_rest(at: At) {
    let (_, dead) = dead(&at).await;
    let handle = start(&dead, None, Some(1)).await.unwrap();
    let cancel = at.client.cancel_message_move_task().task_handle(handle);
    let moved = cancel.send().await.unwrap().approximate_number_of_messages_moved;
    assert!(moved < 10, "{moved} moved at once");
    assert_eq!(ended(&dead).await.status.as_deref(), Some("CANCELLED"));
    let left = dead.attribute(Attribute::ApproximateNumberOfMessages).await;
    assert_eq!(left, (10 - moved).to_string());
}

async fn a_queue_has_one_running_task(at: At) {
    let (_, dead) = dead(&at).await;
    start(&dead, None, Some(1)).await.unwrap();
    start(&dead, None, None).await.unwrap_err();
}

async fn a_task_needs_a_dead_letter_queue(at: At) {
    let queue = at.queue().await;
    assert_eq!(start(&queue, None, None).await.unwrap_err(), "InvalidParameterValue");
}

async fn a_task_needs_a_queue_that_exists(at: At) {
    let (_, dead) = dead(&at).await;
    let missing = format!("{}x.fifo", dead.arn().await);
    let start = at.client.start_message_move_task().source_arn(missing);
    let refused = start.send().await.map_err(code).unwrap_err();
    assert_eq!(refused, "ResourceNotFoundException");
}
