//! The payments table: conditional writes that are the only way a payment changes.

mod capacity;
mod due;
mod error;
mod item;
mod statement;
mod table;

pub use capacity::Units;
pub use due::DUE_PAGE;
pub use error::{ChangeError, PaymentsError};
pub use item::{Attributes, ItemError, StoredPayment, attribute, payment_from};
pub use statement::Change;
pub use table::{Applied, Cursor, Inserted, PaymentsTable};
