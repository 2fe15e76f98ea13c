//! `ReceiveMessage`, which may wait for messages.

use std::time::Duration;

use rustack_sqs_model::input::ReceiveMessageInput;
use rustack_sqs_model::operations::SqsOperation;
use tokio::time::Instant;

use super::shown::{self, Asked};
use crate::engine::{Delivery, ReceiveRequest, SqsError};
use crate::shell::Shell;

/// Longest `WaitTimeSeconds`.
const LONGEST_WAIT: u64 = 20;

pub(crate) async fn receive(
    shell: &Shell,
    input: ReceiveMessageInput,
) -> Result<Vec<u8>, SqsError> {
    let queue = shell.called(SqsOperation::ReceiveMessage, &input.queue_url);
    let wait = match input.wait_time_seconds {
        None => shell.run(|engine, _| engine.wait_time(queue))?,
        Some(wait) => {
            let allowed = u64::try_from(wait).ok().filter(|wait| *wait <= LONGEST_WAIT);
            allowed.map(Duration::from_secs).ok_or_else(|| {
                let why = "Must be >= 0 and <= 20, if provided.";
                SqsError::invalid("WaitTimeSeconds", &wait.to_string(), why)
            })?
        }
    };
    let request = ReceiveRequest::new(
        input.max_number_of_messages.unwrap_or(1),
        input.visibility_timeout,
        input.receive_request_attempt_id,
    )?;
    let deliveries = poll(shell, queue, &request, Instant::now() + wait).await?;
    let mut system = input.attribute_names;
    system.extend(input.message_system_attribute_names);
    let asked = Asked {
        account: shell.account(),
        system: &system,
        message: &input.message_attribute_names,
    };
    shown::write(&deliveries, &asked)
}

/// Waits until there are messages, or `deadline`, or the server stops.
///
/// Dropping this receives nothing: a wake-up meant for it goes to the next poll instead.
async fn poll(
    shell: &Shell,
    queue: &str,
    request: &ReceiveRequest,
    deadline: Instant,
) -> Result<Vec<Delivery>, SqsError> {
    loop {
        let notifier = match shell.poll(queue, request)? {
            Ok(deliveries) => return Ok(deliveries),
            Err(_) if Instant::now() >= deadline => return Ok(Vec::new()),
            Err(notifier) => notifier,
        };
        tokio::select! {
            () = notifier.notified() => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = shell.stop.cancelled() => return Ok(Vec::new()),
        }
    }
}
