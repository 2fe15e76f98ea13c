//! What the SQS engine costs in process: receiving at a small and at a large backlog, and whole
//! rounds of sending, receiving and deleting. Each by the engine alone, whose calls are so short
//! that at a large backlog the memory's latency shows, and as operations with their JSON.

use std::collections::HashMap;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hyper::body::{Body, Bytes};
use rustack_sqs_http::dispatch::SqsHandler;
use rustack_sqs_model::operations::SqsOperation;
use serde::Deserialize;
use sqs_fifo::engine::{BATCH, Delivery, Draft, Engine, Limits, Millis, ReceiveRequest};
use sqs_fifo::{Sqs, SqsOptions};

const QUEUE: &str = "bench.fifo";
const NOW: Millis = Millis(1_700_000_000_000);
/// Messages and groups of a backlog.
const BACKLOGS: [(usize, usize); 2] = [(1_000, 100), (100_000, 50_000)];

/// Group, deduplication id and body of the `n`th message.
fn message(n: usize, groups: usize) -> (String, String, String) {
    let group = format!("customer-{:08}", n % groups);
    let body = format!(r#"{{"order":"{n:034}","customer":"{group}","total":1299}}"#);
    (group, format!("order-{n:026}"), body)
}

fn engine(messages: usize, groups: usize) -> Engine {
    let mut engine = Engine::new("us-east-1", "000000000000", Limits::default(), 1);
    let attributes = HashMap::from([("FifoQueue".to_owned(), "true".to_owned())]);
    let tags = HashMap::new();
    let created = engine.create_queue(QUEUE, &attributes, &tags, NOW);
    created.expect("a new queue");
    for n in 0..messages {
        send(&mut engine, n, groups);
    }
    engine
}

fn send(engine: &mut Engine, n: usize, groups: usize) {
    let (group, id, body) = message(n, groups);
    let draft = Draft::new(&body, Some(&group), Some(&id)).expect("a valid message");
    engine.send(QUEUE, draft, NOW).expect("sent");
}

fn receive(engine: &mut Engine) -> Vec<Delivery> {
    let request = ReceiveRequest::new(10, None, None).expect("a valid request");
    let deliveries = engine.receive(QUEUE, &request, NOW).expect("received");
    assert_eq!(deliveries.len(), BATCH);
    deliveries
}

fn engine_alone(c: &mut Criterion) {
    let mut bench = c.benchmark_group("engine alone");
    bench.throughput(Throughput::Elements(BATCH as u64));
    for (messages, groups) in BACKLOGS {
        let mut engine = engine(messages, groups);
        bench.bench_function(format!("receive at {messages} in {groups} groups"), |b| {
            b.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let start = Instant::now();
                    let deliveries = black_box(receive(&mut engine));
                    spent += start.elapsed();
                    for delivery in deliveries {
                        let handle = delivery.receipt.to_string();
                        let released = engine.change_visibility(QUEUE, &handle, 0, NOW);
                        released.expect("in flight");
                    }
                }
                spent
            });
        });
    }
    let mut engine = engine(0, 1);
    let mut sent = 0;
    bench.bench_function("send, receive and delete", |b| {
        b.iter(|| {
            for n in sent..sent + BATCH {
                send(&mut engine, n, 1_000);
            }
            sent += BATCH;
            for delivery in receive(&mut engine) {
                let handle = delivery.receipt.to_string();
                engine.delete(QUEUE, &handle, NOW).expect("in flight");
            }
        });
    });
    bench.finish();
}

/// Calls operations in process; none of them waits.
struct Service<H>(H);

impl<H: SqsHandler> Service<H> {
    fn call(&self, operation: SqsOperation, request: String) -> Bytes {
        let mut context = Context::from_waker(Waker::noop());
        let mut answer = self.0.handle_operation(operation, request.to_string().into());
        let Poll::Ready(Ok(mut response)) = answer.as_mut().poll(&mut context) else {
            panic!("{operation} waits");
        };
        assert!(response.status().is_success(), "{operation} is refused");
        let frame = Pin::new(response.body_mut()).poll_frame(&mut context);
        let Poll::Ready(Some(Ok(frame))) = frame else {
            panic!("{operation} has no answer");
        };
        frame.into_data().expect("bytes")
    }

    fn send(&self, first: usize, groups: usize) {
        let entry = |n| {
            let (group, id, body) = message(n, groups);
            let body = body.replace('"', "\\\"");
            format!(
                r#"{{"Id":"{n}","MessageBody":"{body}","MessageGroupId":"{group}","MessageDeduplicationId":"{id}"}}"#
            )
        };
        let entries: Vec<_> = (first..first + BATCH).map(entry).collect();
        let entries = entries.join(",");
        let request = format!(r#"{{"QueueUrl":"{QUEUE}","Entries":[{entries}]}}"#);
        self.call(SqsOperation::SendMessageBatch, request);
    }

    fn receive(&self) -> Bytes {
        let request = format!(
            r#"{{"QueueUrl":"{QUEUE}","MaxNumberOfMessages":{BATCH},"MessageSystemAttributeNames":["MessageGroupId","ApproximateReceiveCount"]}}"#
        );
        self.call(SqsOperation::ReceiveMessage, request)
    }

    /// What becomes of the messages of an answer: deleted, or visible again.
    fn finish(&self, operation: SqsOperation, received: &[u8]) {
        let received: Received = serde_json::from_slice(received).expect("JSON");
        assert_eq!(received.messages.len(), BATCH);
        let entry = |(n, message): (usize, &Handle)| {
            let handle = message.receipt_handle;
            format!(r#"{{"Id":"{n}","ReceiptHandle":"{handle}","VisibilityTimeout":0}}"#)
        };
        let entries: Vec<_> = received.messages.iter().enumerate().map(entry).collect();
        let entries = entries.join(",");
        self.call(operation, format!(r#"{{"QueueUrl":"{QUEUE}","Entries":[{entries}]}}"#));
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Received<'a> {
    #[serde(borrow)]
    messages: Vec<Handle<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Handle<'a> {
    receipt_handle: &'a str,
}

fn operations(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _inside = runtime.enter();
    let service = |messages: usize, groups: usize| {
        let sqs = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            Sqs::start(listener.expect("a port"), SqsOptions::default()).await
        });
        let service = Service(sqs.expect("started").handler());
        let create = format!(r#"{{"QueueName":"{QUEUE}","Attributes":{{"FifoQueue":"true"}}}}"#);
        service.call(SqsOperation::CreateQueue, create);
        for first in (0..messages).step_by(BATCH) {
            service.send(first, groups);
        }
        service
    };
    let mut bench = c.benchmark_group("operations");
    bench.throughput(Throughput::Elements(BATCH as u64));
    for (messages, groups) in BACKLOGS {
        let service = service(messages, groups);
        bench.bench_function(format!("receive at {messages} in {groups} groups"), |b| {
            b.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let start = Instant::now();
                    let received = black_box(service.receive());
                    spent += start.elapsed();
                    let release = SqsOperation::ChangeMessageVisibilityBatch;
                    service.finish(release, &received);
                }
                spent
            });
        });
    }
    let service = service(0, 1);
    let mut sent = 0;
    bench.bench_function("send, receive and delete", |b| {
        b.iter(|| {
            service.send(sent, 1_000);
            sent += BATCH;
            service.finish(SqsOperation::DeleteMessageBatch, &service.receive());
        });
    });
    bench.finish();
}

criterion_group!(benches, engine_alone, operations);
criterion_main!(benches);
