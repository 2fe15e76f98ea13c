//! `dueflow archive`: run, find and verify.
//!
//! | module | holds |
//! |---|---|
//! | `command`, `options` | the commands and their options |
//! | `progress` | a bar on a terminal, lines elsewhere |
//! | `run` | the command around them |
//! | `find` | archived payments by transaction, account or day |
//! | `compare`, `verify` | each payment of a day in exactly one table |

mod command;
mod compare;
mod find;
mod options;
mod progress;
mod run;
mod units;
mod verify;

pub use command::ArchiveCommand;
pub(crate) use compare::compare_day_with;
pub use compare::{DayComparison, Finding, FoundIn, compare_day};
pub(crate) use units::units;
