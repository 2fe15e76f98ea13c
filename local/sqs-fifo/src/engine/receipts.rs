//! What the holder of a receipt handle may do: delete the message, or change when it is visible.

use std::time::Duration;

use super::deadlines::Deadline;
use super::error::SqsError;
use super::groups::QueuedMessage;
use super::limits::LONGEST_VISIBILITY;
use super::queue::Queue;
use super::receipt::Receipt;
use super::time::Millis;

/// What a receipt handle stands for now.
enum ReceiptStatus {
    /// The message is in flight by this receipt, at this index of its group.
    InFlight(usize),
    /// The message is visible again, and was not received since.
    Lapsed,
    /// The message was received anew.
    Superseded,
    /// The message is no longer on the queue.
    Gone,
}

impl Queue {
    /// Deletes the message. One that is gone counts as deleted.
    pub(crate) fn delete(&mut self, receipt: &Receipt, now: Millis) -> Result<(), SqsError> {
        match self.status_of(receipt)? {
            ReceiptStatus::InFlight(index) => {
                self.remove(receipt.group, index, now);
                Ok(())
            }
            ReceiptStatus::Lapsed | ReceiptStatus::Superseded => Err(expired(receipt)),
            ReceiptStatus::Gone => Ok(()),
        }
    }

    /// Makes the message visible after `timeout` from now, at once for zero.
    pub(crate) fn change_visibility(
        &mut self,
        receipt: &Receipt,
        timeout: Duration,
        now: Millis,
    ) -> Result<(), SqsError> {
        let index = match self.status_of(receipt)? {
            ReceiptStatus::InFlight(index) => index,
            ReceiptStatus::Lapsed => return Err(SqsError::MessageNotInflight),
            ReceiptStatus::Superseded => return Err(expired(receipt)),
            ReceiptStatus::Gone => return Err(unavailable(receipt)),
        };
        if timeout.is_zero() {
            self.release(receipt.group, index);
            return Ok(());
        }
        let until = now + timeout;
        if let Some(queued) = self.message_mut(receipt, index) {
            if until > queued.received + LONGEST_VISIBILITY {
                return Err(too_long(timeout));
            }
            queued.visible_at = Some(until);
        }
        self.deadlines.push(Deadline {
            at: until,
            group: receipt.group,
            sequence: receipt.sequence,
        });
        self.deadlines.tidy(&self.groups, self.in_flight);
        Ok(())
    }

    fn status_of(&self, receipt: &Receipt) -> Result<ReceiptStatus, SqsError> {
        if receipt.queue != self.number {
            return Err(SqsError::ReceiptHandleIsInvalid(receipt.to_string()));
        }
        let group = self.groups.get(receipt.group);
        let found = group.and_then(|group| {
            let index = group.position(receipt.sequence)?;
            Some((index, &group.messages[index]))
        });
        Ok(match found {
            None => ReceiptStatus::Gone,
            Some((_, queued)) if queued.receive != receipt.receive => ReceiptStatus::Superseded,
            Some((_, queued)) if queued.visible_at.is_none() => ReceiptStatus::Lapsed,
            Some((index, _)) => ReceiptStatus::InFlight(index),
        })
    }

    fn message_mut(&mut self, receipt: &Receipt, index: usize) -> Option<&mut QueuedMessage> {
        let group = self.groups.get_mut(receipt.group)?;
        group.messages.get_mut(index)
    }
}

fn expired(receipt: &Receipt) -> SqsError {
    let reason = "The receipt handle has expired.";
    SqsError::invalid("ReceiptHandle", &receipt.to_string(), reason)
}

fn unavailable(receipt: &Receipt) -> SqsError {
    let reason = "Message does not exist or is not available for visibility timeout change.";
    SqsError::invalid("ReceiptHandle", &receipt.to_string(), reason)
}

fn too_long(timeout: Duration) -> SqsError {
    let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].";
    SqsError::invalid("VisibilityTimeout", &timeout.as_secs().to_string(), reason)
}
