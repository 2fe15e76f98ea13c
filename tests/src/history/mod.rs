//! The history checker: from what a run left behind it proves that the money is right. It
//! reads the transaction service's journal, the table, the table's stream, the dead-letter
//! queue and the payments queue, and shares no code with the services but their data types
//! and the function `transition`, which it holds them to.
//!
//! | file | idea |
//! |---|---|
//! | `evidence` | what is known of a run: plain data |
//! | `read` | reading it, without loss |
//! | `queues` | reading a FIFO queue whole and putting everything back |
//! | `stream` | reading a stream from its beginning |
//! | `check` | the proofs: pure |
//! | `life` | the changes of one payment: pure |
//! | `outside` | what comes from outside: other writers, answers, clocks: pure |
//! | `order` | the order within an account: pure |
//! | `findings` | what was found wrong, and how it is shown |

mod check;
mod evidence;
mod findings;
mod life;
mod order;
mod outside;
#[cfg(test)]
mod outside_tests;
mod queues;
mod read;
mod stream;
#[cfg(test)]
mod tests;

pub use check::{Expect, check};
pub use evidence::{Change, DeadLetterEvidence, Evidence, Settled};
pub use findings::{Balance, Findings, Violation};
pub use queues::{Depth, Queues};
pub use read::read;
pub use stream::read_stream;
