//! The outside world on one machine: `DynamoDB` with Streams, SQS FIFO and a transaction
//! service, on real ports, spoken to through the real AWS SDK. For the demo and the tests;
//! never part of a production image.
//!
//! | part | what it is |
//! |---|---|
//! | [`dynamodb`] | the crate `dynoxide-rs` on a database file, in a thread of its own |
//! | [`sqs_fifo`] | SQS FIFO, a crate of its own |
//! | [`transactions`] | the transaction service of `docs/transaction-service.yaml`, with faults |

pub mod dynamodb;
pub mod transactions;
mod world;

pub use world::{Local, LocalError, LocalOptions, Queues};
