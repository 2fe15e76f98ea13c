//! Queues that outlive their process, by a snapshot.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyper::body::Body;
use rustack_sqs_http::dispatch::SqsHandler;
use rustack_sqs_model::operations::SqsOperation as Op;
use serde_json::{Value, json};
use sqs_fifo::{Sqs, SqsOptions, StartError};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// One life of the queue service. When it is dropped, its runtime goes in the middle of whatever
/// it does: nothing is stopped, finished or written.
struct Life {
    runtime: Runtime,
    sqs: Sqs,
}

fn begin(path: &Path) -> Result<Life, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let snapshot = Some(path.to_owned());
    let sqs = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Sqs::start(listener, SqsOptions { snapshot, ..SqsOptions::default() }).await
    })?;
    Ok(Life { runtime, sqs })
}

impl Life {
    /// Stops it in order.
    fn stop(self) {
        self.runtime.block_on(self.sqs.stop()).unwrap();
    }

    /// Lets it serve until the snapshot is newer than now.
    fn wait_for_a_snapshot(&self, path: &Path) {
        let written = || fs::metadata(path).and_then(|file| file.modified()).ok();
        let before = written();
        let deadline = Instant::now() + Duration::from_secs(30);
        while written() == before {
            assert!(Instant::now() < deadline, "no snapshot");
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(20)).await });
        }
    }

    fn call(&self, operation: Op, request: Value) -> Result<Value, String> {
        let answer = self.sqs.handler().handle_operation(operation, request.to_string().into());
        let mut answer = self.runtime.block_on(answer).unwrap();
        let body = std::future::poll_fn(|context| {
            std::pin::Pin::new(answer.body_mut()).poll_frame(context)
        });
        let body = self.runtime.block_on(body).unwrap().unwrap().into_data().unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if answer.status().is_success() { Ok(body) } else { Err(body.to_string()) }
    }

    fn create(&self) {
        let fifo = json!({ "FifoQueue": "true" });
        self.call(Op::CreateQueue, json!({ "QueueName": "dead.fifo", "Attributes": fifo }))
            .unwrap();
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead.fifo","maxReceiveCount":3}"#;
        let live = json!({ "FifoQueue": "true", "RedrivePolicy": policy });
        let tags = json!({ "team": "orders" });
        self.call(
            Op::CreateQueue,
            json!({ "QueueName": "live.fifo", "Attributes": live, "tags": tags }),
        )
        .unwrap();
    }

    fn send(&self, group: &str, body: &str) -> Result<(), String> {
        let request = json!({
            "QueueUrl": "live.fifo", "MessageBody": body,
            "MessageGroupId": group, "MessageDeduplicationId": body,
        });
        self.call(Op::SendMessage, request).map(|_| ())
    }

    fn receive(&self, seconds: u32) -> Vec<Value> {
        let request = json!({
            "QueueUrl": "live.fifo", "MaxNumberOfMessages": 10, "VisibilityTimeout": seconds,
            "MessageSystemAttributeNames": ["All"],
        });
        let got = self.call(Op::ReceiveMessage, request).unwrap();
        got["Messages"].as_array().cloned().unwrap_or_default()
    }

    fn delete(&self, message: &Value) -> Result<(), String> {
        let handle = &message["ReceiptHandle"];
        let request = json!({ "QueueUrl": "live.fifo", "ReceiptHandle": handle });
        self.call(Op::DeleteMessage, request).map(|_| ())
    }

    fn release(&self, message: &Value) {
        let handle = &message["ReceiptHandle"];
        let request =
            json!({ "QueueUrl": "live.fifo", "ReceiptHandle": handle, "VisibilityTimeout": 0 });
        self.call(Op::ChangeMessageVisibility, request).unwrap();
    }

    /// Receives and deletes all there is; bodies by group.
    fn drain(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        loop {
            let got = self.receive(30);
            if got.is_empty() {
                return groups;
            }
            for one in &got {
                let group = one["Attributes"]["MessageGroupId"].as_str().unwrap();
                groups.entry(group.to_owned()).or_default().push(body(one));
                self.delete(one).unwrap();
            }
        }
    }
}

fn body(message: &Value) -> String {
    message["Body"].as_str().unwrap().to_owned()
}

fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queues.json");
    (folder, path)
}

#[test]
fn over_many_restarts_nothing_is_lost_nothing_comes_back_and_order_is_kept() {
    let (_folder, path) = file();
    let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut deleted = BTreeSet::new();
    let mut number = 0;
    for life in 0..8 {
        let world = begin(&path).unwrap();
        if life == 0 {
            world.create();
        }
        for _ in 0..60 {
            let group = format!("g{}", number % 7);
            let body = format!("{group}-{number}");
            world.send(&group, &body).unwrap();
            sent.entry(group).or_default().push(body);
            number += 1;
        }
        // In hand when it ends: deleted, released, or visible again by itself at once.
        let got = world.receive(0);
        assert!(!got.is_empty());
        for (n, message) in world.receive(30).iter().enumerate() {
            if n % 3 == 0 {
                world.delete(message).unwrap();
                deleted.insert(body(message));
            } else {
                world.release(message);
            }
        }
        world.stop();
    }
    let world = begin(&path).unwrap();
    let left = world.drain();
    let dead = json!({ "QueueUrl": "dead.fifo", "MaxNumberOfMessages": 10 });
    let mut dead_by_group: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut all_dead = Vec::new();
    loop {
        let mut request = dead.clone();
        request["MessageSystemAttributeNames"] = json!(["All"]);
        let got = world.call(Op::ReceiveMessage, request).unwrap();
        let Some(got) = got["Messages"].as_array().cloned() else { break };
        for one in &got {
            let group = one["Attributes"]["MessageGroupId"].as_str().unwrap().to_owned();
            dead_by_group.entry(group).or_default().push(body(one));
            all_dead.push(body(one));
            let handle = &one["ReceiptHandle"];
            let request = json!({ "QueueUrl": "dead.fifo", "ReceiptHandle": handle });
            world.call(Op::DeleteMessage, request).unwrap();
        }
    }
    assert!(!all_dead.is_empty(), "some were received too often");
    for (group, mut bodies) in sent {
        bodies.retain(|body| !deleted.contains(body));
        let dead: BTreeSet<_> =
            dead_by_group.remove(&group).unwrap_or_default().into_iter().collect();
        let alive: Vec<_> = bodies.iter().filter(|body| !dead.contains(*body)).cloned().collect();
        assert_eq!(left.get(&group).cloned().unwrap_or_default(), alive, "{group}");
        assert_eq!(bodies.len(), alive.len() + dead.len(), "{group}");
    }
}

#[test]
fn attributes_tags_receive_counts_and_deduplication_come_back() {
    let (_folder, path) = file();
    let world = begin(&path).unwrap();
    world.create();
    let set = json!({ "QueueUrl": "live.fifo", "Attributes": { "VisibilityTimeout": "7" } });
    world.call(Op::SetQueueAttributes, set).unwrap();
    world.send("a", "a1").unwrap();
    world.receive(0);
    let all = json!({ "QueueUrl": "live.fifo", "AttributeNames": ["All"] });
    let tags = json!({ "QueueUrl": "live.fifo" });
    let told = |world: &Life| {
        let attributes = world.call(Op::GetQueueAttributes, all.clone()).unwrap();
        (attributes, world.call(Op::ListQueueTags, tags.clone()).unwrap())
    };
    let before = told(&world);
    assert_eq!(before.0["Attributes"]["VisibilityTimeout"], "7");
    world.stop();

    let world = begin(&path).unwrap();
    assert_eq!(told(&world), before);
    world.send("a", "a1").unwrap();
    let got = world.receive(30);
    assert_eq!(got.len(), 1, "the second a1 is a duplicate");
    assert_eq!(got[0]["Attributes"]["ApproximateReceiveCount"], "2");
}

#[test]
fn after_an_end_in_the_middle_the_queues_are_as_in_the_latest_snapshot() {
    let (_folder, path) = file();
    let world = begin(&path).unwrap();
    world.create();
    world.send("a", "a1").unwrap();
    world.send("a", "a2").unwrap();
    world.delete(&world.receive(30)[0]).unwrap();
    world.wait_for_a_snapshot(&path);
    world.send("b", "b1").unwrap();
    drop(world);
    // What a write leaves that was cut off.
    fs::write(path.with_extension("json.new"), "{\"region\":").unwrap();

    let world = begin(&path).unwrap();
    world.send("b", "b1").unwrap();
    let left = world.drain();
    assert_eq!(left.get("b").map(Vec::len), Some(1), "{left:?}");
    assert_eq!(left.get("a"), None, "a2 is in flight");
}

#[test]
fn another_file_is_refused_and_left_as_it_is() {
    let (_folder, path) = file();
    for text in ["{}\n", "no JSON"] {
        fs::write(&path, text).unwrap();
        let refused = begin(&path).err().unwrap();
        assert!(refused.source().unwrap().to_string().contains("is not a snapshot of queues"));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_snapshot_has_one_service_at_a_time() {
    let (_folder, path) = file();
    let first = begin(&path).unwrap();
    let refused = begin(&path).err().unwrap();
    assert!(refused.source().unwrap().to_string().contains("in use by another process"));
    drop(first);
    begin(&path).unwrap();
}

#[test]
fn a_snapshot_that_cannot_be_written_is_an_error_of_the_stop_and_keeps_the_one_before() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("queues.json");
    begin(&path).unwrap().stop();
    let life = begin(&path).unwrap();
    // Where the new snapshot would be written first.
    fs::create_dir(folder.path().join("queues.json.new")).unwrap();
    life.call(Op::CreateQueue, json!({"QueueName": "q.fifo", "Attributes": {"FifoQueue": "true"}}))
        .unwrap();
    let stopped = life.runtime.block_on(life.sqs.stop());
    assert!(matches!(stopped, Err(sqs_fifo::SnapshotError::Write { .. })), "{stopped:?}");
    fs::remove_dir(folder.path().join("queues.json.new")).unwrap();
    begin(&path).unwrap().stop();
}
