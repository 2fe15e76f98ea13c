//! Operations on received messages: deleting them, changing when they are visible.

use rustack_sqs_model::input::{
    ChangeMessageVisibilityBatchInput, ChangeMessageVisibilityInput, DeleteMessageBatchInput,
    DeleteMessageInput,
};
use rustack_sqs_model::operations::SqsOperation;
use rustack_sqs_model::output::{
    ChangeMessageVisibilityBatchOutput, ChangeMessageVisibilityOutput, DeleteMessageBatchOutput,
    DeleteMessageOutput,
};
use rustack_sqs_model::types::{
    ChangeMessageVisibilityBatchResultEntry, DeleteMessageBatchResultEntry,
};

use super::batch::{check, failed};
use crate::engine::SqsError;
use crate::shell::Shell;

pub(crate) fn delete(
    shell: &Shell,
    input: &DeleteMessageInput,
) -> Result<DeleteMessageOutput, SqsError> {
    let queue = shell.called(SqsOperation::DeleteMessage, &input.queue_url);
    shell.run(|engine, now| engine.delete(queue, &input.receipt_handle, now))?;
    Ok(DeleteMessageOutput {})
}

pub(crate) fn delete_batch(
    shell: &Shell,
    input: DeleteMessageBatchInput,
) -> Result<DeleteMessageBatchOutput, SqsError> {
    let queue = shell.called(SqsOperation::DeleteMessageBatch, &input.queue_url);
    check(input.entries.iter().map(|entry| &*entry.id))?;
    shell.run(|engine, now| {
        engine.tags(queue)?;
        let mut output = DeleteMessageBatchOutput::default();
        for entry in input.entries {
            let id = entry.id;
            match engine.delete(queue, &entry.receipt_handle, now) {
                Ok(()) => output.successful.push(DeleteMessageBatchResultEntry { id }),
                Err(error) => output.failed.push(failed(id, &error)),
            }
        }
        Ok(output)
    })
}

pub(crate) fn change(
    shell: &Shell,
    input: &ChangeMessageVisibilityInput,
) -> Result<ChangeMessageVisibilityOutput, SqsError> {
    let queue = shell.called(SqsOperation::ChangeMessageVisibility, &input.queue_url);
    let seconds = input.visibility_timeout;
    shell
        .run(|engine, now| engine.change_visibility(queue, &input.receipt_handle, seconds, now))?;
    Ok(ChangeMessageVisibilityOutput {})
}

pub(crate) fn change_batch(
    shell: &Shell,
    input: ChangeMessageVisibilityBatchInput,
) -> Result<ChangeMessageVisibilityBatchOutput, SqsError> {
    let queue = shell.called(SqsOperation::ChangeMessageVisibilityBatch, &input.queue_url);
    check(input.entries.iter().map(|entry| &*entry.id))?;
    shell.run(|engine, now| {
        engine.tags(queue)?;
        let mut output = ChangeMessageVisibilityBatchOutput::default();
        for entry in input.entries {
            let (id, seconds) = (entry.id, entry.visibility_timeout);
            match engine.change_visibility(queue, &entry.receipt_handle, seconds, now) {
                Ok(()) => {
                    let done = ChangeMessageVisibilityBatchResultEntry { id };
                    output.successful.push(done);
                }
                Err(error) => output.failed.push(failed(id, &error)),
            }
        }
        Ok(output)
    })
}
