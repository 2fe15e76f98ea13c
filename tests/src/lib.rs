//! The judges of the end to end tests. They stand outside the code under test: one reads
//! what is left of a run and proves that the money is right, one stands between the services
//! and the outside world and makes that world misbehave.
//!
//! | module | holds |
//! |---|---|
//! | [`history`] | the history checker |
//! | [`proxy`] | the fault proxy |
//! | [`chance`] | draws that a seed repeats |
//! | [`counters`] | waiting for a counter of a service |
//! | [`world`] | the outside world without services |

pub mod chance;
pub mod counters;
pub mod history;
pub mod proxy;
pub mod world;
