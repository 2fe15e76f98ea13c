//! The sweep for payments that are PENDING for too long: their message is lost, or the result
//! that was to come never came. The transaction service is asked what became of each.
//!
//! The sweep writes no status. What is settled or refused goes to the confirmer's own queue
//! like any other result, so that a process that dies here leaves nothing half done; what
//! nobody knows of goes back to the dispatcher, which decides whether it may be submitted.
//! Several confirmers may sweep at once: each result is then reported twice and written once. How
//! many messages they may leave in the queue is bounded over all of them (`requeue_limit`).
//!
//! | module | contents |
//! |---|---|
//! | `sweeper` | when a sweep comes, and over which days |
//! | `day_sweep` | one sweep, day by day in order |
//! | `memory` | what a sweep leaves for the next |
//! | `plan` | what a sweep decides: which payments are stuck, what follows from an answer |
//! | `requeue_limit` | which payments may be queued again |
//! | `outage_detector` | whether the transaction service is down, or only some payments have no answer |

mod day_sweep;
mod memory;
mod outage_detector;
mod plan;
mod requeue_limit;
#[cfg(test)]
pub(crate) mod simulation;
mod sweeper;

pub(crate) use day_sweep::SweepPorts;
pub(crate) use sweeper::Sweeper;
