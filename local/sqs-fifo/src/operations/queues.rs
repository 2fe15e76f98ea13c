//! Operations on queues as such.

use rustack_sqs_model::input::{
    CreateQueueInput, DeleteQueueInput, GetQueueAttributesInput, GetQueueUrlInput,
    ListDeadLetterSourceQueuesInput, ListQueuesInput, PurgeQueueInput, SetQueueAttributesInput,
};
use rustack_sqs_model::operations::SqsOperation;
use rustack_sqs_model::output::{
    CreateQueueOutput, DeleteQueueOutput, GetQueueAttributesOutput, GetQueueUrlOutput,
    ListQueuesOutput, PurgeQueueOutput, SetQueueAttributesOutput,
};
use rustack_sqs_model::types::QueueAttributeName;
use serde::Serialize;

use super::page::page;
use crate::engine::SqsError;
use crate::shell::Shell;

pub(crate) fn create(
    shell: &Shell,
    input: &CreateQueueInput,
) -> Result<CreateQueueOutput, SqsError> {
    let queue = shell.called(SqsOperation::CreateQueue, &input.queue_name);
    shell.run(|engine, now| engine.create_queue(queue, &input.attributes, &input.tags, now))?;
    let queue_url = Some(shell.url(queue));
    Ok(CreateQueueOutput { queue_url })
}

pub(crate) fn delete(
    shell: &Shell,
    input: &DeleteQueueInput,
) -> Result<DeleteQueueOutput, SqsError> {
    let queue = shell.called(SqsOperation::DeleteQueue, &input.queue_url);
    shell.run(|engine, now| engine.delete_queue(queue, now))?;
    shell.dismiss(queue);
    Ok(DeleteQueueOutput {})
}

pub(crate) fn url(shell: &Shell, input: &GetQueueUrlInput) -> Result<GetQueueUrlOutput, SqsError> {
    let queue = shell.called(SqsOperation::GetQueueUrl, &input.queue_name);
    shell.run(|engine, _| engine.tags(queue).map(|_| ()))?;
    let queue_url = Some(shell.url(queue));
    Ok(GetQueueUrlOutput { queue_url })
}

pub(crate) fn list(shell: &Shell, input: &ListQueuesInput) -> Result<ListQueuesOutput, SqsError> {
    shell.called(SqsOperation::ListQueues, "");
    let prefix = input.queue_name_prefix.as_deref().unwrap_or_default();
    let names = shell.run(|engine, _| Ok(engine.list_queues(prefix)))?;
    let (names, next_token) = page(names, input.next_token.as_deref(), input.max_results)?;
    let queue_urls = names.iter().map(|name| shell.url(name)).collect();
    Ok(ListQueuesOutput { queue_urls, next_token })
}

pub(crate) fn attributes(
    shell: &Shell,
    input: &GetQueueAttributesInput,
) -> Result<GetQueueAttributesOutput, SqsError> {
    let queue = shell.called(SqsOperation::GetQueueAttributes, &input.queue_url);
    let asked = &input.attribute_names;
    let known = |name: &&String| QueueAttributeName::from_str_name(name).is_some();
    if let Some(unknown) = asked.iter().find(|name| !known(name)) {
        return Err(SqsError::InvalidAttributeName(unknown.clone()));
    }
    let all = shell.run(|engine, now| engine.queue_attributes(queue, now))?;
    let wanted = |name: &str| asked.iter().any(|asked| asked == "All" || asked == name);
    let attributes = all.into_iter().filter(|(name, _)| wanted(name));
    Ok(GetQueueAttributesOutput {
        attributes: attributes.map(|(name, value)| (name.to_owned(), value)).collect(),
    })
}

pub(crate) fn set_attributes(
    shell: &Shell,
    input: &SetQueueAttributesInput,
) -> Result<SetQueueAttributesOutput, SqsError> {
    let queue = shell.called(SqsOperation::SetQueueAttributes, &input.queue_url);
    shell.run(|engine, now| engine.set_queue_attributes(queue, &input.attributes, now))?;
    Ok(SetQueueAttributesOutput {})
}

pub(crate) fn purge(shell: &Shell, input: &PurgeQueueInput) -> Result<PurgeQueueOutput, SqsError> {
    let queue = shell.called(SqsOperation::PurgeQueue, &input.queue_url);
    shell.run(|engine, now| engine.purge_queue(queue, now))?;
    Ok(PurgeQueueOutput {})
}

/// The model writes `QueueUrls`; this one answer of SQS has a small letter.
#[derive(Debug, Serialize)]
pub(crate) struct ListDeadLetterSourceQueuesOutput {
    #[serde(rename = "queueUrls")]
    queue_urls: Vec<String>,
    #[serde(rename = "NextToken", skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) fn sources(
    shell: &Shell,
    input: &ListDeadLetterSourceQueuesInput,
) -> Result<ListDeadLetterSourceQueuesOutput, SqsError> {
    let queue = shell.called(SqsOperation::ListDeadLetterSourceQueues, &input.queue_url);
    let names = shell.run(|engine, _| engine.dead_letter_sources(queue))?;
    let (names, next_token) = page(names, input.next_token.as_deref(), input.max_results)?;
    let queue_urls = names.iter().map(|name| shell.url(name)).collect();
    Ok(ListDeadLetterSourceQueuesOutput { queue_urls, next_token })
}
