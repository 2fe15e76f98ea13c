//! SQS FIFO as a pure state machine: no clock, no input or output, no waiting.
//!
//! Every call is given the time. Sending, receiving, deleting and expiry cost O(log n) at worst
//! and O(1) for nearly every message, whatever the backlog and the number of groups.
//!
//! Two engines with the same limits and seed give the same answers to the same calls: nothing in
//! an answer comes from the order of a hash map.

mod account;
mod arrivals;
mod attempts;
mod attributes;
mod deadlines;
mod deduplication;
mod digest;
mod error;
mod groups;
mod ids;
mod limits;
mod message;
mod move_task;
mod moves;
mod queue;
mod ready;
mod receipt;
mod receipts;
mod receive;
mod redrive;
mod registry;
mod send;
mod time;

#[cfg(test)]
mod tests;

pub use account::Engine;
pub use digest::Md5;
pub use error::SqsError;
pub use ids::SequenceNumber;
pub use limits::{BATCH, Limits};
pub use message::{Draft, Message, MessageAttributes};
pub use move_task::{MoveStatus, MoveTask};
pub use receipt::Receipt;
pub use receive::{Delivery, ReceiveRequest};
pub use send::Sent;
pub use time::Millis;
