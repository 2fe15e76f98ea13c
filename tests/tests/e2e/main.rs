//! The whole flow with real processes, real protocols and real crashes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod archive;
mod asynchronous;
mod commands;
mod crashes;
mod day;
mod dispatch_stop;
mod dlq;
mod dlq_discard;
mod egress;
mod failures;
mod flow;
mod happy;
mod hostile;
mod import_batches;
mod imports;
mod large;
mod lifecycle;
mod metrics;
mod outage;
mod payments;
mod preflight;
mod queues;
mod reconcile;
mod relays;
mod sight;
mod slow;
mod stuck;
mod undecided;
