//! The transaction service, as `docs/transaction-service.yaml` describes it.

mod answer;
mod body;
mod client;
mod contract;
#[doc(hidden)]
pub mod fuzzing;
mod submission;
mod transaction_ids;

use std::fmt;

use async_trait::async_trait;

pub use client::{TransactionClient, TransactionClientError, TransactionSettings};
pub use contract::{ContractSettings, EchoPolicy};
pub use transaction_ids::{TransactionIds, UniqueTransactionIds};

use domain::{KeyQuery, KeyStatus, Outcome, Payment};

/// What dueflow asks of the transaction service. [`TransactionClient`] is the real one; a
/// simulation puts its own here.
#[async_trait]
pub trait TransactionService: fmt::Debug + Send + Sync {
    /// Submits a payment under its own id as the idempotency key (INV-1). May be repeated; a
    /// key moves money at most once for as long as it is remembered. The blob must be at hand:
    /// with its digest only, nothing is submitted.
    async fn submit(&self, payment: &Payment) -> Outcome;

    /// What was settled under a payment's key so far. [`KeyStatus::Nothing`] does not say that a
    /// submission that is still on its way will not settle it.
    async fn find(&self, asked: KeyQuery) -> KeyStatus;
}
