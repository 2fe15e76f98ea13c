//! `dueflow archive`: run, find and verify.
//!
//! | module | room |
//! |---|---|
//! | `options` | arguments |
//! | `progress` | a bar on a terminal, lines elsewhere |
//! | `run` | the command around them |
//! | `find` | archived payments by transaction, account or day |
//! | `compare`, `verify` | each payment of a day in exactly one table |

mod compare;
mod find;
mod options;
mod progress;
mod run;
mod units;
mod verify;

pub use compare::{Books, Finding, Place, compare_day};
pub(crate) use find::find;
pub use options::{ArchiveCommand, ArchiveFindOptions, ArchiveRunOptions, ArchiveVerifyOptions};
pub(crate) use run::run;
pub(crate) use units::units;
pub(crate) use verify::verify;
