//! The attributes a queue is created with, and can be given later.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::SqsError;
use super::limits::Limits;
use super::redrive::RedrivePolicy;

/// Where two messages with the same deduplication id are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DeduplicationScope {
    Queue,
    MessageGroup,
}

/// What the throughput quota applies to. Kept, not enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FifoThroughputLimit {
    PerQueue,
    PerMessageGroupId,
}

/// The settable attributes of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueAttributes {
    pub(crate) delay: Duration,
    pub(crate) visibility_timeout: Duration,
    pub(crate) wait_time: Duration,
    pub(crate) retention: Duration,
    pub(crate) message_bytes: usize,
    pub(crate) content_based_deduplication: bool,
    pub(crate) deduplication_scope: DeduplicationScope,
    pub(crate) throughput_limit: FifoThroughputLimit,
    pub(crate) redrive: Option<RedrivePolicy>,
    /// Attributes that are kept and shown, with no effect here.
    kept: BTreeMap<String, String>,
}

/// Attributes in `kept`.
const KEPT: [&str; 5] = [
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "Policy",
    "RedriveAllowPolicy",
    "SqsManagedSseEnabled",
];

impl QueueAttributes {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            delay: Duration::ZERO,
            visibility_timeout: Duration::from_secs(30),
            wait_time: Duration::ZERO,
            retention: Duration::from_secs(345_600),
            message_bytes: limits.message_bytes,
            content_based_deduplication: false,
            deduplication_scope: DeduplicationScope::Queue,
            throughput_limit: FifoThroughputLimit::PerQueue,
            redrive: None,
            kept: BTreeMap::from([("SqsManagedSseEnabled".to_owned(), "true".to_owned())]),
        }
    }

    /// These attributes with some of them set anew.
    ///
    /// # Errors
    /// `InvalidAttributeName` or `InvalidAttributeValue`.
    pub(crate) fn with<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a String, &'a String)>,
        limits: &Limits,
    ) -> Result<Self, SqsError> {
        let mut new = self.clone();
        for (name, value) in values {
            new.set(name, value, limits)?;
        }
        let per_group = new.throughput_limit == FifoThroughputLimit::PerMessageGroupId;
        if per_group && new.deduplication_scope != DeduplicationScope::MessageGroup {
            return Err(SqsError::InvalidAttributeValue("FifoThroughputLimit".into()));
        }
        Ok(new)
    }

    fn set(&mut self, name: &str, value: &str, limits: &Limits) -> Result<(), SqsError> {
        let refused = || SqsError::InvalidAttributeValue(name.to_owned());
        let number = |least: u64, most: u64| {
            let number: Option<u64> = value.parse().ok();
            let number = number.filter(|number| (least..=most).contains(number));
            number.ok_or_else(refused)
        };
        let seconds = |least, most| number(least, most).map(Duration::from_secs);
        match name {
            "DelaySeconds" => self.delay = seconds(0, 900)?,
            "VisibilityTimeout" => self.visibility_timeout = seconds(0, 43_200)?,
            "ReceiveMessageWaitTimeSeconds" => self.wait_time = seconds(0, 20)?,
            "MessageRetentionPeriod" => self.retention = seconds(60, 1_209_600)?,
            "MaximumMessageSize" => {
                let most = u64::try_from(limits.message_bytes).unwrap_or(u64::MAX);
                self.message_bytes =
                    usize::try_from(number(1_024, most)?).map_err(|_| refused())?;
            }
            "FifoQueue" if value == "true" => {}
            "ContentBasedDeduplication" => {
                self.content_based_deduplication = value.parse().map_err(|_| refused())?;
            }
            "DeduplicationScope" => {
                self.deduplication_scope = match value {
                    "queue" => DeduplicationScope::Queue,
                    "messageGroup" => DeduplicationScope::MessageGroup,
                    _ => return Err(refused()),
                }
            }
            "FifoThroughputLimit" => {
                self.throughput_limit = match value {
                    "perQueue" => FifoThroughputLimit::PerQueue,
                    "perMessageGroupId" => FifoThroughputLimit::PerMessageGroupId,
                    _ => return Err(refused()),
                }
            }
            "RedrivePolicy" if value.is_empty() => self.redrive = None,
            "RedrivePolicy" => self.redrive = Some(RedrivePolicy::parse(value)?),
            "FifoQueue" => return Err(refused()),
            _ => self.keep(name, value)?,
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, value: &str) -> Result<(), SqsError> {
        if !KEPT.contains(&name) {
            return Err(SqsError::InvalidAttributeName(name.to_owned()));
        }
        if value.is_empty() {
            self.kept.remove(name);
        } else {
            self.kept.insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }

    /// The attributes by the names and in the texts of SQS.
    pub(crate) fn shown(&self) -> BTreeMap<String, String> {
        let mut shown = self.kept.clone();
        let mut show = |name: &str, value: &dyn ToString| {
            shown.insert(name.to_owned(), value.to_string());
        };
        show("DelaySeconds", &self.delay.as_secs());
        show("VisibilityTimeout", &self.visibility_timeout.as_secs());
        show("ReceiveMessageWaitTimeSeconds", &self.wait_time.as_secs());
        show("MessageRetentionPeriod", &self.retention.as_secs());
        show("MaximumMessageSize", &self.message_bytes);
        show("FifoQueue", &true);
        show("ContentBasedDeduplication", &self.content_based_deduplication);
        show(
            "DeduplicationScope",
            match self.deduplication_scope {
                DeduplicationScope::Queue => &"queue",
                DeduplicationScope::MessageGroup => &"messageGroup",
            },
        );
        show(
            "FifoThroughputLimit",
            match self.throughput_limit {
                FifoThroughputLimit::PerQueue => &"perQueue",
                FifoThroughputLimit::PerMessageGroupId => &"perMessageGroupId",
            },
        );
        if let Some(policy) = &self.redrive {
            show("RedrivePolicy", &policy.text);
        }
        shown
    }
}
