//! The outside world on one machine: `DynamoDB` with Streams, SQS FIFO and a transaction
//! service, on real ports, spoken to through the real AWS SDK. For the demo and the tests;
//! never part of a production image.
//!
//! | module | room |
//! |---|---|
//! | [`dynamodb`] | the crate `dynoxide-rs` on a database file, in a thread of its own |
//! | [`sqs`] | SQS FIFO |
//! | [`transactions`] | the transaction service of `docs/transaction-service.yaml`, with faults |

pub mod dynamodb;
mod lines;
pub mod sqs;
pub mod transactions;
mod world;

pub use world::{Local, LocalError, LocalOptions, Queues};
