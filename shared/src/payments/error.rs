//! What can go wrong between a service and the payments table.

use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::operation::batch_execute_statement::BatchExecuteStatementError;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemError;
use aws_sdk_dynamodb::operation::get_item::GetItemError;
use aws_sdk_dynamodb::operation::query::QueryError;
use aws_sdk_dynamodb::operation::scan::ScanError;

use super::cursor::CursorError;
use super::item::ItemError;
use super::new_item::TooLarge;
use super::stored_payment::StoredPayment;
use domain::PaymentRef;

/// A call that failed as a whole: nothing is known of any of its payments.
#[derive(Debug, thiserror::Error)]
pub enum PaymentsError {
    /// The batch of statements.
    #[error("writing payments: {}", DisplayErrorContext(.0))]
    Write(Box<SdkError<BatchExecuteStatementError>>),
    /// The answer did not hold one result per statement.
    #[error("writing payments: {expected} statements were sent and {got} results came back")]
    ResultCount {
        /// Statements sent.
        expected: usize,
        /// Results received.
        got: usize,
    },
    /// One statement kept failing.
    #[error("writing a payment: {0}")]
    Statement(#[source] ChangeError),
    /// One payment.
    #[error("reading a payment: {}", DisplayErrorContext(.0))]
    Read(Box<SdkError<GetItemError>>),
    /// Many payments by reference.
    #[error("reading payments: {}", DisplayErrorContext(.0))]
    ReadMany(Box<SdkError<BatchGetItemError>>),
    /// Many payments by reference: the database kept leaving some of them out.
    #[error("reading payments: {0} of them were not read, after all retries")]
    Unread(usize),
    /// Many payments by reference: the answer held no list of items.
    #[error("reading payments: the answer holds no items")]
    NoItems,
    /// A page of the index `due`.
    #[error("reading the index of due payments: {}", DisplayErrorContext(.0))]
    Due(Box<SdkError<QueryError>>),
    /// A page of the index `due`: the task that read it panicked.
    #[error("reading the index of due payments: {0}")]
    DueTask(#[source] tokio::task::JoinError),
    /// A page of an account's payments.
    #[error("reading an account's payments: {}", DisplayErrorContext(.0))]
    Account(Box<SdkError<QueryError>>),
    /// A cursor that does not fit the query.
    #[error("the cursor {0}")]
    Cursor(#[from] CursorError),
    /// A page of the table.
    #[error("scanning payments: {}", DisplayErrorContext(.0))]
    Scan(Box<SdkError<ScanError>>),
    /// A payment that cannot be inserted.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A payment to be inserted has only the digest of its blob.
    #[error("the blob of the new payment {0} is not at hand")]
    BlobNotAtHand(PaymentRef),
    /// An item that is no payment.
    #[error("an item of the payments table is no payment: {0}")]
    Item(#[from] ItemError),
}

/// Why one change was not made. The first four are ordinary: somebody was there before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The payment is in another status than the change needs.
    #[error("the payment is {}", .0.status)]
    InStatus(Box<StoredPayment>),
    /// The table holds another instruction than the message: this one.
    #[error("the table holds another amount, currency, beneficiary or blob than the message")]
    Mismatch(Box<StoredPayment>),
    /// The table holds no such payment.
    #[error("the table holds no such payment")]
    Missing,
    /// The item is there but is no payment.
    #[error("the item is no payment: {0}")]
    Item(ItemError),
    /// The database refused or could not serve the statement; it may be tried again.
    #[error("the database answered {code}: {message}")]
    Database {
        /// The statement's error code.
        code: String,
        /// The database's words.
        message: String,
    },
}

/// Why a blob is not at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// There is no such item, or no blob in it.
    #[error("the table holds no blob of the payment")]
    Missing,
    /// There is another blob.
    #[error("the blob of the payment is not the one whose digest the payment has")]
    Differs,
    /// The database kept leaving it out; it may be read later.
    #[error("the blob of the payment was not read, after all retries")]
    Unread,
}
