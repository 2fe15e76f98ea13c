//! `dueflow dlq`: look at the dead-letter queue, and send payments again.
//!
//! | module | room |
//! |---|---|
//! | `letter` | what a message of the queue says |
//! | `plan` | what a replay does with a payment: pure |
//! | `reader` | windows over the queue for several receivers, and putting back what stays |
//! | `list` | the command that only looks |
//! | `replay` | the command that acts |
//! | `replayer` | reads, asks, writes and sends for the replay, a window at a time |
//! | `report` | what the replay prints |

mod letter;
mod list;
mod plan;
mod reader;
mod replay;
mod replayer;
mod report;
mod versions;

pub use letter::Reason;
pub(crate) use list::list;
pub(crate) use replay::{ReplaySettings, replay};
pub use versions::Version;
