//! Sample payments for the tests of every crate (feature `testing`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod payments;

pub use payments::{longest_payment, sample_payment};
