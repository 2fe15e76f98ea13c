//! Operations on message move tasks.

use rustack_sqs_model::input::{
    CancelMessageMoveTaskInput, ListMessageMoveTasksInput, StartMessageMoveTaskInput,
};
use rustack_sqs_model::operations::SqsOperation;
use rustack_sqs_model::output::{
    CancelMessageMoveTaskOutput, ListMessageMoveTasksOutput, StartMessageMoveTaskOutput,
};
use rustack_sqs_model::types::ListMessageMoveTasksResultEntry;

use crate::engine::{BATCH, MoveStatus, MoveTask, SqsError};
use crate::shell::Shell;

pub(crate) fn start(
    shell: &Shell,
    input: &StartMessageMoveTaskInput,
) -> Result<StartMessageMoveTaskOutput, SqsError> {
    count(shell, SqsOperation::StartMessageMoveTask, &input.source_arn);
    let (destination, rate) =
        (input.destination_arn.as_deref(), input.max_number_of_messages_per_second);
    let handle = shell.run(|engine, now| {
        engine.start_message_move_task(&input.source_arn, destination, rate, now)
    })?;
    Ok(StartMessageMoveTaskOutput { task_handle: Some(handle) })
}

pub(crate) fn list(
    shell: &Shell,
    input: &ListMessageMoveTasksInput,
) -> Result<ListMessageMoveTasksOutput, SqsError> {
    count(shell, SqsOperation::ListMessageMoveTasks, &input.source_arn);
    let most = usize::try_from(input.max_results.unwrap_or(1)).ok();
    let most = most.filter(|most| (1..=BATCH).contains(most));
    let most = most.ok_or_else(|| {
        let value = input.max_results.unwrap_or_default().to_string();
        SqsError::invalid("MaxResults", &value, "Must be between 1 and 10, if provided.")
    })?;
    let tasks = shell.run(|engine, _| engine.list_message_move_tasks(&input.source_arn, most))?;
    Ok(ListMessageMoveTasksOutput { results: tasks.iter().map(shown).collect() })
}

pub(crate) fn cancel(
    shell: &Shell,
    input: &CancelMessageMoveTaskInput,
) -> Result<CancelMessageMoveTaskOutput, SqsError> {
    count(shell, SqsOperation::CancelMessageMoveTask, &input.task_handle);
    let moved =
        shell.run(|engine, now| engine.cancel_message_move_task(&input.task_handle, now))?;
    Ok(CancelMessageMoveTaskOutput { approximate_number_of_messages_moved: Some(number(moved)) })
}

/// Counts the call for the queue at the end of an ARN, or of a handle that ends in one.
fn count(shell: &Shell, operation: SqsOperation, arn: &str) {
    shell.called(operation, arn.rsplit(':').next().unwrap_or_default());
}

fn shown(task: &MoveTask) -> ListMessageMoveTasksResultEntry {
    let (status, failure) = match task.status {
        MoveStatus::Running => ("RUNNING", None),
        MoveStatus::Completed => ("COMPLETED", None),
        MoveStatus::Cancelled => ("CANCELLED", None),
        MoveStatus::Failed(why) => ("FAILED", Some(why.to_owned())),
    };
    ListMessageMoveTasksResultEntry {
        // SQS shows the handle while it is of use.
        task_handle: (task.status == MoveStatus::Running).then(|| task.handle()),
        source_arn: Some(task.source.to_string()),
        destination_arn: task.destination.as_ref().map(ToString::to_string),
        max_number_of_messages_per_second: task.rate.and_then(|rate| i32::try_from(rate).ok()),
        approximate_number_of_messages_moved: Some(number(task.moved)),
        approximate_number_of_messages_to_move: Some(number(task.to_move)),
        failure_reason: failure,
        status: Some(status.to_owned()),
        started_timestamp: Some(number(task.started.0)),
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
