//! The batch clock: one relay counts today's payments every minute and shows how the batch stands,
//! and how deep the queues are.

pub(crate) mod exporter;
mod position;
pub(crate) mod queues;
