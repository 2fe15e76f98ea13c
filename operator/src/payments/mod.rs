//! `dueflow payments`: schedule payments, look at them, withdraw them.
//!
//! | module | room |
//! |---|---|
//! | `show` | one payment |
//! | `upcoming` | those of an account in the days to come |
//! | `due` | those of a day in a status |
//! | `open` | those that have not ended, however old |
//! | `cancel` | withdrawing payments |
//! | `audit` | the whole table against the item contract |
//! | `options` | the options of these |
//! | `fields`, `output` | how payments and lists are printed |

mod audit;
mod cancel;
mod due;
mod fields;
mod open;
mod options;
mod output;
mod show;
mod upcoming;

pub(crate) use audit::audit;
pub use audit::{AUDIT_HELP, AuditOptions};
pub(crate) use cancel::cancel;
pub(crate) use due::due;
pub(crate) use fields::fields;
pub(crate) use open::{OPEN, open};
pub use options::{
    CANCEL_HELP, CancelOptions, DUE_HELP, Day, DueOptions, OPEN_HELP, OpenOptions, UPCOMING_HELP,
    UpcomingOptions,
};
pub(crate) use show::show;
pub(crate) use upcoming::upcoming;
