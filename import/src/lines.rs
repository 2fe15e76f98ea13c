//! Cutting a file into rows, in memory that a long row cannot make grow.

use std::io::{self, BufRead};

use super::encoding::Encoding;
use super::grammar::{Fault, Grammar, Step, fault_in_line};
use super::options::Format;

/// Longest row in bytes that is looked at. A payment has at most 8 KB, so even one whose blob is
/// escaped throughout as `\u00e9` fits.
pub(crate) const MAX_ROW: usize = 64 * 1024;

/// What separates the rows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// CSV: a line end that is not in a quoted field. A fault puts every row behind it in doubt.
    Grammar,
    /// CSV: every line end, because the operator says so. A fault is its own row's.
    CsvLines,
    /// JSON lines: every line end.
    JsonLines,
}

impl Cut {
    /// How the rows are written.
    pub(crate) const fn format(self) -> Format {
        match self {
            Self::Grammar | Self::CsvLines => Format::Csv,
            Self::JsonLines => Format::Jsonl,
        }
    }
}

/// A fault, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) fault: Fault,
    /// Its line in the file, counted from 1.
    pub(crate) line: u64,
    /// Its byte in that line, counted from 1.
    pub(crate) byte: u64,
}

/// How a row ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With a line end.
    Line,
    /// With the end of the file.
    File,
    /// With the end of the file within a quoted field.
    FileInQuotes,
}

/// Where one row stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The line it begins on, counted from 1.
    pub(crate) line: u64,
    /// Its first byte's place in the file, counted from 0.
    pub(crate) offset: u64,
    /// Its bytes without the line end.
    pub(crate) length: u64,
    pub(crate) end: End,
    /// The first thing in it that no row of CSV holds.
    pub(crate) fault: Option<Found>,
}

impl Span {
    /// Whether all of it was kept.
    pub(crate) fn whole(&self) -> bool {
        self.length <= MAX_ROW as u64
    }
}

/// Cuts a file into rows. By the grammar a quoted field may hold line ends, so a quote that is
/// never closed takes everything behind it: nothing in a field is ever taken for a row.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: R,
    cut: Cut,
    line: u64,
    offset: u64,
    /// Where the line that is read begins.
    line_start: u64,
    row: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R, cut: Cut) -> Self {
        Self { reader, cut, line: 1, offset: 0, line_start: 0, row: Vec::new() }
    }

    /// Passes over a byte order mark of UTF-8 at the file's beginning, and says what else it is
    /// written in, with a mark or without: text of any language begins with letters of ASCII here,
    /// a header or a brace, so every other byte is 0.
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
    pub(crate) fn next(&mut self) -> io::Result<Option<Span>> {
        self.row.clear();
        let (line, offset) = (self.line, self.offset);
        let mut grammar = Grammar::new();
        let mut fault = None;
        let end = loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                if self.offset == offset {
                    return Ok(None);
                }
                break if grammar.is_quoted() { End::FileInQuotes } else { End::File };
            }
            let Piece { used, ended, fault: met } = match self.cut {
                Cut::Grammar => csv_row(&mut grammar, chunk),
                Cut::CsvLines | Cut::JsonLines => line_of(chunk),
            };
            if let (None, Some((at, met))) = (fault, met) {
                let before = &chunk[..at];
                let lines = count_lines(before);
                let byte = match before.iter().rposition(|byte| *byte == b'\n') {
                    Some(last) => at - last,
                    None => {
                        usize::try_from(self.offset - self.line_start).unwrap_or(usize::MAX)
                            + at
                            + 1
                    }
                };
                fault = Some(Found { fault: met, line: self.line + lines, byte: byte as u64 });
            }
            let room = (MAX_ROW + b"\r\n".len()).saturating_sub(self.row.len());
            self.row.extend_from_slice(&chunk[..used.min(room)]);
            self.line += count_lines(&chunk[..used]);
            if let Some(last) = chunk[..used].iter().rposition(|byte| *byte == b'\n') {
                self.line_start = self.offset + last as u64 + 1;
            }
            self.offset += used as u64;
            self.reader.consume(used);
            if ended {
                break End::Line;
            }
        };
        if self.cut == Cut::Grammar && end == End::File {
            let byte = self.offset - self.line_start;
            let at_end = grammar.at_end();
            fault = fault.or(at_end.map(|fault| Found { fault, line: self.line, byte }));
        }
        let lines = self.line - line - u64::from(end == End::Line);
        let length = self.without_line_end(self.offset - offset, end);
        self.row.truncate(MAX_ROW);
        let span = Span { line, offset, length, end, fault };
        Ok(Some(self.judged(span, lines)))
    }

    /// Takes the line end off the row; how long it is without.
    fn without_line_end(&mut self, mut length: u64, end: End) -> u64 {
        if end == End::Line {
            length -= 1;
            self.row.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            if self.row.len() as u64 == length && self.row.last() == Some(&b'\r') {
                self.row.pop();
                length -= 1;
            }
        }
        length
    }

    /// Adds the faults that only a whole row shows; `lines` are the line ends within it.
    fn judged(&self, mut span: Span, lines: u64) -> Span {
        let first = |fault| Some(Found { fault, line: span.line, byte: 1 });
        match self.cut {
            Cut::Grammar if span.fault.is_none() && lines > 0 && !span.whole() => {
                span.fault = first(Fault::LongAcrossLines);
            }
            Cut::CsvLines if span.whole() => {
                span.fault = fault_in_line(&self.row).map(|(at, fault)| Found {
                    fault,
                    line: span.line,
                    byte: at as u64 + 1,
                });
            }
            Cut::Grammar | Cut::CsvLines | Cut::JsonLines => {}
        }
        span
    }

    /// The row that came last, as written without its line end; cut off after [`MAX_ROW`] bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.row
    }

    /// The first byte that was not read yet.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// What it reads from.
    pub(crate) fn into_reader(self) -> R {
        self.reader
    }
}

/// What a chunk of the file has of a row.
struct Piece {
    /// So many bytes, the line end included.
    used: usize,
    /// Whether the row ends with them.
    ended: bool,
    /// The first fault, and at which byte of the chunk.
    fault: Option<(usize, Fault)>,
}

fn csv_row(grammar: &mut Grammar, chunk: &[u8]) -> Piece {
    let mut fault = None;
    for (at, &byte) in chunk.iter().enumerate() {
        match grammar.step(byte) {
            Step::On => {}
            Step::End => return Piece { used: at + 1, ended: true, fault },
            Step::Fault(met) => fault = fault.or(Some((at, met))),
        }
    }
    Piece { used: chunk.len(), ended: false, fault }
}

fn line_of(chunk: &[u8]) -> Piece {
    match chunk.iter().position(|byte| *byte == b'\n') {
        Some(at) => Piece { used: at + 1, ended: true, fault: None },
        None => Piece { used: chunk.len(), ended: false, fault: None },
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Line, text and end of each row, read through a buffer of `buffer` bytes.
    fn rows(text: &str, cut: Cut, buffer: usize) -> Vec<(u64, String, End)> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, text.as_bytes()), cut);
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
                (1, "a,\"b\r\nc \"\"d\"\"\",e", End::Line),
                (3, "", End::Line),
                (4, "xy,z", End::Line),
                (5, "\"last\n", End::FileInQuotes),
            ];
            let expected = expected.map(|(line, row, end)| (line, row.to_owned(), end));
            assert_eq!(rows(text, Cut::Grammar, buffer), expected, "with {buffer} bytes");
        }
    }

    #[test]
    fn a_line_of_json_ends_with_its_line_whatever_quotes_it_holds() {
        let expected = [(1, "{\"a", End::Line), (2, "b\"}", End::File)];
        let expected = expected.map(|(line, row, end)| (line, row.to_owned(), end));
        assert_eq!(rows("{\"a\nb\"}", Cut::JsonLines, 4), expected);
    }

    #[test]
    fn a_row_that_is_too_long_is_passed_over_and_takes_no_memory() {
        let text = format!("first\n{}\nlast\n", "x".repeat(50 * MAX_ROW));
        for cut in [Cut::Grammar, Cut::CsvLines, Cut::JsonLines] {
            let mut lines = Lines::new(BufReader::new(text.as_bytes()), cut);
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
            let mut lines = Lines::new(BufReader::new(text.as_bytes()), Cut::Grammar);
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
            let mut lines = Lines::new(reader, Cut::Grammar);
            assert_eq!(lines.next().unwrap().unwrap().fault, None);
            let fault = lines.next().unwrap().unwrap().fault;
            let expected = Found { fault: Fault::BehindQuote, line: 4, byte: 4 };
            assert_eq!(fault, Some(expected), "with {buffer} bytes");
        }
        // Where every line is a row, the fault is its own line's.
        let mut lines = Lines::new(text.as_bytes(), Cut::CsvLines);
        let mut faults = Vec::new();
        while let Some(span) = lines.next().unwrap() {
            faults.push(span.fault.map(|found| (found.fault, found.line, found.byte)));
        }
        let open = Some((Fault::Open, 2, 3));
        let bare = |line, byte| Some((Fault::BareQuote, line, byte));
        assert_eq!(faults, [None, open, bare(3, 2), bare(4, 8), None]);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_and_another_encoding_noticed() {
        let mut marked = Lines::new(&b"\xef\xbb\xbfa\n"[..], Cut::Grammar);
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
            let found = Lines::new(start, Cut::Grammar).skip_mark().unwrap();
            assert_eq!(found.map_err(|encoding| encoding.name()), Err(encoding), "{start:?}");
        }
        for start in [&b"Acc"[..], b"", b"A", b"A\n", b"\xc3\xa9", b"AB\0C"] {
            assert_eq!(Lines::new(start, Cut::Grammar).skip_mark().unwrap(), Ok(()), "{start:?}");
        }
    }
}
