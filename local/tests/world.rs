//! All of the outside world together.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use local::transactions::Faults;
use local::{Local, LocalOptions, Queues};
use rustack_sqs_http::dispatch::SqsHandler;
use rustack_sqs_model::operations::SqsOperation as Op;

async fn start(dir: &Path, queues: Queues) -> Local {
    let options = LocalOptions { queues, ..LocalOptions::passing(dir, Faults::default()) };
    Local::start(options).await.unwrap()
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
