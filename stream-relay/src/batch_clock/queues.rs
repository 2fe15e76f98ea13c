//! How deep the queues are, for the page.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use shared::aws::Aws;
use shared::config::Names;
use shared::queue::{QueueCallError, QueueDepth, SqsQueue};
use tokio::sync::OnceCell;

use crate::labels::QueueKind;

/// The queues, for their depths. Each call returns within a bound of time of its own.
#[async_trait]
pub(crate) trait QueueDepths: Debug + Send + Sync {
    /// How many messages a queue holds.
    async fn depth(&self, queue: QueueKind) -> Result<QueueDepth, QueueCallError>;
}

/// The queues at SQS. Each is opened when it is first asked for: a relay that may not ask for one
/// of them works without.
#[derive(Debug)]
pub(crate) struct SqsDepths {
    aws: Aws,
    names: Names,
    opened: [OnceCell<SqsQueue>; 3],
}

impl SqsDepths {
    pub(crate) fn new(aws: &Aws, names: &Names) -> Self {
        Self { aws: aws.clone(), names: names.clone(), opened: Default::default() }
    }
}

#[async_trait]
impl QueueDepths for SqsDepths {
    async fn depth(&self, queue: QueueKind) -> Result<QueueDepth, QueueCallError> {
        let [payments, confirmations, dead_letters] = &self.opened;
        let (opened, name) = match queue {
            QueueKind::Payments => (payments, self.names.payments_queue()),
            QueueKind::Confirmations => (confirmations, self.names.confirmations_queue()),
            QueueKind::DeadLetters => (dead_letters, self.names.dead_letter_queue()),
        };
        let open = || SqsQueue::open(&self.aws, name, Duration::ZERO, "depth");
        let queue = opened.get_or_try_init(open).await;
        queue.map_err(|error| QueueCallError::other(error.to_string()))?.depth().await
    }
}
