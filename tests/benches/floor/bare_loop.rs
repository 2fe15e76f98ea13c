//! The floor: the three stages as bare loops, with the product's statements, messages and client
//! of the transaction service, and none of its logic. Nothing is checked, retried, extended or
//! kept in order, so it is fit for nothing but to measure what is left of the rate then.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, Record, ShardIteratorType};
use domain::{Money, Outcome, Payment};
use jiff::Timestamp;
use shared::aws::Aws;
use shared::config::{Common, Receiving, Settings};
use shared::payments::{Change, ItemAttributes, PaymentStore, PaymentsTable, payment_from};
use shared::queue::{
    Confirmation, ConfirmationSource, Dispatch, MAX_BATCH, OutgoingMessage, QueueApi,
    ReceivedMessage, ReportedResult, SqsQueue,
};
use shared::service::Service;
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Readiness;
use shared::transaction::{TransactionClient, TransactionService, TransactionSettings};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// What can go wrong ends the run.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Requests with payments under way at once, as `DUEFLOW_RELAY_SENDS`.
const SENDS: usize = 4;
/// Receives under way at once, as `DUEFLOW_DISPATCHER_RECEIVERS`.
const DISPATCHER_RECEIVERS: usize = 4;
/// The same of the last stage, as `DUEFLOW_CONFIRMER_RECEIVERS`.
const CONFIRMER_RECEIVERS: usize = 8;
/// Batches of payments in hand, as `DUEFLOW_DISPATCHER_CONCURRENCY` bounds payments.
const BATCHES_IN_HAND: usize = 25;

/// Runs the stage `name` as a process of its own until it is told to end.
pub(crate) fn main(name: &str) -> Option<ExitCode> {
    let (name, metrics) = match name {
        "stream-relay" => ("stream-relay", stream_relay::METRICS),
        "dispatcher" => ("dispatcher", dispatcher::METRICS),
        "confirmer" => ("confirmer", confirmer::METRICS),
        _ => return None,
    };
    let service = Service { name, about: "A stage of the floor.", metrics };
    let read = |settings: &mut Settings| {
        Some((Receiving::read(settings)?, TransactionSettings::read(settings)?))
    };
    Some(service.main([], read, async move |common, (receiving, transaction), ready, shutdown| {
        let stage = Stage::open(&common, receiving, ready).await;
        let work = async {
            match name {
                "stream-relay" => stage.relay().await,
                "dispatcher" => stage.dispatch(TransactionClient::new(&transaction)?).await,
                _ => stage.confirm().await,
            }
        };
        until(work, &shutdown).await
    }))
}

async fn until(
    work: impl Future<Output = Result<(), Failed>>,
    shutdown: &Shutdown,
) -> Result<(), Failed> {
    shutdown.unless_requested(Box::pin(work)).await.unwrap_or(Ok(()))
}

/// What every stage has.
#[derive(Clone)]
struct Stage {
    aws: Aws,
    common: Common,
    receiving: Receiving,
    table: Arc<PaymentsTable>,
    ready: Readiness,
}

impl Stage {
    async fn open(common: &Common, receiving: Receiving, ready: Readiness) -> Self {
        let aws = Aws::from_environment().await;
        let client = aws.dynamodb("floor");
        let table = PaymentsTable::new(client, &common.names.payments_table(), common.due_shards);
        Self { aws, common: common.clone(), receiving, table: Arc::new(table), ready }
    }

    async fn queue(&self, name: String) -> Result<Arc<SqsQueue>, Failed> {
        Ok(Arc::new(SqsQueue::open(&self.aws, name, self.receiving.wait, "floor").await?))
    }

    /// From the stream into the queue.
    async fn relay(self) -> Result<(), Failed> {
        let payments = self.queue(self.common.names.payments_queue()).await?;
        let streams = aws_sdk_dynamodbstreams::Client::new(self.aws.config());
        let table = self.aws.dynamodb("floor").describe_table();
        let table = table.table_name(self.common.names.payments_table()).send().await?;
        let arn = table.table().and_then(|table| table.latest_stream_arn()).unwrap_or_default();
        let stream = streams.describe_stream().stream_arn(arn).send().await?;
        let shards = stream.stream_description().map(|stream| stream.shards()).unwrap_or_default();
        let mut reading = JoinSet::new();
        for shard in shards.iter().filter_map(|shard| shard.shard_id()) {
            let from = streams.get_shard_iterator().stream_arn(arn).shard_id(shard);
            let from = from.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?;
            reading.spawn(relay_shard(streams.clone(), from.shard_iterator, payments.clone()));
        }
        self.ready.ready();
        all(reading).await
    }

    /// Claims, submits, reports.
    async fn dispatch(self, transactions: TransactionClient) -> Result<(), Failed> {
        let payments = self.queue(self.common.names.payments_queue()).await?;
        let confirmations = self.queue(self.common.names.confirmations_queue()).await?;
        let transactions = Arc::new(transactions);
        let in_hand = Arc::new(Semaphore::new(BATCHES_IN_HAND));
        self.ready.ready();
        let mut receivers = JoinSet::new();
        for _ in 0..DISPATCHER_RECEIVERS {
            let batch = Batch {
                table: Arc::clone(&self.table),
                payments: Arc::clone(&payments),
                confirmations: Arc::clone(&confirmations),
                transactions: Arc::clone(&transactions),
            };
            let (in_hand, receiving) = (Arc::clone(&in_hand), self.receiving);
            receivers.spawn(async move {
                let mut working = JoinSet::new();
                loop {
                    let permit = Arc::clone(&in_hand).acquire_owned().await?;
                    let queue = &batch.payments;
                    let messages = queue.receive(receiving.wait, receiving.visibility).await?;
                    let work = batch.clone().dispatch(messages);
                    working.spawn(async move {
                        let worked = work.await;
                        drop(permit);
                        worked
                    });
                    while let Some(worked) = working.try_join_next() {
                        worked??;
                    }
                }
            });
        }
        all(receivers).await
    }

    /// Settles.
    async fn confirm(self) -> Result<(), Failed> {
        let confirmations = self.queue(self.common.names.confirmations_queue()).await?;
        self.ready.ready();
        let mut receivers = JoinSet::new();
        for _ in 0..CONFIRMER_RECEIVERS {
            let (queue, table) = (Arc::clone(&confirmations), Arc::clone(&self.table));
            let receiving = self.receiving;
            receivers.spawn(async move {
                loop {
                    let messages = queue.receive(receiving.wait, receiving.visibility).await?;
                    confirm(&table, &queue, messages).await?;
                }
            });
        }
        all(receivers).await
    }
}

async fn all(mut tasks: JoinSet<Result<(), Failed>>) -> Result<(), Failed> {
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn relay_shard(
    streams: aws_sdk_dynamodbstreams::Client,
    mut iterator: Option<String>,
    queue: Arc<SqsQueue>,
) -> Result<(), Failed> {
    while let Some(at) = iterator {
        let page = streams.get_records().shard_iterator(at).send().await?;
        iterator = page.next_shard_iterator;
        let inserted = page.records.unwrap_or_default();
        let messages: Vec<_> = inserted.iter().filter_map(payment_of).map(message).collect();
        let mut sending = JoinSet::new();
        for part in messages.chunks(messages.len().div_ceil(SENDS).max(1)) {
            sending.spawn(send(Arc::clone(&queue), part.to_vec()));
        }
        all(sending).await?;
    }
    Ok(())
}

/// An image of a record.
struct Image<'a>(&'a HashMap<String, AttributeValue>);

impl ItemAttributes for Image<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_s().ok().map(String::as_str)
    }

    fn digits(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_n().ok().map(String::as_str)
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

fn payment_of(record: &Record) -> Option<Payment> {
    let inserted = record.event_name == Some(OperationType::Insert);
    let image = record.dynamodb()?.new_image().filter(|_| inserted)?;
    payment_from(&Image(image)).ok()
}

fn message(payment: Payment) -> OutgoingMessage {
    Dispatch::First.message(&payment)
}

async fn send(queue: Arc<SqsQueue>, messages: Vec<OutgoingMessage>) -> Result<(), Failed> {
    for batch in messages.chunks(MAX_BATCH) {
        queue.send(&batch.iter().collect::<Vec<_>>()).await?;
    }
    Ok(())
}

async fn delete(queue: &SqsQueue, messages: &[ReceivedMessage]) -> Result<(), Failed> {
    if !messages.is_empty() {
        let receipts = messages.iter().map(|message| message.receipt.as_str());
        queue.delete(&receipts.collect::<Vec<_>>()).await?;
    }
    Ok(())
}

/// What a batch of payments needs.
#[derive(Clone)]
struct Batch {
    table: Arc<PaymentsTable>,
    payments: Arc<SqsQueue>,
    confirmations: Arc<SqsQueue>,
    transactions: Arc<TransactionClient>,
}

impl Batch {
    async fn dispatch(self, messages: Vec<ReceivedMessage>) -> Result<(), Failed> {
        let payments = messages.iter().map(|message| serde_json::from_str(&message.body));
        let payments = payments.collect::<Result<Vec<Payment>, _>>()?;
        if payments.is_empty() {
            return Ok(());
        }
        let claims: Vec<_> = payments.iter().map(Change::Claim).collect();
        self.table.apply(&claims, Timestamp::now()).await?;
        let mut submitting = JoinSet::new();
        for payment in payments {
            let transactions = Arc::clone(&self.transactions);
            submitting.spawn(async move {
                match transactions.submit(&payment).await {
                    Outcome::Settled(settlement) => Ok(Confirmation {
                        payment: payment.reference(),
                        result: ReportedResult::Settled(settlement),
                        money: Some(Money { amount: payment.amount, currency: payment.currency }),
                        trace_key: Some(payment.trace_key),
                    }),
                    other => Err(format!("not settled: {other:?}")),
                }
            });
        }
        let mut settled = Vec::with_capacity(messages.len());
        while let Some(submitted) = submitting.join_next().await {
            settled.push(submitted??.message(ConfirmationSource::Attempt(1)));
        }
        send(Arc::clone(&self.confirmations), settled).await?;
        delete(&self.payments, &messages).await
    }
}

async fn confirm(
    table: &PaymentsTable,
    queue: &SqsQueue,
    messages: Vec<ReceivedMessage>,
) -> Result<(), Failed> {
    let read = messages.iter().map(|message| serde_json::from_str(&message.body));
    let read = read.collect::<Result<Vec<Confirmation>, _>>()?;
    let changes: Vec<_> = read.iter().filter_map(settle).collect();
    if !changes.is_empty() {
        table.apply(&changes, Timestamp::now()).await?;
    }
    delete(queue, &messages).await
}

fn settle(confirmation: &Confirmation) -> Option<Change<'_>> {
    let Confirmation { payment, result, money, .. } = confirmation;
    match result {
        ReportedResult::Settled(settlement) => {
            Some(Change::SettleOf(payment, settlement, (*money)?))
        }
        ReportedResult::Rejected(_) => None,
    }
}
