//! The local SQS as a server: connections, polls whose clients leave, stops, counted calls.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use sqs_fifo::{Sqs, SqsOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const QUEUE: &str = "orders.fifo";

struct World {
    sqs: Sqs,
    client: Client,
    url: String,
}

async fn start() -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sqs = Sqs::start(listener, SqsOptions::default()).await.unwrap();
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(sqs.endpoint())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .build();
    let client = Client::from_conf(config);
    let created = client
        .create_queue()
        .queue_name(QUEUE)
        .attributes(QueueAttributeName::FifoQueue, "true")
        .send()
        .await
        .unwrap();
    let url = created.queue_url.unwrap();
    World { sqs, client, url }
}

impl World {
    async fn send(&self, group: &str, body: &str) {
        let send = self.client.send_message().queue_url(&self.url);
        let send = send.message_group_id(group).message_deduplication_id(body);
        send.message_body(body).send().await.unwrap();
    }

    fn poll(&self, wait: i32) -> tokio::task::JoinHandle<Vec<String>> {
        let receive = self.client.receive_message().queue_url(&self.url);
        let receive = receive.wait_time_seconds(wait).send();
        tokio::spawn(async move {
            let messages = receive.await.unwrap().messages.unwrap_or_default();
            messages.into_iter().filter_map(|one| one.body).collect()
        })
    }

    /// Lets others run until so many receives have arrived.
    async fn receives_arrived(&self, count: u64) {
        let arrived = || {
            let calls = self.sqs.calls();
            calls.get(&(QUEUE.to_owned(), "ReceiveMessage")).copied()
        };
        let wait = async {
            while arrived() != Some(count) {
                tokio::task::yield_now().await;
            }
        };
        let deadline = Duration::from_secs(10);
        tokio::time::timeout(deadline, wait).await.unwrap();
    }
}

#[tokio::test]
async fn a_poll_whose_client_went_away_takes_nothing() {
    let world = start().await;
    let body = format!(r#"{{"QueueUrl":"{}","WaitTimeSeconds":20}}"#, world.url);
    let request = format!(
        "POST / HTTP/1.1\r\nhost: local\r\nx-amz-target: AmazonSQS.ReceiveMessage\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = world.sqs.endpoint();
    let mut stream = TcpStream::connect(&address["http://".len()..]).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    world.receives_arrived(1).await;
    drop(stream);
    // This poll came later, and is heard by the server after the end of the first.
    let poll = world.poll(20);
    world.receives_arrived(2).await;
    world.send("a", "a1").await;
    assert_eq!(poll.await.unwrap(), ["a1"]);
}

#[tokio::test]
async fn a_stop_ends_polls_at_once_and_closes_idle_connections() {
    let world = start().await;
    let address = world.sqs.endpoint();
    let mut idle = TcpStream::connect(&address["http://".len()..]).await.unwrap();
    let poll = world.poll(20);
    world.receives_arrived(1).await;
    let begin = Instant::now();
    world.sqs.stop().await.unwrap();
    assert!(poll.await.unwrap().is_empty());
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(begin.elapsed() < Duration::from_secs(5));
}

/// boto3 before 1.29 and the AWS CLI before 1.30 speak the Query protocol.
#[tokio::test]
async fn a_client_of_the_query_protocol_is_told_so_in_its_own_form() {
    let world = start().await;
    let address = world.sqs.endpoint().trim_start_matches("http://").to_owned();
    let body = "Action=ListQueues&Version=2012-11-05";
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    for part in ["text/xml", "<Code>UnsupportedOperation</Code>", "boto3 1.29"] {
        assert!(answer.contains(part), "{part} is missing in {answer}");
    }
}
