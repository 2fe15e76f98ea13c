//! The whole flow with real processes, real protocols and real crashes.

mod commands;
mod crashes;
mod failures;
mod flow;
mod happy;
mod slow;
