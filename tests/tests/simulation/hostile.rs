//! Others: a program that writes to the table what it should not, and messages that no relay of
//! this bank has sent. What the relay makes of the records is the product's own judgement; the
//! rest of the relay is a stand-in.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, Record, StreamRecord};
use domain::{Amount, BeneficiaryId, Failure, Payment, PaymentId};
use jiff::{SignedDuration, Timestamp};
use shared::payments::StoredPayment;
use shared::queue::{DeadLetter, Dispatch, OutgoingMessage};
use shared::testing::scheduled;
use stream_relay::fuzzing::{ClassifiedRecord, classify};

use crate::bugs::Bug;
use crate::world::{DEAD_LETTERS, PAYMENTS, World};

/// Partitions of the index `due`.
const SHARDS: u16 = 16;

/// Something that another program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Puts a payment over itself, as it was inserted.
    PutAgain,
    /// The same with another amount.
    PutDearer,
    /// The same with another beneficiary.
    PutElsewhere,
    /// Deletes a payment.
    Delete,
    /// Inserts a payment of today in a partition of the index that is not its own.
    InsertHidden,
    /// Inserts a payment of today whose sort key of the index is another's.
    InsertMisnamed,
    /// Inserts a payment that says that it was written in two hours.
    InsertFromTheFuture,
    /// Inserts a payment of tomorrow in a partition of today.
    InsertAheadAsToday,
    /// Inserts a payment of tomorrow, and a relay in another zone sends its message.
    MessageAhead,
    /// Inserts a payment, and a message that asks for more than the table holds comes first.
    MessageDearer,
    /// A message comes a second time, beyond the queue's deduplication.
    MessageTwice,
}

impl Deed {
    /// Every one.
    pub(crate) const ALL: [Self; 11] = [
        Self::PutAgain,
        Self::PutDearer,
        Self::PutElsewhere,
        Self::Delete,
        Self::InsertHidden,
        Self::InsertMisnamed,
        Self::InsertFromTheFuture,
        Self::InsertAheadAsToday,
        Self::MessageAhead,
        Self::MessageDearer,
        Self::MessageTwice,
    ];
}

/// A record of the stream that the relay has not read yet.
#[derive(Debug, Clone)]
pub(crate) struct Unread {
    record: Record,
    payment: Payment,
}

impl World {
    /// Another program does something; what the relay will read of it.
    pub(crate) fn outsider(&mut self, deed: Deed, pick: u64) -> Option<Unread> {
        let index = usize::try_from(pick).unwrap() % self.queued.len().max(1);
        let victim = self.queued.get(index)?.clone();
        let dearer = |payment: &Payment| {
            let amount = Amount::from_minor_units(payment.amount.minor_units() + 1_000).unwrap();
            Payment { amount, ..payment.clone() }
        };
        match deed {
            Deed::PutAgain => self.put(victim),
            Deed::PutDearer => self.put(dearer(&victim)),
            Deed::PutElsewhere => {
                let beneficiary = BeneficiaryId::parse("THIEF").unwrap();
                self.put(Payment { beneficiary, ..victim })
            }
            Deed::Delete => self.delete(&victim),
            Deed::InsertHidden => self.insert_spoilt("DueShard", |p| format!("{}#99", p.due)),
            Deed::InsertMisnamed => self.insert_spoilt("DueKey", |p| format!("X#{}", p.id)),
            Deed::InsertFromTheFuture => self.insert_spoilt("CreatedAt", |p| {
                let later: Timestamp = p.created_at + SignedDuration::from_hours(2);
                format!("{later:.3}")
            }),
            Deed::InsertAheadAsToday => {
                let mut ahead = self.another(0);
                ahead.due = ahead.due.days_after(1);
                self.put_new(ahead, Some(("DueShard", "2026-11-24#00".to_owned())))
            }
            Deed::MessageAhead => {
                let mut ahead = self.another(0);
                ahead.due = ahead.due.days_after(1);
                self.send_stray(&ahead, 0);
                self.put_new(ahead, None)
            }
            Deed::MessageDearer => {
                let payment = self.another(0);
                let payment = self.items.lock().unwrap().insert(payment);
                self.send_stray(&dearer(&payment), pick);
                self.send(&payment);
                None
            }
            Deed::MessageTwice => {
                self.send_stray(&victim, pick);
                None
            }
        }
    }

    /// A message that nobody of this bank has sent.
    fn send_stray(&mut self, payment: &Payment, number: u64) {
        self.strays += 1;
        self.overtaken.insert(payment.id.to_string());
        let deduplication = format!("stray-{number}-{}", self.strays);
        let body = serde_json::to_string(payment).unwrap();
        let group = payment.account.to_string();
        self.sqs.send(PAYMENTS, &OutgoingMessage { group, deduplication, body });
    }

    /// An unconditional put over whatever is there.
    fn put(&mut self, payment: Payment) -> Option<Unread> {
        self.overtaken.insert(payment.id.to_string());
        let stored = scheduled(payment.clone());
        let record = record(OperationType::Modify, &stored, None);
        self.items.lock().unwrap().put_over(stored);
        Some(Unread { record, payment })
    }

    fn delete(&mut self, payment: &Payment) -> Option<Unread> {
        self.overtaken.insert(payment.id.to_string());
        self.items.lock().unwrap().delete(payment)?;
        let stored = scheduled(payment.clone());
        let record = record(OperationType::Remove, &stored, None);
        Some(Unread { record, payment: payment.clone() })
    }

    fn insert_spoilt(
        &mut self,
        name: &'static str,
        value: impl Fn(&Payment) -> String,
    ) -> Option<Unread> {
        let payment = self.another(0);
        let value = value(&payment);
        self.put_new(payment, Some((name, value)))
    }

    /// Inserts an item, which may be wrong in one attribute.
    fn put_new(
        &mut self,
        payment: Payment,
        wrong: Option<(&'static str, String)>,
    ) -> Option<Unread> {
        self.overtaken.insert(payment.id.to_string());
        let stored = scheduled(payment.clone());
        let record = record(OperationType::Insert, &stored, wrong.as_ref());
        let mut items = self.items.lock().unwrap();
        if wrong.is_some_and(|(name, _)| name.starts_with("Due")) {
            items.hidden.insert(payment.id);
        }
        items.insert(payment.clone());
        Some(Unread { record, payment })
    }

    /// The relay reads a record: what the product's own judgement says is done.
    pub(crate) fn relay_reads(&mut self, unread: Unread) {
        let Unread { record, payment } = unread;
        match classify(&record, self.today(), self.now()) {
            ClassifiedRecord::Forward(payment) => {
                self.sqs.send(PAYMENTS, &Dispatch::First.message(&payment));
            }
            ClassifiedRecord::Skip => {}
            ClassifiedRecord::Removed(reference) => {
                self.alarms.insert(reference.id.to_string());
            }
            ClassifiedRecord::DeadLetter { .. } if self.bug == Bug::SilentRelay => {}
            ClassifiedRecord::DeadLetter { failure, raw, withheld } => {
                if let Some(reference) = withheld {
                    let mut items = self.items.lock().unwrap();
                    items.withhold(&reference, &failure, self.now(), self.bug);
                }
                self.dead_letter(payment, failure, raw);
            }
        }
    }

    fn dead_letter(&self, payment: Payment, failure: Failure, raw: String) {
        let deduplication = format!("{}-{}-{}", payment.id, failure.code, self.strays);
        let group = payment.account.to_string();
        let (service, at) = ("stream-relay".to_owned(), self.now());
        let letter = DeadLetter { failure, service, at, payment: Some(payment), raw: Some(raw) };
        let body = serde_json::to_string(&letter).unwrap();
        self.sqs.send(DEAD_LETTERS, &OutgoingMessage { group, deduplication, body });
    }
}

/// What the stream says of it, with one attribute that is wrong.
fn record(
    event: OperationType,
    stored: &StoredPayment,
    wrong: Option<&(&'static str, String)>,
) -> Record {
    let payment = &stored.payment;
    let text = |text: &dyn ToString| AttributeValue::S(text.to_string());
    let number = |number: &dyn ToString| AttributeValue::N(number.to_string());
    let shard = format!("{}#{:02}", payment.due, payment.id.due_shard(SHARDS));
    let created_at = format!("{:.3}", payment.created_at);
    let keys = [
        ("PK", text(&format!("ACCOUNT#{}", payment.account))),
        ("SK", text(&format!("{}#{}", payment.due, payment.id))),
    ];
    let keys = HashMap::from(keys.map(|(name, value)| (name.to_owned(), value)));
    let mut image: HashMap<String, AttributeValue> = [
        ("DueShard", text(&shard)),
        ("DueKey", text(&format!("{}#{}", payment.account, payment.id))),
        ("AccountID", text(&payment.account)),
        ("PaymentID", text(&payment.id)),
        ("ScheduledDate", text(&payment.due)),
        ("Status", text(&stored.status)),
        ("Amount", number(&payment.amount)),
        ("Currency", text(&payment.currency)),
        ("BeneficiaryID", text(&payment.beneficiary)),
        ("TraceKey", text(&payment.trace_key)),
        ("CreatedAt", text(&created_at)),
        ("UpdatedAt", text(&created_at)),
        ("Attempts", number(&stored.attempts)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    image.extend(keys.clone());
    if let Some(digest) = payment.blob_beside() {
        image.insert("BlobDigest".to_owned(), text(&digest));
    }
    if let Some((name, value)) = wrong {
        image.insert((*name).to_owned(), AttributeValue::S(value.clone()));
    }
    let image = (event != OperationType::Remove).then_some(image);
    let change = StreamRecord::builder().set_keys(Some(keys)).set_new_image(image);
    Record::builder().event_name(event).dynamodb(change.build()).build()
}

/// Ids of payments.
pub(crate) type Ids = std::collections::BTreeSet<PaymentId>;
