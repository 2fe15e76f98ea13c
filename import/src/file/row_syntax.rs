//! How the rows of a file are written.

/// How rows are written, and what separates them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowSyntax {
    /// CSV (RFC 4180): a row ends at a line end outside quotes. After a syntax error the bounds of
    /// all later rows are in doubt.
    #[default]
    Csv,
    /// CSV whose every line is one row, because the caller says so. A syntax error concerns its own
    /// row only.
    CsvLines,
    /// JSON lines: one object on each line.
    JsonLines,
}
