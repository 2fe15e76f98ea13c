//! `SendMessage` and `SendMessageBatch`.

use std::collections::HashMap;

use rustack_sqs_model::input::{SendMessageBatchInput, SendMessageInput};
use rustack_sqs_model::operations::SqsOperation;
use rustack_sqs_model::output::{SendMessageBatchOutput, SendMessageOutput};
use rustack_sqs_model::types::{
    MessageSystemAttributeValue, SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
};

use super::batch::{check, failed};
use crate::engine::{Draft, SqsError};
use crate::shell::Shell;

pub(crate) fn one(shell: &Shell, input: SendMessageInput) -> Result<SendMessageOutput, SqsError> {
    let queue = shell.called(SqsOperation::SendMessage, &input.queue_url);
    let draft = draft(SendMessageBatchRequestEntry {
        id: String::new(),
        message_body: input.message_body,
        delay_seconds: input.delay_seconds,
        message_deduplication_id: input.message_deduplication_id,
        message_group_id: input.message_group_id,
        message_attributes: input.message_attributes,
        message_system_attributes: input.message_system_attributes,
    })?;
    let body_md5 = draft.body_md5().to_string();
    let attributes_md5 = draft.attributes_md5().map(|md5| md5.to_string());
    let sent = shell.run(|engine, now| engine.send(queue, draft, now))?;
    Ok(SendMessageOutput {
        message_id: Some(sent.message_id.to_string()),
        md5_of_message_body: Some(body_md5),
        md5_of_message_attributes: attributes_md5,
        md5_of_message_system_attributes: None,
        sequence_number: Some(sent.sequence.to_string()),
    })
}

pub(crate) fn batch(
    shell: &Shell,
    input: SendMessageBatchInput,
) -> Result<SendMessageBatchOutput, SqsError> {
    let queue = shell.called(SqsOperation::SendMessageBatch, &input.queue_url);
    check(input.entries.iter().map(|entry| &*entry.id))?;
    if input.entries.iter().any(|entry| entry.message_group_id.is_none()) {
        // In a batch this is an invalid value, and the whole batch is refused.
        let missing = SqsError::MissingParameter("MessageGroupId".into());
        return Err(SqsError::InvalidParameterValue(missing.to_string()));
    }
    let without_id =
        |entry: &SendMessageBatchRequestEntry| entry.message_deduplication_id.is_none();
    let any_without_id = input.entries.iter().any(without_id);
    let drafts: Vec<_> =
        input.entries.into_iter().map(|entry| (entry.id.clone(), draft(entry))).collect();
    let sent = drafts.iter().flat_map(|(_, draft)| draft).map(Draft::bytes).sum();
    shell.run(|engine, now| {
        let allowed = engine.limits().message_bytes;
        if sent > allowed {
            return Err(SqsError::BatchRequestTooLong { allowed, sent });
        }
        if engine.requires_deduplication_id(queue)? && any_without_id {
            return Err(SqsError::no_deduplication_id());
        }
        let mut output = SendMessageBatchOutput::default();
        for (id, draft) in drafts {
            let result = draft.and_then(|draft| {
                let digests = (draft.body_md5(), draft.attributes_md5());
                Ok((digests, engine.send(queue, draft, now)?))
            });
            match result {
                Ok(((body_md5, attributes_md5), sent)) => {
                    output.successful.push(SendMessageBatchResultEntry {
                        id,
                        message_id: sent.message_id.to_string(),
                        md5_of_message_body: body_md5.to_string(),
                        md5_of_message_attributes: attributes_md5.map(|md5| md5.to_string()),
                        sequence_number: Some(sent.sequence.to_string()),
                    });
                }
                Err(error) => output.failed.push(failed(id, &error)),
            }
        }
        Ok(output)
    })
}

fn draft(entry: SendMessageBatchRequestEntry) -> Result<Draft, SqsError> {
    if let Some(delay) = entry.delay_seconds.filter(|delay| *delay != 0) {
        let why = "The request include parameter that is not valid for this queue type.";
        return Err(SqsError::invalid("DelaySeconds", &delay.to_string(), why));
    }
    let trace = trace_header(&entry.message_system_attributes);
    let draft = Draft::new(
        &entry.message_body,
        entry.message_group_id.as_deref(),
        entry.message_deduplication_id.as_deref(),
    )?;
    draft.with_trace_header(trace).with_attributes(entry.message_attributes)
}

fn trace_header(attributes: &HashMap<String, MessageSystemAttributeValue>) -> Option<&str> {
    attributes.get("AWSTraceHeader")?.string_value.as_deref()
}
