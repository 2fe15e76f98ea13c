//! What can go wrong between a command and the archive.

use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::operation::query::QueryError;
use aws_sdk_dynamodb::operation::scan::ScanError;

use super::super::error::PaymentsError;

/// A call that failed as a whole. Whatever was under way, running it again is safe.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Of the payments table.
    #[error("the payments table: {0}")]
    Payments(#[source] PaymentsError),
    /// Of the archive.
    #[error("the archive: {0}")]
    Archive(#[source] PaymentsError),
    /// A page of an index, or of an account's payments.
    #[error("looking payments up: {}", DisplayErrorContext(.0))]
    Query(Box<SdkError<QueryError>>),
    /// A page of a table that is read whole.
    #[error("reading a table: {}", DisplayErrorContext(.0))]
    Scan(Box<SdkError<ScanError>>),
}
