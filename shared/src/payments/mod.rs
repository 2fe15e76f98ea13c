//! The payments table: conditional writes that are the only way a payment changes.

mod blobs;
mod capacity;
mod due;
mod due_day;
mod error;
mod insert;
mod item;
mod size;
mod statement;
mod store;
mod table;

pub use blobs::BlobError;
pub use capacity::Units;
pub use due::{DUE_PAGE, DuePayments, DueTable};
pub use due_day::DueDay;
pub use error::{ChangeError, PaymentsError};
pub use insert::Inserted;
pub use item::{Attributes, ItemError, StoredPayment, attribute, is_blob, payment_from};
pub use size::{TooLarge, check_size};
pub use statement::{Change, FirstClaim};
pub use store::{Applied, PaymentStore, met};
pub use table::{Cursor, PaymentsTable};
