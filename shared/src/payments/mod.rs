//! The payments table: conditional writes that are the only way a payment changes.

pub mod archive;
mod capacity;
mod due;
mod due_day;
mod error;
mod item;
mod statement;
mod store;
mod table;

pub use capacity::Units;
pub use due::{DUE_PAGE, DuePayments, DueTable};
pub use due_day::DueDay;
pub use error::{ChangeError, PaymentsError};
pub use item::{Attributes, ItemError, StoredPayment, attribute, payment_from};
pub use statement::{Change, FirstClaim};
pub use store::{Applied, PaymentStore, met};
pub use table::{Cursor, Inserted, PaymentsTable};
