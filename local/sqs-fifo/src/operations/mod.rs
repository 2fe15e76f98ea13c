//! Each operation of SQS: from its request to its answer.

mod batch;
pub(super) mod moves;
mod page;
pub(super) mod queues;
pub(super) mod receipts;
pub(super) mod receive;
pub(super) mod send;
mod shown;
pub(super) mod tags;
