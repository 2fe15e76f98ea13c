//! Reading a file of payments: the same bytes in both passes, cut into rows in bounded memory.

mod csv;
mod encoding;
mod grammar;
mod json;
mod record_reader;
mod row;
mod row_reader;
mod row_syntax;
mod source;
mod trailer;

#[cfg(test)]
pub(crate) use self::csv::CsvParser;
#[cfg(test)]
pub(crate) use self::grammar::SyntaxError;
pub(crate) use self::record_reader::{FileRecord, RecordReader};
pub(crate) use self::row::{Column, Row};
pub(crate) use self::row_reader::RowSpan;
#[cfg(test)]
pub(crate) use self::row_reader::{RowEnd, RowReader};
pub use self::row_syntax::RowSyntax;
pub use self::source::SourceFile;
pub(crate) use self::source::{SourceReader, changed, sha256};
pub(crate) use self::trailer::ControlTotals;
pub use self::trailer::ExpectedSum;
