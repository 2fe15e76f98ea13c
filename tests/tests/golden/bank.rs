//! A local `DynamoDB` and SQS on which this version writes what the golden file holds.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use demo::local_world::World;
use domain::{Failure, FailureCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::Installation;
use shared::config::Names;
use shared::dispatch_stop::{DispatchStops, StopTable};
use shared::installation::Agreement;
use shared::payments::archive::{PaymentsAndArchive, archive_payments};
use shared::payments::{Change, FirstClaim, PaymentStore, PaymentsTable};
use shared::queue::{
    ConfirmationSource, DeadLetterQueue, DeadLetterSource, Dispatch, OutgoingMessage, Producer,
};
use tempfile::TempDir;
use tests::world::without_services;

use super::payments::{self, at};

type Item = HashMap<String, AttributeValue>;

pub(crate) struct Bank {
    pub(crate) world: World,
    _dir: TempDir,
}

impl Bank {
    pub(crate) async fn open() -> Self {
        let (world, dir) = without_services().await.unwrap();
        Self { world, _dir: dir }
    }

    pub(crate) fn names(&self) -> &Names {
        &self.world.names
    }

    pub(crate) fn agreement(&self) -> Agreement {
        let own = Installation { zone: "UTC".to_owned(), due_shards: 16 };
        Agreement::of(&self.world.aws, &self.world.names, own, Clock::system())
    }

    /// Brings each payment to its status, archives one, and stops dispatching.
    pub(crate) async fn write_items(&self) {
        let client = self.world.aws.dynamodb("test");
        let table = PaymentsTable::new(client.clone(), &self.names().payments_table(), 16);
        table.insert(&payments::all()).await.unwrap();
        let (claimed, settled) = (payments::claimed(), payments::settled());
        let (failed, replayed, archived) =
            (payments::failed(), payments::replayed(), payments::archived());
        let (settlement, rejection) = (payments::settlement(), payments::rejection());
        let overwritten = Failure::new(FailureCode::Overwritten, "Amount was 1250, is 9");
        for (seconds, change) in [
            (10, Change::Claim(&claimed)),
            (11, Change::NotDone(&claimed.reference(), 1, 1)),
            (12, Change::Resume(&claimed, 1)),
            (10, Change::Claim(&settled)),
            (21, Change::Settle(&settled.reference(), &settlement)),
            (10, Change::Claim(&failed)),
            (30, Change::Fail(&failed.reference(), &rejection, 1)),
            (40, Change::DeadLettered(&failed.reference(), 1, 1)),
            (10, Change::Claim(&replayed)),
            (30, Change::Fail(&replayed.reference(), &rejection, 1)),
            (50, Change::Replay(&replayed.reference(), 1, FirstClaim::StartsAnew)),
            (15, Change::Cancel(&payments::cancelled().reference())),
            (16, Change::Withhold(&payments::withheld().reference(), &overwritten)),
            (10, Change::Claim(&archived)),
            (21, Change::Settle(&archived.reference(), &settlement)),
        ] {
            table.apply(&[change], at(seconds)).await.unwrap().remove(0).unwrap();
        }
        let tables = PaymentsAndArchive::new(&client, self.names(), 16);
        let moved = archive_payments(&tables, &[archived.reference()]).await.unwrap();
        assert_eq!(moved.archived, 1, "{moved:?}");
        StopTable::new(client, self.names().control_table())
            .place(&payments::stop())
            .await
            .unwrap();
    }

    /// All items of a table, in the order of their texts.
    pub(crate) async fn items(&self, table: &str) -> Vec<Value> {
        let client = self.world.aws.dynamodb("test");
        let pages = client.scan().table_name(table).into_paginator().items().send();
        let items: Vec<Item> = pages.collect::<Result<_, _>>().await.unwrap();
        let mut items: Vec<_> = items.iter().map(shown_item).collect();
        items.sort_by_key(ToString::to_string);
        items
    }

    pub(crate) async fn put(&self, table: &str, item: Item) {
        let put = self.world.aws.dynamodb("test").put_item().table_name(table);
        put.set_item(Some(item)).send().await.unwrap();
    }

    pub(crate) async fn sent_payments(&self) -> Vec<Value> {
        let dispatches = [Dispatch::First, Dispatch::First, Dispatch::Again(2), Dispatch::First];
        let queued = payments::queued();
        let messages = dispatches.into_iter().zip(&queued).map(|(dispatch, p)| dispatch.message(p));
        self.sent(self.names().payments_queue(), messages.collect()).await
    }

    pub(crate) async fn sent_confirmations(&self) -> Vec<Value> {
        let sources = [
            ConfirmationSource::Attempt(1),
            ConfirmationSource::Callback("a"),
            ConfirmationSource::Callback("b"),
        ];
        let confirmations = payments::confirmations();
        let messages = confirmations.iter().zip(sources).map(|(one, source)| one.message(source));
        self.sent(self.names().confirmations_queue(), messages.collect()).await
    }

    async fn sent(&self, queue: String, messages: Vec<OutgoingMessage>) -> Vec<Value> {
        let producer = Producer::open(&self.world.aws, queue.clone()).await.unwrap();
        producer.send(&messages).await.unwrap();
        self.received(&queue, messages.len()).await
    }

    pub(crate) async fn sent_dead_letters(&self) -> Vec<Value> {
        let queue = self.names().dead_letter_queue();
        let producer = Producer::open(&self.world.aws, queue.clone()).await.unwrap();
        let letters = DeadLetterQueue::new(producer, "dispatcher");
        let client = self.world.aws.dynamodb("test");
        let table = PaymentsTable::new(client, &self.names().payments_table(), 16);
        let stored = table.get(&payments::failed().reference()).await.unwrap().unwrap();
        letters.send_failed(&stored, payments::rejection(), None).await.unwrap();
        let mismatch = Failure::new(FailureCode::Mismatch, "the amount differs");
        let raw = "{\"Amount\":1}".to_owned();
        letters
            .send_payment(
                DeadLetterSource::Message("message-1"),
                &payments::claimed(),
                Some(raw),
                mismatch,
            )
            .await
            .unwrap();
        let unreadable = Failure::new(FailureCode::MalformedMessage, "expected value");
        letters
            .send_unreadable(
                DeadLetterSource::Message("message-2"),
                "no payment".to_owned(),
                unreadable,
            )
            .await
            .unwrap();
        self.received(&queue, 3).await
    }

    /// The messages of a queue, in the order of their deduplication ids. The time at which a
    /// dead letter was written is made that of the golden file.
    async fn received(&self, queue: &str, count: usize) -> Vec<Value> {
        let client = self.world.aws.sqs("test");
        let url = client.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
        let mut received = BTreeMap::new();
        while received.len() < count {
            let receive = client.receive_message().queue_url(&url).max_number_of_messages(10);
            let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
            let messages = receive.wait_time_seconds(1).send().await.unwrap().messages;
            for message in messages.unwrap_or_default() {
                let attributes = message.attributes.unwrap();
                let attribute = |name| attributes.get(&name).unwrap().clone();
                let id = attribute(MessageSystemAttributeName::MessageDeduplicationId);
                let group = attribute(MessageSystemAttributeName::MessageGroupId);
                let delete = client.delete_message().queue_url(&url);
                delete.receipt_handle(message.receipt_handle.unwrap()).send().await.unwrap();
                received.insert(id, (group, message.body.unwrap()));
            }
        }
        let message = |(id, (group, body)): (String, (String, String))| json!({ "deduplication_id": id, "group_id": group, "body": with_golden_time(&body) });
        received.into_iter().map(message).collect()
    }
}

fn with_golden_time(body: &str) -> String {
    let read: Value = serde_json::from_str(body).unwrap();
    match read["at"].as_str() {
        None => body.to_owned(),
        Some(written) => {
            let _: Timestamp = written.parse().unwrap();
            body.replace(written, &at(0).to_string())
        }
    }
}

/// An item in `DynamoDB`'s own JSON.
fn shown_item(item: &Item) -> Value {
    let shown = |value: &AttributeValue| match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(digits) => json!({ "N": digits }),
        other => panic!("{other:?} is neither text nor number"),
    };
    item.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
}

pub(crate) fn read_item(item: &Value) -> Item {
    let read = |value: &Value| {
        let text = value["S"].as_str().map(|text| AttributeValue::S(text.to_owned()));
        text.unwrap_or_else(|| AttributeValue::N(value["N"].as_str().unwrap().to_owned()))
    };
    item.as_object().unwrap().iter().map(|(name, value)| (name.clone(), read(value))).collect()
}
