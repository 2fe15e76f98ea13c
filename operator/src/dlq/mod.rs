//! `dueflow dlq`: lists dead letters, and sends their payments again.
//!
//! | module | what it holds |
//! |---|---|
//! | `command`, `options` | the commands; their options and settings |
//! | `dead_letter` | a message of the queue, read |
//! | `reader` | windows over the queue for several receivers; giving back what stays |
//! | `list` | the command `dlq list` |
//! | `plan`, `versions` | what a replay does with a payment: pure |
//! | `work` | what a plan writes and sends: pure |
//! | `candidate` | a payment on its way through a replay |
//! | `replayer` | reads, asks, writes and sends, a window at a time |
//! | `replay`, `report` | the command `dlq replay`, and what it prints |

mod candidate;
mod command;
mod dead_letter;
mod list;
mod options;
mod plan;
mod reader;
mod replay;
mod replayer;
mod report;
mod versions;
mod work;

pub use command::DlqCommand;
pub(crate) use list::{DeadLetterPayments, dead_letter_payments};
