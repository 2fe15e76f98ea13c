//! `dueflow dlq`: looks at dead letters, sends their payments again, gives them up.
//!
//! | module | what it holds |
//! |---|---|
//! | `command`, `options` | the commands; their options and settings |
//! | `dead_letter` | a message of the queue, read |
//! | `filter`, `names`, `selection` | which dead letters are meant: pure |
//! | `reader` | windows over the queue for several receivers; giving back what stays |
//! | `reading` | looking at all of them without changing anything |
//! | `list`, `grouping` | the command `dlq list`; how many say the same |
//! | `show`, `export` | the commands `dlq show` and `dlq export` |
//! | `plan`, `versions` | what a replay does with a payment: pure |
//! | `discard_plan`, `discard_grounds` | what a discard does with it, and why: pure |
//! | `work` | what a plan writes and sends: pure |
//! | `candidate` | a payment on its way through a replay or a discard |
//! | `replayer` | reads, asks, writes and sends, a window at a time |
//! | `replay`, `discard`, `report` | the commands `dlq replay` and `dlq discard`, and what they print |

mod candidate;
mod command;
mod dead_letter;
mod discard;
mod discard_grounds;
mod discard_plan;
mod export;
mod filter;
mod grouping;
mod list;
mod names;
mod options;
mod plan;
mod reader;
mod reading;
mod replay;
mod replayer;
mod report;
mod selection;
mod show;
mod versions;
mod work;

pub use command::DlqCommand;
pub(crate) use list::{DeadLetterPayments, dead_letter_payments};
