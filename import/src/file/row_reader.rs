//! Splits a file into rows. A long row does not make its memory grow.

use std::io::{self, BufRead};

use super::encoding::Encoding;
use super::grammar::{Grammar, GrammarStep, SyntaxError, first_error};
use super::row_syntax::RowSyntax;

/// Longest row in bytes that is read whole. A payment has at most 8 KB, so even one whose blob is
/// escaped throughout as `\u00e9` fits.
pub(crate) const MAX_ROW: usize = 64 * 1024;

/// A syntax error and its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyntaxErrorAt {
    pub(crate) error: SyntaxError,
    /// Its line in the file, counted from 1.
    pub(crate) line: u64,
    /// Its byte in that line, counted from 1.
    pub(crate) byte: u64,
}

/// How a row ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowEnd {
    /// With a line end.
    Line,
    /// With the end of the file.
    File,
    /// With the end of the file within a quoted field.
    FileInQuotes,
}

/// Where one row stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowSpan {
    /// The line it begins on, counted from 1.
    pub(crate) line: u64,
    /// Its first byte's place in the file, counted from 0.
    pub(crate) offset: u64,
    /// Its bytes without the line end.
    pub(crate) length: u64,
    pub(crate) end: RowEnd,
    /// Its first syntax error.
    pub(crate) error: Option<SyntaxErrorAt>,
}

impl RowSpan {
    /// Whether the row is held as a whole.
    pub(crate) fn whole(&self) -> bool {
        self.length <= MAX_ROW as u64
    }
}

/// Splits a file into rows. A quoted field of CSV may hold line ends, so a quote that is never
/// closed takes everything after it: nothing in a field is ever taken for a row.
#[derive(Debug)]
pub(crate) struct RowReader<R> {
    reader: R,
    syntax: RowSyntax,
    line: u64,
    offset: u64,
    /// Where the line that is read begins.
    line_start: u64,
    row: Vec<u8>,
}

impl<R: BufRead> RowReader<R> {
    pub(crate) fn new(reader: R, syntax: RowSyntax) -> Self {
        Self { reader, syntax, line: 1, offset: 0, line_start: 0, row: Vec::new() }
    }

    /// Skips a byte order mark of UTF-8. The error is another encoding of the file.
    pub(crate) fn skip_mark(&mut self) -> io::Result<Result<(), Encoding>> {
        let start = self.reader.fill_buf()?;
        if start.starts_with(b"\xef\xbb\xbf") {
            self.reader.consume(3);
            self.offset += 3;
            self.line_start += 3;
            return Ok(Ok(()));
        }
        Ok(Encoding::of(start).map_or(Ok(()), Err))
    }

    /// The next row, or `None` at the end of the file. Empty rows come too.
    pub(crate) fn next(&mut self) -> io::Result<Option<RowSpan>> {
        self.row.clear();
        let (line, offset) = (self.line, self.offset);
        let mut grammar = Grammar::new();
        let mut error = None;
        let end = loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                if self.offset == offset {
                    return Ok(None);
                }
                break if grammar.is_quoted() { RowEnd::FileInQuotes } else { RowEnd::File };
            }
            let ChunkPart { used, ended, error: met } = match self.syntax {
                RowSyntax::Csv => csv_row(&mut grammar, chunk),
                RowSyntax::CsvLines | RowSyntax::JsonLines => line_of(chunk),
            };
            if let (None, Some((at, met))) = (error, met) {
                let before = &chunk[..at];
                let byte = self.offset + at as u64 + 1
                    - line_start(before, self.offset).unwrap_or(self.line_start);
                error =
                    Some(SyntaxErrorAt { error: met, line: self.line + count_lines(before), byte });
            }
            let room = (MAX_ROW + b"\r\n".len()).saturating_sub(self.row.len());
            self.row.extend_from_slice(&chunk[..used.min(room)]);
            self.line += count_lines(&chunk[..used]);
            self.line_start = line_start(&chunk[..used], self.offset).unwrap_or(self.line_start);
            self.offset += used as u64;
            self.reader.consume(used);
            if ended {
                break RowEnd::Line;
            }
        };
        if self.syntax == RowSyntax::Csv && end == RowEnd::File {
            let byte = self.offset - self.line_start;
            let at_end = grammar.at_end();
            error = error.or(at_end.map(|error| SyntaxErrorAt { error, line: self.line, byte }));
        }
        let lines = self.line - line - u64::from(end == RowEnd::Line);
        let length = self.without_line_end(self.offset - offset, end);
        self.row.truncate(MAX_ROW);
        let span = RowSpan { line, offset, length, end, error };
        Ok(Some(self.with_row_errors(span, lines)))
    }

    /// Takes the line end off the row; how long it is without.
    fn without_line_end(&mut self, mut length: u64, end: RowEnd) -> u64 {
        if end == RowEnd::Line {
            length -= 1;
            self.row.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            if self.row.len() as u64 == length && self.row.last() == Some(&b'\r') {
                self.row.pop();
                length -= 1;
            }
        }
        length
    }

    /// Adds the errors that only a whole row shows; `lines` are the line ends within it.
    fn with_row_errors(&self, mut span: RowSpan, lines: u64) -> RowSpan {
        let first = |error| Some(SyntaxErrorAt { error, line: span.line, byte: 1 });
        match self.syntax {
            RowSyntax::Csv if span.error.is_none() && lines > 0 && !span.whole() => {
                span.error = first(SyntaxError::LongAcrossLines);
            }
            RowSyntax::CsvLines if span.whole() => {
                span.error = first_error(&self.row).map(|(at, error)| SyntaxErrorAt {
                    error,
                    line: span.line,
                    byte: at as u64 + 1,
                });
            }
            RowSyntax::Csv | RowSyntax::CsvLines | RowSyntax::JsonLines => {}
        }
        span
    }

    /// The row that was read last, as written without its line end; cut off after [`MAX_ROW`] bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.row
    }

    /// The first byte that was not read yet.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The reader that it reads from.
    pub(crate) fn into_reader(self) -> R {
        self.reader
    }
}

/// The part of a row that a chunk of the file holds.
struct ChunkPart {
    /// Its bytes, with the line end.
    used: usize,
    /// Whether the row ends with them.
    ended: bool,
    /// The first error, and at which byte of the chunk.
    error: Option<(usize, SyntaxError)>,
}

fn csv_row(grammar: &mut Grammar, chunk: &[u8]) -> ChunkPart {
    let mut error = None;
    for (at, &byte) in chunk.iter().enumerate() {
        match grammar.step(byte) {
            GrammarStep::On => {}
            GrammarStep::End => return ChunkPart { used: at + 1, ended: true, error },
            GrammarStep::Error(met) => error = error.or(Some((at, met))),
        }
    }
    ChunkPart { used: chunk.len(), ended: false, error }
}

fn line_of(chunk: &[u8]) -> ChunkPart {
    match chunk.iter().position(|byte| *byte == b'\n') {
        Some(at) => ChunkPart { used: at + 1, ended: true, error: None },
        None => ChunkPart { used: chunk.len(), ended: false, error: None },
    }
}

/// Where in the file the last line that begins in `bytes` starts; `bytes` start at `offset`.
fn line_start(bytes: &[u8], offset: u64) -> Option<u64> {
    let last = bytes.iter().rposition(|byte| *byte == b'\n')?;
    Some(offset + last as u64 + 1)
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Line, text and end of each row, read through a buffer of `buffer` bytes.
    fn rows(text: &str, syntax: RowSyntax, buffer: usize) -> Vec<(u64, String, RowEnd)> {
        let mut lines = RowReader::new(BufReader::with_capacity(buffer, text.as_bytes()), syntax);
        let mut rows = Vec::new();
        while let Some(row) = lines.next().unwrap() {
            let text = String::from_utf8(lines.bytes().to_vec()).unwrap();
            rows.push((row.line, text, row.end));
        }
        rows
    }

    #[test]
    fn a_quoted_field_may_hold_line_ends_and_quotes_however_the_file_is_buffered() {
        let text = "a,\"b\r\nc \"\"d\"\"\",e\r\n\r\nxy,z\n\"last\n";
        for buffer in 1..text.len() + 1 {
            let expected = [
                (1, "a,\"b\r\nc \"\"d\"\"\",e", RowEnd::Line),
                (3, "", RowEnd::Line),
                (4, "xy,z", RowEnd::Line),
                (5, "\"last\n", RowEnd::FileInQuotes),
            ];
            let expected = expected.map(|(line, row, end)| (line, row.to_owned(), end));
            assert_eq!(rows(text, RowSyntax::Csv, buffer), expected, "with {buffer} bytes");
        }
    }

    #[test]
    fn a_line_of_json_ends_with_its_line_whatever_quotes_it_holds() {
        let expected = [(1, "{\"a", RowEnd::Line), (2, "b\"}", RowEnd::File)];
        let expected = expected.map(|(line, row, end)| (line, row.to_owned(), end));
        assert_eq!(rows("{\"a\nb\"}", RowSyntax::JsonLines, 4), expected);
    }

    #[test]
    fn a_row_that_is_too_long_is_passed_over_and_takes_no_memory() {
        let text = format!("first\n{}\nlast\n", "x".repeat(50 * MAX_ROW));
        for syntax in [RowSyntax::Csv, RowSyntax::CsvLines, RowSyntax::JsonLines] {
            let mut lines = RowReader::new(BufReader::new(text.as_bytes()), syntax);
            lines.next().unwrap().unwrap();
            assert_eq!(lines.bytes(), b"first");
            let long = lines.next().unwrap().unwrap();
            assert_eq!((long.whole(), long.length), (false, 50 * MAX_ROW as u64));
            let last = lines.next().unwrap().unwrap();
            assert_eq!((last.line, lines.bytes(), last.whole()), (3, &b"last"[..], true));
            assert_eq!(lines.next().unwrap(), None);
            assert!(lines.row.capacity() < 3 * MAX_ROW, "{}", lines.row.capacity());
        }
    }

    #[test]
    fn the_longest_row_is_read_whole_with_either_line_end() {
        for (end, length) in [("\n", MAX_ROW), ("\r\n", MAX_ROW), ("\n", MAX_ROW + 1)] {
            let text = format!("{}{end}", "x".repeat(length));
            let mut lines = RowReader::new(BufReader::new(text.as_bytes()), RowSyntax::Csv);
            let row = lines.next().unwrap().unwrap();
            assert_eq!((row.length, row.whole()), (length as u64, length <= MAX_ROW));
            assert_eq!(lines.bytes().len(), length.min(MAX_ROW));
        }
    }

    #[test]
    fn a_fault_is_found_at_its_line_and_byte_however_the_file_is_buffered() {
        let text = "a,b\n\"c\nd\"\"\ne,\"f\",g\"h\nlast\n";
        for buffer in 1..text.len() + 1 {
            let reader = BufReader::with_capacity(buffer, text.as_bytes());
            let mut lines = RowReader::new(reader, RowSyntax::Csv);
            assert_eq!(lines.next().unwrap().unwrap().error, None);
            let error = lines.next().unwrap().unwrap().error;
            let expected = SyntaxErrorAt { error: SyntaxError::AfterQuote, line: 4, byte: 4 };
            assert_eq!(error, Some(expected), "with {buffer} bytes");
        }
        // Where every line is a row, the error is its own line's.
        let mut lines = RowReader::new(text.as_bytes(), RowSyntax::CsvLines);
        let mut errors = Vec::new();
        while let Some(span) = lines.next().unwrap() {
            errors.push(span.error.map(|found| (found.error, found.line, found.byte)));
        }
        let open = Some((SyntaxError::Open, 2, 3));
        let bare = |line, byte| Some((SyntaxError::BareQuote, line, byte));
        assert_eq!(errors, [None, open, bare(3, 2), bare(4, 8), None]);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_and_another_encoding_noticed() {
        let mut marked = RowReader::new(&b"\xef\xbb\xbfa\n"[..], RowSyntax::Csv);
        assert_eq!(marked.skip_mark().unwrap(), Ok(()));
        assert_eq!(marked.next().unwrap().unwrap().offset, 3);
        assert_eq!(marked.bytes(), b"a");
        for (start, encoding) in [
            (&b"\xff\xfeA\0c\0"[..], "UTF-16LE"),
            (b"\xfe\xff\0A\0c", "UTF-16BE"),
            (b"A\0c\0c\0", "UTF-16LE"),
            (b"\0A\0c\0c", "UTF-16BE"),
            (b"{\0\"\0", "UTF-16LE"),
            (b"\xff\xfe\0\0A\0\0\0", "UTF-32LE"),
            (b"\0\0\xfe\xff\0\0\0A", "UTF-32BE"),
            (b"A\0\0\0c\0\0\0", "UTF-32LE"),
            (b"\0\0\0A\0\0\0c", "UTF-32BE"),
        ] {
            let found = RowReader::new(start, RowSyntax::Csv).skip_mark().unwrap();
            assert_eq!(found.map_err(|encoding| encoding.name()), Err(encoding), "{start:?}");
        }
        for start in [&b"Acc"[..], b"", b"A", b"A\n", b"\xc3\xa9", b"AB\0C"] {
            assert_eq!(
                RowReader::new(start, RowSyntax::Csv).skip_mark().unwrap(),
                Ok(()),
                "{start:?}"
            );
        }
    }
}
