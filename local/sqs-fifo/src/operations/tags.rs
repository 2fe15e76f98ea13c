//! Operations on tags.

use rustack_sqs_model::input::{ListQueueTagsInput, TagQueueInput, UntagQueueInput};
use rustack_sqs_model::operations::SqsOperation;
use rustack_sqs_model::output::{ListQueueTagsOutput, TagQueueOutput, UntagQueueOutput};

use crate::engine::SqsError;
use crate::shell::Shell;

pub(crate) fn tag(shell: &Shell, input: TagQueueInput) -> Result<TagQueueOutput, SqsError> {
    let queue = shell.called(SqsOperation::TagQueue, &input.queue_url);
    shell.run(|engine, _| engine.tag(queue, input.tags))?;
    Ok(TagQueueOutput {})
}

pub(crate) fn untag(shell: &Shell, input: &UntagQueueInput) -> Result<UntagQueueOutput, SqsError> {
    let queue = shell.called(SqsOperation::UntagQueue, &input.queue_url);
    shell.run(|engine, _| engine.untag(queue, &input.tag_keys))?;
    Ok(UntagQueueOutput {})
}

pub(crate) fn list(
    shell: &Shell,
    input: &ListQueueTagsInput,
) -> Result<ListQueueTagsOutput, SqsError> {
    let queue = shell.called(SqsOperation::ListQueueTags, &input.queue_url);
    let tags = shell.run(|engine, _| engine.tags(queue).cloned())?;
    Ok(ListQueueTagsOutput { tags: tags.into_iter().collect() })
}
