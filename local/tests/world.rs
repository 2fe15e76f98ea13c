//! All of the outside world together.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use local::transactions::Faults;
use local::{Local, LocalOptions, Queues};
use rustack_sqs_http::dispatch::SqsHandler;
use rustack_sqs_model::operations::SqsOperation as Op;

fn options(dir: &Path, queues: Queues) -> LocalOptions {
    LocalOptions { queues, ..LocalOptions::passing(dir, Faults::default()) }
}

async fn start(dir: &Path, queues: Queues) -> Local {
    Local::start(options(dir, queues)).await.unwrap()
}

/// Whether an operation on `q.fifo` succeeds.
async fn succeeds(local: &Local, operation: Op, request: &'static str) -> bool {
    let answer = local.sqs.handler().handle_operation(operation, request.into());
    answer.await.unwrap().status().is_success()
}

#[tokio::test]
async fn queues_come_back_where_they_are_kept_and_only_there() {
    let create = r#"{"QueueName":"q.fifo","Attributes":{"FifoQueue":"true"}}"#;
    let find = r#"{"QueueName":"q.fifo"}"#;
    for (queues, found) in [(Queues::Kept, true), (Queues::InMemory, false)] {
        let folder = tempfile::tempdir().unwrap();
        let local = start(folder.path(), queues).await;
        assert!(succeeds(&local, Op::CreateQueue, create).await);
        local.stop().await.unwrap();
        let local = start(folder.path(), queues).await;
        assert_eq!(succeeds(&local, Op::GetQueueUrl, find).await, found, "{queues:?}");
        local.stop().await.unwrap();
        assert_eq!(folder.path().join("queues.json").exists(), found);
    }
}

#[tokio::test]
async fn queues_of_an_earlier_build_are_not_passed_over_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("queues.jsonl");
    std::fs::write(&old, "").unwrap();
    let started = Local::start(options(folder.path(), Queues::Kept)).await;
    let error = started.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("queues.jsonl holds the queues of an earlier build"), "{error}");
    std::fs::remove_file(&old).unwrap();
    start(folder.path(), Queues::Kept).await.stop().await.unwrap();
}
