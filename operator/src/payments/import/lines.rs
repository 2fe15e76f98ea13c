//! Cutting a file into rows, in memory that a long row cannot make grow.

use std::io::{self, BufRead};

use super::options::Format;

/// Longest row in bytes that is looked at. A payment has at most 8 KB, so even one whose blob is
/// escaped throughout as `\u00e9` fits.
pub(super) const MAX_ROW: usize = 64 * 1024;

/// How a row ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With a line end.
    Line,
    /// With the end of the file.
    File,
    /// With the end of the file within a quoted field.
    FileInQuotes,
}

/// Where one row stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// The line it begins on, counted from 1.
    pub(super) line: u64,
    /// Its first byte's place in the file, counted from 0.
    pub(super) offset: u64,
    /// Its bytes without the line end.
    pub(super) length: u64,
    pub(super) end: End,
}

impl Span {
    /// Whether all of it was kept.
    pub(super) fn whole(&self) -> bool {
        self.length <= MAX_ROW as u64
    }
}

/// Where in a CSV row the last byte stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote within a quoted field: its end, or the first half of an escaped quote.
    QuoteInQuoted,
}

impl Place {
    /// As `csv-core` reads it: a quote opens a field only as its first byte.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::QuoteInQuoted,
            (Self::Quoted, _) | (Self::FieldStart | Self::QuoteInQuoted, b'"') => Self::Quoted,
            (Self::FieldStart | Self::Plain | Self::QuoteInQuoted, b',') => Self::FieldStart,
            (Self::FieldStart | Self::Plain | Self::QuoteInQuoted, _) => Self::Plain,
        }
    }
}

/// Cuts a file into rows. A quoted field of a CSV file may hold line ends, so a quote that is
/// never closed takes everything behind it: nothing in a field is ever taken for a row.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    format: Format,
    line: u64,
    offset: u64,
    row: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, format: Format) -> Self {
        Self { reader, format, line: 1, offset: 0, row: Vec::new() }
    }

    /// Passes over a byte order mark of UTF-8 at the file's beginning; false if there is one of
    /// UTF-16.
    pub(super) fn skip_mark(&mut self) -> io::Result<bool> {
        let start = self.reader.fill_buf()?;
        if start.starts_with(b"\xef\xbb\xbf") {
            self.reader.consume(3);
            self.offset += 3;
            return Ok(true);
        }
        Ok(!start.starts_with(b"\xff\xfe") && !start.starts_with(b"\xfe\xff"))
    }

    /// The next row, or `None` at the end of the file. Empty rows come too.
    pub(super) fn next(&mut self) -> io::Result<Option<Span>> {
        self.row.clear();
        let (line, offset) = (self.line, self.offset);
        let mut place = Place::FieldStart;
        let end = loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                if self.offset == offset {
                    return Ok(None);
                }
                break if place == Place::Quoted { End::FileInQuotes } else { End::File };
            }
            let (used, ended) = match self.format {
                Format::Csv => csv_row(&mut place, chunk),
                Format::Jsonl => json_row(chunk),
            };
            let room = (MAX_ROW + b"\r\n".len()).saturating_sub(self.row.len());
            self.row.extend_from_slice(&chunk[..used.min(room)]);
            self.line += chunk[..used].iter().filter(|byte| **byte == b'\n').count() as u64;
            self.offset += used as u64;
            self.reader.consume(used);
            if ended {
                break End::Line;
            }
        };
        let mut length = self.offset - offset;
        if end == End::Line {
            length -= 1;
            self.row.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            if self.row.len() as u64 == length && self.row.last() == Some(&b'\r') {
                self.row.pop();
                length -= 1;
            }
        }
        self.row.truncate(MAX_ROW);
        Ok(Some(Span { line, offset, length, end }))
    }

    /// The row that came last, as written without its line end; cut off after [`MAX_ROW`] bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.row
    }

    /// The first byte that was not read yet.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// What it reads from.
    pub(super) fn into_reader(self) -> R {
        self.reader
    }
}

/// How many bytes of `chunk` belong to the row, its line end included, and whether that is there.
fn csv_row(place: &mut Place, chunk: &[u8]) -> (usize, bool) {
    for (at, &byte) in chunk.iter().enumerate() {
        if byte == b'\n' && *place != Place::Quoted {
            return (at + 1, true);
        }
        *place = place.after(byte);
    }
    (chunk.len(), false)
}

fn json_row(chunk: &[u8]) -> (usize, bool) {
    match chunk.iter().position(|byte| *byte == b'\n') {
        Some(at) => (at + 1, true),
        None => (chunk.len(), false),
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Line, text and end of each row, read through a buffer of `buffer` bytes.
    fn rows(text: &str, format: Format, buffer: usize) -> Vec<(u64, String, End)> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, text.as_bytes()), format);
        let mut rows = Vec::new();
        while let Some(row) = lines.next().unwrap() {
            let text = String::from_utf8(lines.bytes().to_vec()).unwrap();
            rows.push((row.line, text, row.end));
        }
        rows
    }

    #[test]
    fn a_quoted_field_may_hold_line_ends_and_quotes_however_the_file_is_buffered() {
        let text = "a,\"b\r\nc \"\"d\"\"\",e\r\n\r\nx\"y,z\n\"last\n";
        for buffer in 1..text.len() + 1 {
            let expected = [
                (1, "a,\"b\r\nc \"\"d\"\"\",e", End::Line),
                (3, "", End::Line),
                (4, "x\"y,z", End::Line),
                (5, "\"last\n", End::FileInQuotes),
            ];
            let expected = expected.map(|(line, row, end)| (line, row.to_owned(), end));
            assert_eq!(rows(text, Format::Csv, buffer), expected, "with {buffer} bytes");
        }
    }

    #[test]
    fn a_line_of_json_ends_with_its_line_whatever_quotes_it_holds() {
        let expected = [(1, "{\"a", End::Line), (2, "b\"}", End::File)];
        let expected = expected.map(|(line, row, end)| (line, row.to_owned(), end));
        assert_eq!(rows("{\"a\nb\"}", Format::Jsonl, 4), expected);
    }

    #[test]
    fn a_row_that_is_too_long_is_passed_over_and_takes_no_memory() {
        let text = format!("first\n{}\nlast\n", "x".repeat(50 * MAX_ROW));
        for format in [Format::Csv, Format::Jsonl] {
            let mut lines = Lines::new(BufReader::new(text.as_bytes()), format);
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
            let mut lines = Lines::new(BufReader::new(text.as_bytes()), Format::Csv);
            let row = lines.next().unwrap().unwrap();
            assert_eq!((row.length, row.whole()), (length as u64, length <= MAX_ROW));
            assert_eq!(lines.bytes().len(), length.min(MAX_ROW));
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_and_one_of_utf_16_noticed() {
        let mut marked = Lines::new(&b"\xef\xbb\xbfa\n"[..], Format::Csv);
        assert!(marked.skip_mark().unwrap());
        assert_eq!(marked.next().unwrap().unwrap().offset, 3);
        assert_eq!(marked.bytes(), b"a");
        assert!(!Lines::new(&b"\xff\xfea\0"[..], Format::Csv).skip_mark().unwrap());
    }
}
