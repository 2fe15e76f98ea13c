//! What an answer of SQS says, and what it must say to be believed: pure.
//!
//! An entry of a batch is done only when the answer names it as done. One that the answer names
//! nowhere may or may not be done; it is tried again like one that was refused for now.

use std::time::Duration;

use aws_sdk_sqs::types::{BatchResultErrorEntry, Message, MessageSystemAttributeName as Attribute};
use jiff::Timestamp;

use super::api::{QueueCallError, ReceivedMessage, RefusedEntry};

/// The entries of a batch of `sent` that are not done: those in `failed`, and those that are not
/// in `successful` either. An entry in both lists counts as refused.
pub(super) fn not_done<'a>(
    sent: usize,
    successful: impl Iterator<Item = &'a str>,
    failed: &[BatchResultErrorEntry],
) -> Vec<RefusedEntry> {
    let mut refused: Vec<Option<RefusedEntry>> = (0..sent).map(unnamed).collect();
    for id in successful {
        if let Some(entry) = place(id, sent) {
            refused[entry] = None;
        }
    }
    for entry in failed {
        let Some(index) = place(entry.id(), sent) else { continue };
        let reason = format!("{}: {}", entry.code(), entry.message().unwrap_or_default());
        refused[index] = Some(RefusedEntry { index, for_good: is_for_good(entry.code()), reason });
    }
    refused.into_iter().flatten().collect()
}

fn unnamed(index: usize) -> Option<RefusedEntry> {
    let reason = "the answer of SQS names the entry neither as done nor as failed".to_owned();
    Some(RefusedEntry { index, for_good: false, reason })
}

/// The position in the request that an entry's id stands for.
fn place(id: &str, sent: usize) -> Option<usize> {
    id.parse().ok().filter(|index| *index < sent)
}

/// Whether an entry was refused because of the receipt or the message itself. `SenderFault`
/// does not tell: throttling comes with it too.
fn is_for_good(code: &str) -> bool {
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    matches!(code, "ReceiptHandleIsInvalid" | "InvalidParameterValue" | "MessageNotInflight")
}

/// The messages of an answer to a receive.
///
/// # Errors
/// A message lacks what it was asked for. Then none of them is taken: without its group it could
/// overtake one of its account, and without its body it would be dead-lettered empty. They become
/// visible again when their timeout ends.
pub(super) fn received(messages: Vec<Message>) -> Result<Vec<ReceivedMessage>, QueueCallError> {
    messages.into_iter().map(incoming).collect()
}

fn incoming(message: Message) -> Result<ReceivedMessage, QueueCallError> {
    let lacks =
        |what: &str| QueueCallError::other(format!("a message that was received lacks its {what}"));
    let attribute = |name| message.attributes().and_then(|all| all.get(&name));
    let group = attribute(Attribute::MessageGroupId).filter(|group| !group.is_empty());
    let group = group.cloned().ok_or_else(|| lacks("MessageGroupId"))?;
    let receive_count = attribute(Attribute::ApproximateReceiveCount)
        .and_then(|count| count.parse().ok())
        .ok_or_else(|| lacks("ApproximateReceiveCount"))?;
    let sent_at = attribute(Attribute::SentTimestamp)
        .and_then(|millis| millis.parse().ok())
        .and_then(|millis| Timestamp::from_millisecond(millis).ok());
    Ok(ReceivedMessage {
        group,
        receive_count,
        sent_at,
        receipt: message.receipt_handle.ok_or_else(|| lacks("receipt handle"))?,
        message_id: message.message_id.ok_or_else(|| lacks("message id"))?,
        body: message.body.ok_or_else(|| lacks("body"))?,
    })
}

/// SQS counts in whole seconds; a part of one is rounded up, so that nothing comes early.
pub(super) fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(id: &str, code: &str) -> BatchResultErrorEntry {
        let entry = BatchResultErrorEntry::builder().id(id).code(code).sender_fault(false);
        entry.build().unwrap()
    }

    #[test]
    fn an_entry_that_the_answer_names_nowhere_is_not_done() {
        let refused = not_done(4, ["0", "3"].into_iter(), &[failed("1", "InternalError")]);
        let indices: Vec<_> = refused.iter().map(|entry| (entry.index, entry.for_good)).collect();
        assert_eq!(indices, [(1, false), (2, false)]);
        assert!(refused[1].reason.contains("neither"), "{refused:?}");
        assert_eq!(not_done(3, std::iter::empty(), &[]).len(), 3, "an empty answer");
        assert!(not_done(2, ["0", "1"].into_iter(), &[]).is_empty());
    }

    #[test]
    fn an_entry_in_both_lists_is_refused_and_one_that_was_not_sent_is_nobodys() {
        let refused = not_done(2, ["0", "1", "7", "x"].into_iter(), &[failed("1", "Throttled")]);
        assert_eq!(refused.iter().map(|entry| entry.index).collect::<Vec<_>>(), [1]);
        assert!(not_done(1, ["0"].into_iter(), &[failed("9", "InternalError")]).is_empty());
    }

    #[test]
    fn only_what_concerns_the_message_itself_is_refused_for_good() {
        for code in ["ReceiptHandleIsInvalid", "AWS.SimpleQueueService.MessageNotInflight"] {
            assert!(is_for_good(code), "{code}");
        }
        for code in ["RequestThrottled", "ThrottlingException", "InternalError", ""] {
            assert!(!is_for_good(code), "{code}");
        }
    }

    fn message() -> Message {
        Message::builder()
            .message_id("m")
            .receipt_handle("r")
            .body("b")
            .attributes(Attribute::MessageGroupId, "ACC-1")
            .attributes(Attribute::ApproximateReceiveCount, "2")
            .attributes(Attribute::SentTimestamp, "1764547200000")
            .build()
    }

    #[test]
    fn a_message_that_lacks_something_fails_the_receive_and_nothing_is_guessed() {
        let whole = received(vec![message()]).unwrap().remove(0);
        assert_eq!((whole.group.as_str(), whole.receive_count), ("ACC-1", 2));
        assert_eq!(whole.sent_at.unwrap().to_string(), "2025-12-01T00:00:00Z");
        let without = |attribute: Attribute| {
            let mut message = message();
            message.attributes.as_mut().unwrap().remove(&attribute);
            message
        };
        let mut lacking: Vec<_> = (0..4).map(|_| message()).collect();
        lacking[0].attributes = None;
        lacking[1].receipt_handle = None;
        lacking[2].message_id = None;
        lacking[3].body = None;
        lacking.push(without(Attribute::MessageGroupId));
        lacking.push(without(Attribute::ApproximateReceiveCount));
        for lacking in lacking {
            let error = received(vec![message(), lacking]).unwrap_err().to_string();
            assert!(error.contains("lacks its"), "{error}");
        }
        assert_eq!(received(vec![without(Attribute::SentTimestamp)]).unwrap()[0].sent_at, None);
    }

    #[test]
    fn parts_of_a_second_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(43_200)), 43_200);
    }
}
