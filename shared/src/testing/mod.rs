//! Sample payments, and doubles of the ports, for the tests of every crate (feature `testing`).
//!
//! | double | stands for |
//! |---|---|
//! | [`PaymentsInMemory`] | the payments table, its index `due`, or the archive |
//! | [`QueueInMemory`] | one queue |
//!
//! Each passes the conformance suite of its port together with the real thing
//! (`tests/tests/conformance`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod call_fault;
mod change_in_memory;
mod fifo;
mod payments;
mod payments_in_memory;
mod queue_in_memory;

pub use call_fault::CallFault;
pub use payments::{longest_payment, sample_payment, scheduled};
pub use payments_in_memory::{PaymentsCall, PaymentsInMemory};
pub use queue_in_memory::{QueueCall, QueueInMemory};
