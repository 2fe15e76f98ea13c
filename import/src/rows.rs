//! Reading a file of payments row by row, CSV or JSON lines.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use domain::Currency;
use serde::Deserialize;

use super::csv::Csv;
use super::grammar::{Fault, is_blank};
use super::lines::{Cut, End, Found, Lines, MAX_ROW, Span};
use super::options::Format;
use super::row::Row;
use super::stop::Stop;
use super::totals::Stated;

/// What a row says.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A row, or why it cannot be read.
    Row(Result<Row, String>),
    /// The totals of all rows.
    Trailer(Stated),
}

/// The rows of a file.
#[derive(Debug)]
pub(crate) struct Rows<R> {
    lines: Lines<R>,
    cut: Cut,
    /// `None` for JSON lines.
    csv: Option<Csv>,
    header: Vec<u8>,
    trailer: Option<u64>,
    /// Rows without any content so far.
    blank: u64,
}

impl<R: BufRead> Rows<R> {
    /// Reads the header of a CSV file. [`Stop::Data`] says what is wrong with it.
    pub(crate) fn open(reader: R, cut: Cut) -> Result<Self, Stop> {
        let mut lines = Lines::new(reader, cut);
        lines.skip_mark().map_err(reading)?.map_err(|other| Stop::Data(other.to_string()))?;
        let (header, trailer, blank) = (Vec::new(), None, 0);
        let mut rows = Self { lines, cut, csv: None, header, trailer, blank };
        match cut.format() {
            Format::Jsonl => {}
            Format::Csv => {
                let empty = || Stop::Data("the file is empty".to_owned());
                let span = rows.next_span()?.ok_or_else(empty)?;
                if let Some(found) = span.fault {
                    return Err(Stop::Data(format!("the header {}", without_rows(found))));
                }
                rows.check_end(span)?;
                if !span.whole() {
                    return Err(Stop::Data(too_long(span)));
                }
                rows.header = rows.lines.bytes().to_vec();
                rows.csv = Some(Csv::new(&rows.header).map_err(Stop::Data)?);
            }
        }
        Ok(rows)
    }

    /// The next row that is not blank. [`Stop::Data`] when the file is cut, goes on behind its
    /// trailer, or its rows cannot be told apart.
    pub(crate) fn next(&mut self) -> Result<Option<(Span, Entry)>, Stop> {
        let Some(span) = self.next_span()? else { return Ok(None) };
        let wrong = |reason| Err(Stop::Data(format!("line {}: {reason}", span.line)));
        if let Some(trailer) = self.trailer {
            return wrong(format!("a row behind the trailer of line {trailer}"));
        }
        match (self.fault_of(span), self.cut) {
            (Some(found), Cut::Grammar) => return Err(Stop::Data(in_doubt(span, found))),
            (Some(found), Cut::CsvLines | Cut::JsonLines) => {
                self.check_end(span)?;
                return Ok(Some((span, Entry::Row(Err(without_rows(found))))));
            }
            (None, _) => self.check_end(span)?,
        }
        if !span.whole() {
            return Ok(Some((span, Entry::Row(Err(too_long(span))))));
        }
        let raw = self.lines.bytes();
        let trailer = match &mut self.csv {
            Some(csv) => csv.trailer(raw),
            None => json_trailer(raw),
        };
        if let Some(stated) = trailer {
            self.trailer = Some(span.line);
            return match stated {
                Ok(stated) => Ok(Some((span, Entry::Trailer(stated)))),
                Err(reason) => wrong(format!("the trailer: {reason}")),
            };
        }
        let row = match &mut self.csv {
            Some(csv) => csv.row(raw),
            None => json_row(raw),
        };
        Ok(Some((span, Entry::Row(row))))
    }

    /// The row that came last, as written without its line end.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.lines.bytes()
    }

    /// The header as written; empty for JSON lines.
    pub(crate) fn header(&self) -> &[u8] {
        &self.header
    }

    /// How many rows were blank so far.
    pub(crate) fn blank(&self) -> u64 {
        self.blank
    }

    /// How many bytes of the file were read.
    pub(crate) fn offset(&self) -> u64 {
        self.lines.offset()
    }

    /// What it reads from.
    pub(crate) fn into_reader(self) -> R {
        self.lines.into_reader()
    }

    fn next_span(&mut self) -> Result<Option<Span>, Stop> {
        loop {
            let span = self.lines.next().map_err(reading)?;
            let blank = match self.cut.format() {
                Format::Csv => is_blank(self.lines.bytes()),
                Format::Jsonl => self.lines.bytes().trim_ascii().is_empty(),
            };
            // A blank row without a line end is the end of the file.
            match span {
                Some(Span { fault: None, end: End::Line | End::File, .. })
                    if blank && span.is_some_and(|span| span.whole()) =>
                {
                    self.blank += 1;
                }
                Some(_) | None => return Ok(span),
            }
        }
    }

    fn fault_of(&self, span: Span) -> Option<Found> {
        let inside = || {
            let csv = self.csv.as_ref().filter(|_| self.cut == Cut::Grammar && span.whole())?;
            let fault = Fault::RowInField;
            csv.holds_row(self.lines.bytes()).then_some(Found { fault, line: span.line, byte: 1 })
        };
        span.fault.or_else(inside)
    }

    /// What the end of the file shows. A CSV row without a line end may be cut, and a cut amount
    /// is another amount; a JSON object is whole when it is closed.
    fn check_end(&self, span: Span) -> Result<(), Stop> {
        let cut = match (span.end, self.cut.format()) {
            (End::Line, _) => return Ok(()),
            (End::FileInQuotes, _) => {
                "the file ends within a quoted field of this row: it is cut, or a quote is missing"
            }
            (End::File, Format::Csv) => {
                "the last row has no line end, so the file may be cut; if it is whole, end it with one"
            }
            (End::File, Format::Jsonl) => {
                let cut = std::str::from_utf8(self.lines.bytes()).map(|text| {
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
        Err(Stop::Data(format!("line {}: {cut}", span.line)))
    }
}

fn reading(source: io::Error) -> Stop {
    Stop::File { what: "reading the file".to_owned(), source }
}

/// A row that is none, as the reason why it is refused.
fn without_rows(found: Found) -> String {
    let Found { fault, line, byte } = found;
    format!("is no row of RFC 4180: {fault} (line {line}, byte {byte})")
}

/// What a fault means for a file whose rows the grammar tells apart.
fn in_doubt(span: Span, found: Found) -> String {
    let Found { fault, line, byte } = found;
    let begins = if line == span.line {
        String::new()
    } else {
        format!(", in the row that begins on line {}", span.line)
    };
    format!(
        "line {line}, byte {byte}{begins}: {fault}. It is uncertain where this row ends and the next \
         begins, so nothing was written. Have the file written anew; or, if every line is one row, \
         give --trust-lines: then each line is judged by itself"
    )
}

fn too_long(span: Span) -> String {
    format!(
        "has {} bytes, from byte {} of the file on; at most {MAX_ROW} are read",
        span.length, span.offset
    )
}

fn json_row(raw: &[u8]) -> Result<Row, String> {
    let text = std::str::from_utf8(raw)
        .map_err(|error| format!("is not UTF-8 from its byte {} on", error.valid_up_to() + 1))?;
    Row::from_json(text).map_err(|error| without_line(&error))
}

/// Each row is a document of its own, so the parser's line is always 1.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line 1 column ") {
        Some((reason, column)) => format!("{reason}, at character {column}"),
        None => text,
    }
}

/// The totals, if the row states them.
fn json_trailer(raw: &[u8]) -> Option<Result<Stated, String>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Totals {
        #[serde(rename = "Count")]
        count: Option<u64>,
        #[serde(rename = "Sums", default)]
        sums: UniqueSums,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Trailer {
        #[serde(rename = "Trailer")]
        trailer: Totals,
    }
    let inside = raw.trim_ascii_start().strip_prefix(b"{")?;
    inside.trim_ascii_start().strip_prefix(b"\"Trailer\"")?;
    let stated = serde_json::from_slice(raw).map_err(|error| without_line(&error));
    Some(stated.and_then(|Trailer { trailer }| {
        let mut sums = BTreeMap::new();
        for (code, sum) in trailer.sums.0 {
            let currency: Currency = code.parse().map_err(|error| format!("{error}"))?;
            sums.insert(currency.code(), sum);
        }
        Ok(Stated { count: trailer.count, sums })
    }))
}

/// Sums by currency code. A code that stands there twice is refused: a map would keep one of them.
#[derive(Default)]
struct UniqueSums(BTreeMap<String, i128>);

impl<'de> Deserialize<'de> for UniqueSums {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sums;
        impl<'de> serde::de::Visitor<'de> for Sums {
            type Value = UniqueSums;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of sums by currency")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<UniqueSums, A::Error> {
                let mut sums = BTreeMap::new();
                while let Some((code, sum)) = map.next_entry::<String, i128>()? {
                    if sums.insert(code.clone(), sum).is_some() {
                        return Err(serde::de::Error::custom(format!("{code} is there twice")));
                    }
                }
                Ok(UniqueSums(sums))
            }
        }
        deserializer.deserialize_map(Sums)
    }
}
