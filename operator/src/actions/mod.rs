//! The action log: who has changed what by hand, when and why. Append-only, in the table
//! `<prefix>-actions`.
//!
//! | module | holds |
//! |---|---|
//! | `caller` | who runs the command |
//! | `entry` | what is written down |
//! | `table` | where |
//! | `run` | the entries of one command: its beginning, its payments, its end |
//! | `log` | the command `dlq log` |

mod caller;
mod entry;
mod log;
mod run;
mod table;

pub(crate) use entry::ActionOnPayment;
pub use log::ActionLogOptions;
pub(crate) use log::{ACTION_LOG_HELP, print_log};
#[cfg(test)]
pub(crate) use run::testing;
pub(crate) use run::{ActionRun, Intent};
