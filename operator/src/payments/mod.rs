//! `dueflow payments`: schedule payments, look at them, withdraw them.
//!
//! | module | holds |
//! |---|---|
//! | `import` | scheduling the payments of a file |
//! | `show` | one payment |
//! | `upcoming` | those of an account in the days to come |
//! | `due` | those of a day in a status |
//! | `open` | those that have not ended, however old |
//! | `cancel` | withdrawing payments |
//! | `audit` | the whole table against the item contract |
//! | `command`, `options` | the commands and their options |
//! | `fields`, `output` | how payments and lists are printed |

mod audit;
mod cancel;
mod command;
mod due;
mod fields;
mod import;
mod open;
mod options;
mod output;
mod show;
mod upcoming;

pub use command::PaymentsCommand;
pub(crate) use fields::fields;
pub(crate) use open::OPEN;
pub use options::DayArgument;
pub(crate) use show::{for_people, says, transaction_if_set};
