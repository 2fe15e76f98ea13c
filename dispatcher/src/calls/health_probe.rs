//! While the transaction service is down: one question a second whether it answers again.

use std::sync::Arc;
use std::time::Duration;

use domain::{KeyQuery, KeyStatus};
use shared::shutdown::Shutdown;
use shared::transaction::TransactionService;

use crate::calls::limiter::CallLimiter;
use crate::events;

/// Time between two questions, and before a trial that failed is followed by the next.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks until shutdown, whenever the circuit breaker is open. The question is for a key that nobody
/// has: any answer that says so comes from the service itself.
pub(crate) async fn probe(
    transactions: Arc<dyn TransactionService>,
    limiter: CallLimiter,
    shutdown: Shutdown,
) {
    let mut after_trial = Duration::ZERO;
    // After a trial that failed it is open again.
    while shutdown.unless_requested(limiter.until_open()).await.is_some() {
        if shutdown.pause(PAUSE + after_trial).await {
            return;
        }
        after_trial = Duration::ZERO;
        let question = transactions.find(KeyQuery::unknown_key());
        let Some(found) = shutdown.unless_requested(question).await else {
            return;
        };
        events::probed(&found);
        match found {
            KeyStatus::NoAnswer { .. } => {}
            KeyStatus::Nothing
            | KeyStatus::Settled(_)
            | KeyStatus::UnderWay
            | KeyStatus::Rejected { .. } => {
                limiter.service_answers();
                // A service that answers questions but takes no payments costs two calls.
                after_trial = 2 * PAUSE;
            }
        }
    }
}
