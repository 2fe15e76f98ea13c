//! Reading a file of payments row by row, CSV or JSON lines.

use std::io::{self, BufRead};

use super::csv::CsvParser;
use super::grammar::{SyntaxError, is_blank};
use super::json;
use super::row::Row;
use super::row_reader::{MAX_ROW, RowEnd, RowReader, RowSpan, SyntaxErrorAt};
use super::row_syntax::RowSyntax;
use super::trailer::ControlTotals;
use crate::error::ImportError;

/// A row, or the trailer.
#[derive(Debug)]
pub(crate) enum FileRecord {
    /// A row, or why it cannot be read.
    Row(Result<Row, String>),
    /// The control totals.
    Trailer(ControlTotals),
}

/// The rows of a file.
#[derive(Debug)]
pub(crate) struct RecordReader<R> {
    reader: RowReader<R>,
    syntax: RowSyntax,
    /// `None` for JSON lines.
    csv: Option<CsvParser>,
    header: Vec<u8>,
    trailer: Option<u64>,
    /// Blank rows so far.
    blank: u64,
}

impl<R: BufRead> RecordReader<R> {
    /// Reads the header of a CSV file. [`ImportError::InvalidFile`] says what is wrong with it.
    pub(crate) fn open(reader: R, syntax: RowSyntax) -> Result<Self, ImportError> {
        let mut reader = RowReader::new(reader, syntax);
        reader
            .skip_mark()
            .map_err(reading)?
            .map_err(|other| ImportError::InvalidFile(other.to_string()))?;
        let (header, trailer, blank) = (Vec::new(), None, 0);
        let mut rows = Self { reader, syntax, csv: None, header, trailer, blank };
        match syntax {
            RowSyntax::JsonLines => {}
            RowSyntax::Csv | RowSyntax::CsvLines => {
                let empty = || ImportError::InvalidFile("the file is empty".to_owned());
                let span = rows.next_span()?.ok_or_else(empty)?;
                if let Some(found) = span.error {
                    return Err(ImportError::InvalidFile(format!(
                        "the header {}",
                        syntax_error(found)
                    )));
                }
                rows.check_end(span)?;
                if !span.whole() {
                    return Err(ImportError::InvalidFile(too_long(span)));
                }
                rows.header = rows.reader.bytes().to_vec();
                rows.csv = Some(CsvParser::new(&rows.header).map_err(ImportError::InvalidFile)?);
            }
        }
        Ok(rows)
    }

    /// The next row that is not blank. [`ImportError::InvalidFile`] when the file is cut, goes on after its trailer, or the
    /// bounds of its rows are in doubt.
    pub(crate) fn next(&mut self) -> Result<Option<(RowSpan, FileRecord)>, ImportError> {
        let Some(span) = self.next_span()? else { return Ok(None) };
        let wrong = |reason| Err(ImportError::InvalidFile(format!("line {}: {reason}", span.line)));
        if let Some(trailer) = self.trailer {
            return wrong(format!("a row after the trailer on line {trailer}"));
        }
        match (self.syntax_error_in(span), self.syntax) {
            (Some(found), RowSyntax::Csv) => {
                return Err(ImportError::InvalidFile(bounds_in_doubt(span, found)));
            }
            (Some(found), RowSyntax::CsvLines | RowSyntax::JsonLines) => {
                self.check_end(span)?;
                return Ok(Some((span, FileRecord::Row(Err(syntax_error(found))))));
            }
            (None, _) => self.check_end(span)?,
        }
        if !span.whole() {
            return Ok(Some((span, FileRecord::Row(Err(too_long(span))))));
        }
        let raw = self.reader.bytes();
        let trailer = match &mut self.csv {
            Some(csv) => csv.trailer(raw),
            None => json::trailer(raw),
        };
        if let Some(stated) = trailer {
            self.trailer = Some(span.line);
            return match stated {
                Ok(stated) => Ok(Some((span, FileRecord::Trailer(stated)))),
                Err(reason) => wrong(format!("the trailer: {reason}")),
            };
        }
        let row = match &mut self.csv {
            Some(csv) => csv.row(raw),
            None => json::row(raw),
        };
        Ok(Some((span, FileRecord::Row(row))))
    }

    /// The row that was read last, as written without its line end.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.reader.bytes()
    }

    /// The header as written; empty for JSON lines.
    pub(crate) fn header(&self) -> &[u8] {
        &self.header
    }

    /// Blank rows so far.
    pub(crate) fn blank(&self) -> u64 {
        self.blank
    }

    /// Bytes of the file that were read.
    pub(crate) fn offset(&self) -> u64 {
        self.reader.offset()
    }

    /// The reader that it reads from.
    pub(crate) fn into_reader(self) -> R {
        self.reader.into_reader()
    }

    fn next_span(&mut self) -> Result<Option<RowSpan>, ImportError> {
        loop {
            let span = self.reader.next().map_err(reading)?;
            let blank = match self.syntax {
                RowSyntax::Csv | RowSyntax::CsvLines => is_blank(self.reader.bytes()),
                RowSyntax::JsonLines => self.reader.bytes().trim_ascii().is_empty(),
            };
            // A blank row without a line end is the end of the file.
            match span {
                Some(RowSpan { error: None, end: RowEnd::Line | RowEnd::File, .. })
                    if blank && span.is_some_and(|span| span.whole()) =>
                {
                    self.blank += 1;
                }
                Some(_) | None => return Ok(span),
            }
        }
    }

    fn syntax_error_in(&self, span: RowSpan) -> Option<SyntaxErrorAt> {
        let inside = || {
            let csv =
                self.csv.as_ref().filter(|_| self.syntax == RowSyntax::Csv && span.whole())?;
            let error = SyntaxError::RowInField;
            csv.holds_row(self.reader.bytes()).then_some(SyntaxErrorAt {
                error,
                line: span.line,
                byte: 1,
            })
        };
        span.error.or_else(inside)
    }

    /// Checks the last row for a cut file. A CSV row without a line end may be cut, and a cut amount
    /// is another amount; a JSON object is whole when it is closed.
    fn check_end(&self, span: RowSpan) -> Result<(), ImportError> {
        let problem = match (span.end, self.syntax) {
            (RowEnd::Line, _) => return Ok(()),
            (RowEnd::FileInQuotes, _) => {
                "the file ends within a quoted field of this row: it is cut, or a quote is missing"
            }
            (RowEnd::File, RowSyntax::Csv | RowSyntax::CsvLines) => {
                "the last row has no line end, so the file may be cut; if it is whole, end it with one"
            }
            (RowEnd::File, RowSyntax::JsonLines) => {
                let cut = std::str::from_utf8(self.reader.bytes()).map(|text| {
                    serde_json::from_str::<serde::de::IgnoredAny>(text)
                        .is_err_and(|error| error.is_eof())
                });
                // An error length of none: it ends within a character.
                if !cut.unwrap_or_else(|error| error.error_len().is_none()) {
                    return Ok(());
                }
                "the file ends in the middle of this row: it is cut"
            }
        };
        Err(ImportError::InvalidFile(format!("line {}: {problem}", span.line)))
    }
}

fn reading(source: io::Error) -> ImportError {
    ImportError::Io { what: "reading the file".to_owned(), source }
}

/// A syntax error as the reason why its row is rejected.
fn syntax_error(found: SyntaxErrorAt) -> String {
    let SyntaxErrorAt { error, line, byte } = found;
    format!("is no row of RFC 4180: {error} (line {line}, byte {byte})")
}

/// A syntax error as the reason why the whole file is rejected.
fn bounds_in_doubt(span: RowSpan, found: SyntaxErrorAt) -> String {
    let SyntaxErrorAt { error, line, byte } = found;
    let begins = if line == span.line {
        String::new()
    } else {
        format!(", in the row that begins on line {}", span.line)
    };
    format!(
        "line {line}, byte {byte}{begins}: {error}. It is uncertain where this row ends and the next \
         begins, so nothing was written. Have the file written anew; or, if every line is one row, \
         give --trust-lines: then each line is judged by itself"
    )
}

fn too_long(span: RowSpan) -> String {
    format!(
        "has {} bytes, from byte {} of the file on; at most {MAX_ROW} are read",
        span.length, span.offset
    )
}
