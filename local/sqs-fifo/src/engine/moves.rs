//! Message move tasks: from a dead-letter queue back to where its messages came from, or elsewhere.

use std::sync::Arc;

use super::account::Engine;
use super::error::SqsError;
use super::message::Message;
use super::move_task::{MoveStatus, MoveTask};
use super::redrive::queue_of_arn;
use super::time::Millis;

/// Tasks remembered for each source queue, the newest first.
const REMEMBERED: usize = 10;
/// Largest `MaxNumberOfMessagesPerSecond`.
const FASTEST: i32 = 500;

impl Engine {
    /// Starts to move the messages of the dead-letter queue `source`; returns the task's handle.
    ///
    /// # Errors
    /// `ResourceNotFound` if a queue does not exist, `InvalidParameterValue` if `source` is no
    /// dead-letter queue, has a running task, or the rate is not from 1 to 500.
    pub fn start_message_move_task(
        &mut self,
        source: &str,
        destination: Option<&str>,
        rate: Option<i32>,
        now: Millis,
    ) -> Result<String, SqsError> {
        let name = self.existing(source, "SourceArn")?;
        if let Some(destination) = destination {
            self.existing(destination, "DestinationArn")?;
        }
        let refused = |why: &str| Err(SqsError::InvalidParameterValue(why.to_owned()));
        if self.dead_letter_sources(&name)?.is_empty() {
            return refused("Source queue must be configured as a Dead Letter Queue.");
        }
        if rate.is_some_and(|rate| !(1..=FASTEST).contains(&rate)) {
            return refused(
                "Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and 500.",
            );
        }
        let (source, destination) = (Arc::from(source), destination.map(Arc::from));
        self.on_queue(&name, now, |queue, ids, now| {
            let newest = queue.moves.front().map(|task| task.status);
            if newest == Some(MoveStatus::Running) {
                return refused("There is already a task running. Only one active task is allowed for a source queue arn at a given time.");
            }
            let to_move = u64::try_from(queue.counts(now).0).unwrap_or(u64::MAX);
            let task = MoveTask {
                id: ids.uuid(),
                source,
                destination,
                rate: rate.and_then(|rate| u32::try_from(rate).ok()),
                status: MoveStatus::Running,
                moved: 0,
                to_move,
                started: now,
                last_step: now,
            };
            let handle = task.handle();
            queue.moves.push_front(task);
            queue.moves.truncate(REMEMBERED);
            Ok(handle)
        })
    }

    /// The latest tasks of a source queue, the newest first.
    ///
    /// # Errors
    /// `ResourceNotFound` if the queue does not exist.
    pub fn list_message_move_tasks(
        &self,
        source: &str,
        most: usize,
    ) -> Result<Vec<MoveTask>, SqsError> {
        let name = self.existing(source, "SourceArn")?;
        let tasks = self.queue(&name)?.moves.iter();
        Ok(tasks.take(most).cloned().collect())
    }

    /// Stops a task; returns how many messages it had moved.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a malformed handle, `ResourceNotFound` if the queue or the task
    /// does not exist, `UnsupportedOperation` if the task has ended.
    pub fn cancel_message_move_task(&mut self, handle: &str, now: Millis) -> Result<u64, SqsError> {
        let Some((id, source)) = handle.split_once('@') else {
            let why = "Value for parameter TaskHandle is invalid.";
            return Err(SqsError::InvalidParameterValue(why.into()));
        };
        let name = self.existing(source, "SourceArn")?;
        self.on_queue(&name, now, |queue, _, _| {
            let task = queue.moves.iter_mut().find(|t| t.id.to_string() == id);
            let task =
                task.ok_or_else(|| SqsError::ResourceNotFound("Task does not exist.".into()))?;
            if task.status != MoveStatus::Running {
                let why = "Only a running task can be cancelled.";
                return Err(SqsError::UnsupportedOperation(why.into()));
            }
            task.status = MoveStatus::Cancelled;
            Ok(task.moved)
        })
    }

    /// Moves what is due of the task running on a queue.
    pub(super) fn step_move(&mut self, name: &str, now: Millis) {
        let Some(task) = self.running_move(name) else {
            return;
        };
        for _ in 0..task.due(now) {
            let next = self.queues.get_mut(name).and_then(|q| q.next_to_move());
            let Some(message) = next else {
                return self.end_move(name, MoveStatus::Completed);
            };
            let Some(target) = task.destination.as_ref().or(message.dead_letter_source.as_ref())
            else {
                let why = "CouldNotDetermineMessageSource";
                return self.end_move(name, MoveStatus::Failed(why));
            };
            let target = queue_of_arn(target).filter(|name| self.queues.contains_key(*name));
            let Some(target) = target.map(Arc::<str>::from) else {
                let why = SqsError::QueueDoesNotExist.code();
                return self.end_move(name, MoveStatus::Failed(why));
            };
            if let Some(queue) = self.queues.get_mut(name) {
                queue.remove_moved(now);
                if let Some(task) = queue.moves.front_mut() {
                    task.moved += 1;
                    task.last_step = now;
                }
            }
            self.push_moved(&target, &message, now);
        }
        if self.running_move(name).is_some_and(|task| task.moved >= task.to_move) {
            self.end_move(name, MoveStatus::Completed);
        }
    }

    fn running_move(&self, name: &str) -> Option<MoveTask> {
        let task = self.queues.get(name)?.moves.front()?;
        (task.status == MoveStatus::Running).then(|| task.clone())
    }

    fn end_move(&mut self, name: &str, status: MoveStatus) {
        let task = self.queues.get_mut(name).and_then(|q| q.moves.front_mut());
        if let Some(task) = task {
            task.status = status;
        }
    }

    /// A moved message is a new one: new id, new time, new sequence number.
    fn push_moved(&mut self, target: &str, message: &Message, now: Millis) {
        let arrived = self.on_queue(target, now, |queue, ids, now| {
            let moved = Message {
                id: ids.uuid(),
                sequence: ids.sequence(),
                sent: now,
                dead_letter_source: None,
                ..message.clone()
            };
            queue.push(moved, now);
            Ok(())
        });
        debug_assert!(arrived.is_ok(), "the target was just seen");
    }

    /// The name of a queue given by its ARN.
    fn existing(&self, arn: &str, parameter: &str) -> Result<String, SqsError> {
        let name = queue_of_arn(arn).filter(|name| self.queues.contains_key(*name));
        name.map(str::to_owned).ok_or_else(|| {
            SqsError::ResourceNotFound(format!(
                "The resource that you specified for the {parameter} parameter doesn't exist."
            ))
        })
    }
}
