//! The local SQS as its clients see it: over HTTP, with the AWS SDK.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageAttributeValue, MessageSystemAttributeName,
    QueueAttributeName, SendMessageBatchRequestEntry,
};
use local::sqs::{Sqs, SqsOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const QUEUE: &str = "payments.fifo";

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
async fn a_batch_travels_from_send_to_delete_with_all_that_belongs_to_it() {
    let world = start().await;
    let colour =
        MessageAttributeValue::builder().data_type("String").string_value("blue").build().unwrap();
    let entry = |n: usize| {
        SendMessageBatchRequestEntry::builder()
            .id(n.to_string())
            .message_body(format!("body \"{n}\" ü"))
            .message_group_id("a")
            .message_deduplication_id(n.to_string())
            .message_attributes("colour", colour.clone())
            .build()
            .unwrap()
    };
    let send = world.client.send_message_batch().queue_url(&world.url);
    let send = send.set_entries(Some((0..10).map(entry).collect()));
    let sent = send.send().await.unwrap();
    assert_eq!((sent.successful.len(), sent.failed.len()), (10, 0));

    let receive = world.client.receive_message().queue_url(&world.url);
    let receive = receive
        .max_number_of_messages(10)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All");
    let got = receive.send().await.unwrap().messages.unwrap();
    assert_eq!(got.len(), 10);
    for (n, (message, sent)) in got.iter().zip(&sent.successful).enumerate() {
        assert_eq!(message.body.as_deref(), Some(&*format!("body \"{n}\" ü")));
        assert_eq!(message.message_id.as_deref(), Some(&*sent.message_id));
        assert_eq!(message.md5_of_body.as_deref(), Some(&*sent.md5_of_message_body));
        assert_eq!(message.md5_of_message_attributes, sent.md5_of_message_attributes);
        let system = message.attributes.as_ref().unwrap();
        let number = system.get(&MessageSystemAttributeName::SequenceNumber);
        assert_eq!(number, sent.sequence_number.as_ref());
        assert_eq!(system[&MessageSystemAttributeName::MessageGroupId], "a");
        assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
        let attributes = message.message_attributes.as_ref().unwrap();
        assert_eq!(attributes["colour"].string_value.as_deref(), Some("blue"));
    }

    let entries = got.iter().enumerate().map(|(n, message)| {
        DeleteMessageBatchRequestEntry::builder()
            .id(n.to_string())
            .receipt_handle(message.receipt_handle.clone().unwrap())
            .build()
            .unwrap()
    });
    let delete = world.client.delete_message_batch().queue_url(&world.url);
    let deleted = delete.set_entries(Some(entries.collect())).send().await.unwrap();
    assert_eq!((deleted.successful.len(), deleted.failed.len()), (10, 0));
    let calls = world.sqs.calls();
    assert_eq!(calls[&(QUEUE.to_owned(), "DeleteMessageBatch")], 1);
}

#[tokio::test]
async fn errors_arrive_as_the_sdk_s_own() {
    let world = start().await;
    let missing = format!("{}x", world.url);
    let refused = world.client.send_message().queue_url(missing).message_body("x");
    let refused = refused.message_group_id("a").message_deduplication_id("1").send().await;
    assert!(refused.unwrap_err().into_service_error().is_queue_does_not_exist());

    let delete = world.client.delete_message().queue_url(&world.url);
    let refused = delete.receipt_handle("nonsense").send().await.unwrap_err();
    assert!(refused.into_service_error().is_receipt_handle_is_invalid());

    let receive = world.client.receive_message().queue_url(&world.url);
    let refused = receive.max_number_of_messages(11).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidParameterValue"));

    world.send("a", "a1").await;
    let receive = world.client.receive_message().queue_url(&world.url);
    let got = receive.visibility_timeout(0).send().await.unwrap().messages.unwrap();
    let change = world.client.change_message_visibility().queue_url(&world.url);
    let change = change.set_receipt_handle(got[0].receipt_handle.clone());
    let refused = change.visibility_timeout(5).send().await.unwrap_err();
    assert!(refused.into_service_error().is_message_not_inflight());
}

#[tokio::test]
async fn attributes_urls_and_lists_are_shown() {
    let world = start().await;
    assert!(world.url.starts_with(&world.sqs.endpoint()));
    let found = world.client.get_queue_url().queue_name(QUEUE).send().await.unwrap();
    assert_eq!(found.queue_url.as_ref(), Some(&world.url));
    let listed = world.client.list_queues().queue_name_prefix("pay").send().await.unwrap();
    assert_eq!(listed.queue_urls(), std::slice::from_ref(&world.url));

    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:payments.fifo","maxReceiveCount":3}"#;
    let create = world.client.create_queue().queue_name("live.fifo");
    let create = create
        .attributes(QueueAttributeName::FifoQueue, "true")
        .attributes(QueueAttributeName::RedrivePolicy, policy);
    let live = create.send().await.unwrap().queue_url.unwrap();
    let sources = world.client.list_dead_letter_source_queues().queue_url(&world.url);
    let sources = sources.send().await.unwrap().queue_urls;
    assert_eq!(sources, std::slice::from_ref(&live));

    let attributes = world.client.get_queue_attributes().queue_url(&live);
    let attributes = attributes.attribute_names(QueueAttributeName::All);
    let attributes = attributes.send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::RedrivePolicy], policy);
    assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "30");
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
    world.sqs.stop().await;
    assert!(poll.await.unwrap().is_empty());
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(begin.elapsed() < Duration::from_secs(5));
}
