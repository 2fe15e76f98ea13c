//! Queues as such: made, listed, described, changed, emptied, deleted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::account::Engine;
use super::attributes::QueueAttributes;
use super::error::SqsError;
use super::queue::Queue;
use super::time::Millis;

impl Engine {
    /// Creates a FIFO queue. One that exists with the same values of these attributes is left as
    /// it is.
    ///
    /// # Errors
    /// `InvalidParameterValue` for the name or a redrive policy, `InvalidAttributeName`,
    /// `InvalidAttributeValue`, `QueueAlreadyExists`, `QueueDeletedRecently`, and
    /// `UnsupportedOperation` for a standard queue.
    pub fn create_queue(
        &mut self,
        name: &str,
        attributes: &HashMap<String, String>,
        tags: &HashMap<String, String>,
        now: Millis,
    ) -> Result<(), SqsError> {
        let now = self.clock(now);
        check_name(name, attributes)?;
        if let Some(queue) = self.queues.get(name) {
            for (attribute, value) in in_order(attributes) {
                let same = queue.attributes.with([(attribute, value)], &self.limits)?;
                if same != queue.attributes {
                    return Err(SqsError::QueueAlreadyExists(attribute.clone()));
                }
            }
            return Ok(());
        }
        let deleted = self.deleted.get(name);
        if deleted.is_some_and(|then| *then + self.limits.recreation > now) {
            return Err(SqsError::QueueDeletedRecently);
        }
        let settings = QueueAttributes::new(&self.limits);
        let settings = settings.with(in_order(attributes), &self.limits)?;
        self.check_redrive(&settings)?;
        let arn = self.arn(name);
        let name: Arc<str> = name.into();
        let mut queue =
            Queue::new(Arc::clone(&name), arn, self.ids.queue(), settings, self.limits, now);
        queue.tags.extend(tags.clone());
        self.deleted.remove(&name);
        self.queues.insert(name, queue);
        Ok(())
    }

    /// Deletes a queue with its messages.
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub fn delete_queue(&mut self, name: &str, now: Millis) -> Result<(), SqsError> {
        let now = self.clock(now);
        let queue = self.queues.remove(name);
        let queue = queue.ok_or(SqsError::QueueDoesNotExist)?;
        // Bounded by what is deleted within a minute.
        let recreation = self.limits.recreation;
        self.deleted.retain(|_, then| *then + recreation > now);
        self.deleted.insert(queue.name, now);
        Ok(())
    }

    /// Removes all messages of a queue, also those in flight.
    ///
    /// # Errors
    /// `QueueDoesNotExist`, `PurgeQueueInProgress`.
    pub fn purge_queue(&mut self, name: &str, now: Millis) -> Result<(), SqsError> {
        let interval = self.limits.purge_interval;
        self.on_queue(name, now, |queue, _, now| {
            if queue.purged.is_some_and(|then| then + interval > now) {
                return Err(SqsError::PurgeQueueInProgress(queue.name.to_string()));
            }
            queue.purged = Some(now);
            queue.purge();
            Ok(())
        })
    }

    /// Names of the queues that start with `prefix`, sorted.
    #[must_use]
    pub fn list_queues(&self, prefix: &str) -> Vec<Arc<str>> {
        let names = self.queues.keys().filter(|name| name.starts_with(prefix));
        names.cloned().collect()
    }

    /// Names of the queues whose dead-letter queue this is, sorted.
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub fn dead_letter_sources(&self, name: &str) -> Result<Vec<Arc<str>>, SqsError> {
        self.queue(name)?;
        let of = |queue: &&Queue| {
            let policy = queue.attributes.redrive.as_ref();
            policy.is_some_and(|policy| *policy.target == *name)
        };
        let sources = self.queues.values().filter(of);
        Ok(sources.map(|queue| Arc::clone(&queue.name)).collect())
    }

    /// All attributes of a queue, by the names and in the texts of SQS.
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub fn queue_attributes(
        &mut self,
        name: &str,
        now: Millis,
    ) -> Result<BTreeMap<String, String>, SqsError> {
        self.on_queue(name, now, |queue, _, now| {
            let mut shown = queue.attributes.shown();
            let (visible, in_flight, delayed) = queue.counts(now);
            let counts_and_times = [
                ("QueueArn", queue.arn.to_string()),
                ("CreatedTimestamp", queue.created.seconds().to_string()),
                ("LastModifiedTimestamp", queue.modified.seconds().to_string()),
                ("ApproximateNumberOfMessages", visible.to_string()),
                ("ApproximateNumberOfMessagesNotVisible", in_flight.to_string()),
                ("ApproximateNumberOfMessagesDelayed", delayed.to_string()),
            ];
            shown.extend(counts_and_times.map(|(name, value)| (name.to_owned(), value)));
            Ok(shown)
        })
    }

    /// Sets attributes of a queue; all or none.
    ///
    /// # Errors
    /// `QueueDoesNotExist`, `InvalidAttributeName`, `InvalidAttributeValue`, and
    /// `InvalidParameterValue` for a redrive policy.
    pub fn set_queue_attributes(
        &mut self,
        name: &str,
        attributes: &HashMap<String, String>,
        now: Millis,
    ) -> Result<(), SqsError> {
        let settings = &self.queue(name)?.attributes;
        let settings = settings.with(in_order(attributes), &self.limits)?;
        self.check_redrive(&settings)?;
        self.on_queue(name, now, |queue, _, now| {
            queue.attributes = settings;
            queue.modified = now;
            queue.advance(now);
            Ok(())
        })
    }

    /// The queue's own `ReceiveMessageWaitTimeSeconds`.
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub fn wait_time(&self, name: &str) -> Result<Duration, SqsError> {
        Ok(self.queue(name)?.attributes.wait_time)
    }

    /// The tags of a queue, to read.
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub fn tags(&self, name: &str) -> Result<&BTreeMap<String, String>, SqsError> {
        Ok(&self.queue(name)?.tags)
    }

    /// Sets tags of a queue.
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub fn tag(
        &mut self,
        name: &str,
        tags: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), SqsError> {
        self.tags_mut(name)?.extend(tags);
        Ok(())
    }

    /// Takes tags from a queue.
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub fn untag(&mut self, name: &str, keys: &[String]) -> Result<(), SqsError> {
        self.tags_mut(name)?.retain(|key, _| !keys.contains(key));
        Ok(())
    }

    fn tags_mut(&mut self, name: &str) -> Result<&mut BTreeMap<String, String>, SqsError> {
        let queue = self.queues.get_mut(name).ok_or(SqsError::QueueDoesNotExist)?;
        Ok(&mut queue.tags)
    }

    /// How many message groups of a queue have messages: those the engine keeps in memory.
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub fn message_groups(&self, name: &str) -> Result<usize, SqsError> {
        Ok(self.queue(name)?.groups())
    }

    fn check_redrive(&self, settings: &QueueAttributes) -> Result<(), SqsError> {
        match &settings.redrive {
            Some(policy) if !self.queues.contains_key(&policy.target) => {
                let why = "Dead letter target does not exist.";
                Err(SqsError::invalid("RedrivePolicy", &policy.text, why))
            }
            _ => Ok(()),
        }
    }
}

/// Attributes by name, so that it does not depend on chance which of two mistakes is named.
fn in_order(attributes: &HashMap<String, String>) -> BTreeMap<&String, &String> {
    attributes.iter().collect()
}

fn check_name(name: &str, attributes: &HashMap<String, String>) -> Result<(), SqsError> {
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if stem.is_empty() || name.len() > 80 || !stem.bytes().all(allowed) {
        return Err(SqsError::InvalidParameterValue(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
                .into(),
        ));
    }
    let asked_for = attributes.get("FifoQueue").map(String::as_str) == Some("true");
    match (asked_for, name.ends_with(".fifo")) {
        (true, true) => Ok(()),
        (true, false) => Err(SqsError::InvalidParameterValue(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.".into(),
        )),
        (false, true) => Err(SqsError::InvalidParameterValue(
            "A queue whose name ends with .fifo must be created with FifoQueue=true.".into(),
        )),
        (false, false) => Err(SqsError::UnsupportedOperation(
            "Only FIFO queues are kept here: end the name with .fifo and set FifoQueue=true.".into(),
        )),
    }
}
