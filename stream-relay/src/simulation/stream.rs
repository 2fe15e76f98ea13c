//! A stream whose shards split, merge, end, are trimmed, expire iterators and throttle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodbstreams::error::SdkError;
use aws_sdk_dynamodbstreams::primitives::DateTime;
use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, Record, StreamRecord};
use domain::{Payment, fnv1a};
use shared::clock::Clock;
use tokio::time::Instant;

use super::FaultInjector;
use super::table::SHARDS;
use crate::shards::position::Checkpoint;
use crate::shards::source::Shard;
use crate::shards::source::{Page, ShardSource, StreamError};

/// As `DynamoDB` has it.
const ITERATOR_LIFE: Duration = Duration::from_secs(15 * 60);
/// Small, so that there are many pages.
const PAGE: usize = 7;

/// The accounts of a shard: those whose hash lies in here.
type Span = (u64, u64);

#[derive(Debug)]
struct FakeShard {
    shard: Shard,
    span: Span,
    records: Vec<(u64, Record)>,
    /// Records before this index are dropped.
    trimmed: usize,
    closed: bool,
}

#[derive(Debug)]
struct State {
    shards: Vec<FakeShard>,
    sequence: u64,
    made: usize,
}

/// The stream, for any number of relays.
#[derive(Debug)]
pub(super) struct FakeStream {
    faults: Arc<FaultInjector>,
    start: Instant,
    clock: Clock,
    state: Mutex<State>,
}

impl FakeStream {
    pub(super) fn new(faults: Arc<FaultInjector>, shards: u32, clock: Clock) -> Self {
        let mut state = State { shards: Vec::new(), sequence: 0, made: 0 };
        let width = u64::MAX / u64::from(shards);
        for index in 0..u64::from(shards) {
            let end = if index + 1 == u64::from(shards) { u64::MAX } else { (index + 1) * width };
            state.open(Vec::new(), (index * width, end));
        }
        Self { faults, start: Instant::now(), clock, state: Mutex::new(state) }
    }

    pub(super) fn put(&self, payment: &Payment) {
        self.put_item(OperationType::Insert, payment.account.as_str(), image(payment));
    }

    /// An insert that is no payment.
    pub(super) fn put_malformed(&self, account: &str) {
        let text = AttributeValue::S(format!("n#nsense of {account}"));
        self.put_item(OperationType::Insert, account, [("Status".to_owned(), text)].into());
    }

    /// Any item that is new, or was changed.
    pub(super) fn put_item(&self, event: OperationType, account: &str, image: RecordImage) {
        let mut state = self.state.lock().unwrap();
        state.sequence += 1;
        let sequence = state.sequence;
        let change = StreamRecord::builder()
            .set_new_image(Some(image))
            .sequence_number(format!("{sequence:021}"))
            .approximate_creation_date_time(DateTime::from_secs(self.clock.now().as_second()))
            .build();
        let record = Record::builder().event_name(event).dynamodb(change).build();
        let hash = fnv1a(account.as_bytes());
        let shard = state.shards.iter_mut().find(|shard| !shard.closed && shard.holds(hash));
        shard.unwrap().records.push((sequence, record));
    }

    /// Ends a random shard; two of half its span follow.
    pub(super) fn split(&self) {
        let mut state = self.state.lock().unwrap();
        let open = state.open_shards();
        let index = open[self.faults.below(open.len())];
        let (low, high) = state.shards[index].span;
        let middle = low + (high - low) / 2;
        let parent = state.close(index);
        state.open(vec![parent.clone()], (low, middle));
        state.open(vec![parent], (middle, high));
    }

    /// Ends two random neighbours; one follows them.
    pub(super) fn merge(&self) {
        let mut state = self.state.lock().unwrap();
        let mut open = state.open_shards();
        open.sort_by_key(|&index| state.shards[index].span);
        if open.len() < 2 {
            return;
        }
        let left = self.faults.below(open.len() - 1);
        let (left, right) = (open[left], open[left + 1]);
        let span = (state.shards[left].span.0, state.shards[right].span.1);
        let parents = vec![state.close(left), state.close(right)];
        state.open(parents, span);
    }

    /// Drops all records that are there.
    pub(super) fn trim(&self) {
        for shard in &mut self.state.lock().unwrap().shards {
            shard.trimmed = shard.records.len();
        }
    }

    /// Says of everything that is there that it was settled: its insertion is lost, and nobody
    /// is told.
    pub(super) fn lose(&self) {
        for shard in &mut self.state.lock().unwrap().shards {
            for (_, record) in &mut shard.records {
                record.event_name = Some(OperationType::Modify);
                let image = record.dynamodb.as_mut().and_then(|change| change.new_image.as_mut());
                let settled = AttributeValue::S("PROCESSED".to_owned());
                image.unwrap().insert("Status".to_owned(), settled);
            }
        }
    }

    /// Does not list closed shards any more, as if they were older than a day.
    pub(super) fn drop_closed(&self) {
        self.state.lock().unwrap().shards.retain(|shard| !shard.closed);
    }

    pub(super) fn open_count(&self) -> usize {
        self.state.lock().unwrap().open_shards().len()
    }

    fn throttled(&self) -> Result<(), StreamError> {
        if self.faults.fails() {
            Err(StreamError::Read(Box::new(SdkError::timeout_error("throttled"))))
        } else {
            Ok(())
        }
    }
}

impl FakeShard {
    fn holds(&self, hash: u64) -> bool {
        let (low, high) = self.span;
        (low..high).contains(&hash) || (hash == u64::MAX && high == u64::MAX)
    }
}

impl State {
    fn open(&mut self, parents: Vec<String>, span: Span) {
        self.made += 1;
        let shard = Shard { id: format!("shard-{:03}", self.made), parents };
        self.shards.push(FakeShard { shard, span, records: vec![], trimmed: 0, closed: false });
    }

    fn close(&mut self, index: usize) -> String {
        self.shards[index].closed = true;
        self.shards[index].shard.id.clone()
    }

    fn open_shards(&self) -> Vec<usize> {
        (0..self.shards.len()).filter(|&index| !self.shards[index].closed).collect()
    }

    fn find(&self, id: &str) -> Result<&FakeShard, StreamError> {
        self.shards.iter().find(|shard| shard.shard.id == id).ok_or_else(not_there)
    }
}

#[async_trait]
impl ShardSource for FakeStream {
    fn name(&self) -> &str {
        "stream"
    }

    async fn shards(&self) -> Result<Vec<Shard>, StreamError> {
        self.faults.delay().await;
        self.throttled()?;
        Ok(self.state.lock().unwrap().shards.iter().map(|shard| shard.shard.clone()).collect())
    }

    async fn iterator(
        &self,
        shard: &str,
        from: &Checkpoint,
    ) -> Result<Option<String>, StreamError> {
        self.faults.delay().await;
        self.throttled()?;
        let state = self.state.lock().unwrap();
        let found = state.find(shard)?;
        let index = match from {
            Checkpoint::ShardEnd => return Ok(None),
            Checkpoint::TrimHorizon => found.trimmed,
            Checkpoint::After(sequence) => {
                let after: u64 = sequence.parse().unwrap();
                found.records.partition_point(|(sequence, _)| *sequence <= after)
            }
        };
        if index < found.trimmed {
            return Err(StreamError::Trimmed);
        }
        Ok(Some(format!("{shard}|{index}|{}", self.start.elapsed().as_millis())))
    }

    async fn page(&self, iterator: &str) -> Result<Page, StreamError> {
        self.faults.delay().await;
        self.throttled()?;
        let [shard, index, issued] = iterator.split('|').collect::<Vec<_>>()[..] else {
            panic!("{iterator} is no iterator");
        };
        let issued = Duration::from_millis(issued.parse().unwrap());
        if self.start.elapsed() - issued > ITERATOR_LIFE || self.faults.fails() {
            return Err(StreamError::Expired);
        }
        let state = self.state.lock().unwrap();
        let found = state.find(shard)?;
        let index: usize = index.parse().unwrap();
        if index < found.trimmed {
            return Err(StreamError::Trimmed);
        }
        let end = found.records.len().min(index + PAGE);
        let records = found.records[index..end].iter().map(|(_, record)| record.clone());
        let ended = found.closed && end == found.records.len();
        let next = format!("{shard}|{end}|{}", self.start.elapsed().as_millis());
        Ok(Page { records: records.collect(), next: (!ended).then_some(next) })
    }
}

/// `ResourceNotFoundException`, as far as a reader can tell.
fn not_there() -> StreamError {
    StreamError::Read(Box::new(SdkError::timeout_error("no such shard")))
}

/// An item, by the names of its attributes.
pub(super) type RecordImage = HashMap<String, AttributeValue>;

/// The item of a new payment.
pub(super) fn image(payment: &Payment) -> RecordImage {
    let text = |text: &dyn ToString| AttributeValue::S(text.to_string());
    let Payment { id, account, due, .. } = payment;
    let shard = id.due_shard(SHARDS);
    [
        ("PK", text(&format!("ACCOUNT#{account}"))),
        ("SK", text(&format!("{due}#{id}"))),
        ("DueShard", text(&format!("{due}#{shard:02}"))),
        ("DueKey", text(&format!("{account}#{id}"))),
        ("AccountID", text(account)),
        ("PaymentID", text(id)),
        ("ScheduledDate", text(due)),
        ("Status", text(&"SCHEDULED")),
        ("Amount", AttributeValue::N(payment.amount.to_string())),
        ("Currency", text(&payment.currency)),
        ("BeneficiaryID", text(&payment.beneficiary)),
        ("TraceKey", text(&payment.trace_key)),
        ("CreatedAt", text(&payment.created_at)),
        ("UpdatedAt", text(&payment.created_at)),
        ("Attempts", AttributeValue::N("0".to_owned())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
