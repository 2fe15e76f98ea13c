//! An endpoint under test, and queues on it.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::send_message::SendMessageOutput;
use aws_sdk_sqs::types::{
    Message, MessageSystemAttributeName as System, QueueAttributeName as Attribute,
    SendMessageBatchRequestEntry,
};
use uuid::Uuid;

/// An endpoint, spoken to without retries.
#[derive(Debug, Clone)]
pub(crate) struct At {
    pub(crate) client: Client,
}

/// A queue of a case's own.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) url: String,
}

/// The code of an error, as the SDK gives it.
pub(crate) type Refused<T> = Result<T, String>;

pub(crate) fn code<E: ProvideErrorMetadata, R>(error: SdkError<E, R>) -> String {
    error.code().unwrap_or("none").to_owned()
}

impl At {
    pub(crate) fn new(endpoint: &str) -> Self {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .retry_config(RetryConfig::disabled())
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .build();
        Self { client: Client::from_conf(config) }
    }

    /// A name that no queue has.
    pub(crate) fn name() -> String {
        format!("case-{}.fifo", Uuid::now_v7().simple())
    }

    pub(crate) async fn try_create(
        &self,
        name: &str,
        attributes: &[(Attribute, &str)],
    ) -> Refused<Queue> {
        let mut create = self.client.create_queue().queue_name(name);
        create = create.attributes(Attribute::FifoQueue, "true");
        for (attribute, value) in attributes {
            create = create.attributes(attribute.clone(), *value);
        }
        let url = create.send().await.map_err(code)?.queue_url.unwrap();
        Ok(Queue { client: self.client.clone(), name: name.to_owned(), url })
    }

    pub(crate) async fn queue_with(&self, attributes: &[(Attribute, &str)]) -> Queue {
        self.try_create(&Self::name(), attributes).await.unwrap()
    }

    pub(crate) async fn queue(&self) -> Queue {
        self.queue_with(&[]).await
    }

    /// A queue whose messages go to the second one after `count` receives.
    pub(crate) async fn queue_with_dead_letters(&self, count: u32) -> (Queue, Queue) {
        let dead = self.queue().await;
        let arn = dead.arn().await;
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{count}"}}"#);
        (self.queue_with(&[(Attribute::RedrivePolicy, &policy)]).await, dead)
    }
}

impl Queue {
    pub(crate) async fn try_send(
        &self,
        group: &str,
        body: &str,
        id: Option<&str>,
    ) -> Refused<SendMessageOutput> {
        let send = self.client.send_message().queue_url(&self.url).message_body(body);
        let send = send.message_group_id(group);
        let send = send.set_message_deduplication_id(id.map(str::to_owned));
        send.send().await.map_err(code)
    }

    /// Sends a message whose body is its deduplication id.
    pub(crate) async fn send(&self, group: &str, body: &str) -> SendMessageOutput {
        self.try_send(group, body, Some(body)).await.unwrap()
    }

    /// Sends messages whose groups are the first letters of their bodies.
    pub(crate) async fn send_all(&self, bodies: &[&str]) {
        for body in bodies {
            self.send(&body[..1], body).await;
        }
    }

    /// Receives up to `max` messages for `seconds`, after waiting up to `wait` seconds for them.
    pub(crate) async fn poll(&self, max: i32, seconds: i32, wait: i32) -> Vec<Message> {
        let receive = self.client.receive_message().queue_url(&self.url);
        let receive = receive.max_number_of_messages(max).visibility_timeout(seconds);
        let receive = receive.message_system_attribute_names(System::All);
        let receive = receive.message_attribute_names("All").wait_time_seconds(wait);
        receive.send().await.unwrap().messages.unwrap_or_default()
    }

    /// Receives what there is now, for long enough.
    pub(crate) async fn receive(&self, max: i32) -> Vec<Message> {
        self.poll(max, 60, 0).await
    }

    pub(crate) async fn delete(&self, message: &Message) -> Refused<()> {
        let delete = self.client.delete_message().queue_url(&self.url);
        let delete = delete.set_receipt_handle(message.receipt_handle.clone());
        delete.send().await.map(|_| ()).map_err(code)
    }

    pub(crate) async fn change(&self, message: &Message, seconds: i32) -> Refused<()> {
        let change = self.client.change_message_visibility().queue_url(&self.url);
        let change = change.set_receipt_handle(message.receipt_handle.clone());
        change.visibility_timeout(seconds).send().await.map(|_| ()).map_err(code)
    }

    pub(crate) async fn attribute(&self, name: Attribute) -> String {
        let get = self.client.get_queue_attributes().queue_url(&self.url);
        let got = get.attribute_names(name.clone()).send().await.unwrap();
        got.attributes.unwrap()[&name].clone()
    }

    pub(crate) async fn arn(&self) -> String {
        self.attribute(Attribute::QueueArn).await
    }

    /// Asks for something a few times: what was sent before has arrived by then.
    pub(crate) async fn let_others_arrive(&self) {
        for _ in 0..20 {
            self.arn().await;
        }
    }
}

/// An entry of a batch; its id and deduplication id are its body.
pub(crate) fn entry(id: &str, group: &str, body: &str) -> SendMessageBatchRequestEntry {
    let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(body);
    let entry = entry.message_group_id(group).message_deduplication_id(id);
    entry.build().unwrap()
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|one| one.body.as_deref().unwrap()).collect()
}

pub(crate) fn system(message: &Message, name: System) -> Option<&str> {
    message.attributes.as_ref()?.get(&name).map(String::as_str)
}
