//! The deduplication window: what was sent lately.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use uuid::Uuid;

use super::ids::SequenceNumber;
use super::time::Millis;

/// What makes two messages the same: the deduplication id, and with the scope `messageGroup`
/// also the group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct DeduplicationKey {
    pub(crate) group: Option<Arc<str>>,
    pub(crate) id: Arc<str>,
}

/// The first message sent with a key.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct FirstMessage {
    pub(crate) id: Uuid,
    pub(crate) sequence: SequenceNumber,
}

/// Remembers each key for a fixed time from its first message on; a duplicate does not renew it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Window {
    span: Duration,
    #[serde(serialize_with = "to_pairs", deserialize_with = "from_pairs")]
    firsts: Firsts,
    order: VecDeque<(Millis, DeduplicationKey)>,
}

impl Window {
    pub(crate) fn new(span: Duration) -> Self {
        Self { span, firsts: HashMap::new(), order: VecDeque::new() }
    }

    /// The first message with that key, if it was sent within the window.
    pub(crate) fn first(&mut self, key: &DeduplicationKey, now: Millis) -> Option<FirstMessage> {
        while let Some((_, old)) = self.order.pop_front_if(|(until, _)| *until <= now) {
            self.firsts.remove(&old);
        }
        self.firsts.get(key).copied()
    }

    pub(crate) fn remember(&mut self, key: DeduplicationKey, first: FirstMessage, now: Millis) {
        self.order.push_back((now + self.span, key.clone()));
        self.firsts.insert(key, first);
    }
}

type Firsts = HashMap<DeduplicationKey, FirstMessage>;

/// Writes the map as a list of pairs: JSON has only texts for keys.
fn to_pairs<S: Serializer>(firsts: &Firsts, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(firsts)
}

fn from_pairs<'de, D: Deserializer<'de>>(from: D) -> Result<Firsts, D::Error> {
    let pairs = Vec::<(DeduplicationKey, FirstMessage)>::deserialize(from)?;
    Ok(pairs.into_iter().collect())
}
