//! The transaction service, as `docs/transaction-service.yaml` describes it.

mod answer;
mod client;

pub use client::{TransactionClient, TransactionClientError, TransactionSettings};
