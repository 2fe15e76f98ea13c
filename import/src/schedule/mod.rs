//! The second pass: payments are scheduled, rejected rows and the checkpoint are written.

mod checkpoint;
mod pass;
mod registry;
mod rejected_rows;
mod row_batch;
mod row_results;
mod tables;
mod validated_file;
mod writers;

#[cfg(test)]
pub(crate) use checkpoint::RowCounts;
pub use row_results::RowRejection;
pub(crate) use row_results::RowResults;
pub use tables::ImportTables;
pub(crate) use validated_file::ValidatedFile;
