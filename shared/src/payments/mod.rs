//! The payments table: conditional writes that are the only way a payment changes.

pub mod archive;
pub mod audit;
mod blobs;
mod capacity;
mod change;
pub mod contract;
mod count;
mod cursor;
mod due;
mod due_day;
mod due_index;
mod due_scan;
mod error;
mod insert;
mod item;
mod open_days;
mod size;
mod statement;
mod store;
mod table;
mod upcoming;

pub use blobs::BlobError;
pub use capacity::Units;
pub use change::{Change, Decision, FirstClaim, RightVersion};
pub use cursor::CursorError;
pub use due::{DUE_PAGE, DuePayments, DueTable};
pub use due_day::DueDay;
pub use due_scan::{DueCursor, DuePage, DueScan};
pub use error::{ChangeError, PaymentsError};
pub use insert::Inserted;
pub use item::{
    Attributes, DeadLetters, ItemError, StoredPayment, attribute, is_blob, payment_from,
    reference_from,
};
pub use open_days::{OldDays, OpenPage};
pub use size::{TooLarge, check_size};
pub use store::{Applied, PaymentStore, met};
pub use table::{Cursor, PaymentsTable};
pub use upcoming::{UPCOMING_PAGE, Unreadable, UpcomingCursor, UpcomingPage};

#[cfg(test)]
pub(crate) use item::tests;
