//! SQS operations as `rustack-sqs-http` hands them over.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::Response;
use hyper::body::Bytes;
use rustack_sqs_http::body::SqsResponseBody;
use rustack_sqs_http::dispatch::SqsHandler;
use rustack_sqs_model::error::SqsError as ModelError;
use rustack_sqs_model::operations::SqsOperation;

use super::answer::{read, respond, write};
use super::engine::SqsError;
use super::operations::{moves, queues, receipts, receive, send, tags};
use super::shell::Shell;

/// Answers requests from the engine.
#[derive(Debug)]
pub(crate) struct Handler(pub(crate) Arc<Shell>);

impl SqsHandler for Handler {
    fn handle_operation(
        &self,
        operation: SqsOperation,
        body: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Response<SqsResponseBody>, ModelError>> + Send>> {
        let shell = Arc::clone(&self.0);
        Box::pin(async move { Ok(respond(answer(&shell, operation, &body).await)) })
    }
}

pub(crate) async fn answer(
    shell: &Shell,
    operation: SqsOperation,
    body: &[u8],
) -> Result<Vec<u8>, SqsError> {
    use SqsOperation as Op;
    match operation {
        Op::SendMessage => write(&send::one(shell, read(body)?)?),
        Op::SendMessageBatch => write(&send::batch(shell, read(body)?)?),
        Op::ReceiveMessage => receive::receive(shell, read(body)?).await,
        Op::DeleteMessage => write(&receipts::delete(shell, &read(body)?)?),
        Op::DeleteMessageBatch => write(&receipts::delete_batch(shell, read(body)?)?),
        Op::ChangeMessageVisibility => write(&receipts::change(shell, &read(body)?)?),
        Op::ChangeMessageVisibilityBatch => write(&receipts::change_batch(shell, read(body)?)?),
        Op::CreateQueue => write(&queues::create(shell, &read(body)?)?),
        Op::DeleteQueue => write(&queues::delete(shell, &read(body)?)?),
        Op::GetQueueUrl => write(&queues::url(shell, &read(body)?)?),
        Op::ListQueues => write(&queues::list(shell, &read(body)?)?),
        Op::GetQueueAttributes => write(&queues::attributes(shell, &read(body)?)?),
        Op::SetQueueAttributes => write(&queues::set_attributes(shell, &read(body)?)?),
        Op::PurgeQueue => write(&queues::purge(shell, &read(body)?)?),
        Op::ListDeadLetterSourceQueues => write(&queues::sources(shell, &read(body)?)?),
        Op::TagQueue => write(&tags::tag(shell, read(body)?)?),
        Op::UntagQueue => write(&tags::untag(shell, &read(body)?)?),
        Op::ListQueueTags => write(&tags::list(shell, &read(body)?)?),
        Op::StartMessageMoveTask => write(&moves::start(shell, &read(body)?)?),
        Op::ListMessageMoveTasks => write(&moves::list(shell, &read(body)?)?),
        Op::CancelMessageMoveTask => write(&moves::cancel(shell, &read(body)?)?),
        Op::AddPermission | Op::RemovePermission => Err(SqsError::UnsupportedOperation(
            "Permissions are not kept here: everybody may do everything.".into(),
        )),
    }
}
