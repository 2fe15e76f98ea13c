//! From stream records to queue messages and dead letters.

pub(crate) mod dead_letter;
pub(crate) mod drain;
pub(crate) mod forwarder;
pub(crate) mod pacing;
pub(crate) mod partition;
pub(crate) mod progress;
pub(crate) mod queues;
pub(crate) mod record;
