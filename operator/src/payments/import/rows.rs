//! Reading a file of payments row by row, CSV or JSON lines.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use serde::Deserialize;
use shared::domain::Currency;

use super::csv::Csv;
use super::lines::{End, Lines, MAX_ROW, Span};
use super::options::Format;
use super::row::Row;
use super::stop::Stop;
use super::totals::Stated;

/// What a row says.
#[derive(Debug)]
pub(super) enum Entry {
    /// A row, or why it cannot be read.
    Row(Result<Row, String>),
    /// The totals of all rows.
    Trailer(Stated),
}

/// The rows of a file.
#[derive(Debug)]
pub(super) struct Rows<R> {
    lines: Lines<R>,
    /// `None` for JSON lines.
    csv: Option<Csv>,
    header: Vec<u8>,
    trailer: Option<u64>,
}

impl<R: BufRead> Rows<R> {
    /// Reads the header of a CSV file. [`Stop::Data`] says what is wrong with it.
    pub(super) fn open(reader: R, format: Format) -> Result<Self, Stop> {
        let mut lines = Lines::new(reader, format);
        if !lines.skip_mark().map_err(reading)? {
            let reason = "the file is written in UTF-16; save it as UTF-8";
            return Err(Stop::Data(reason.to_owned()));
        }
        let mut rows = Self { lines, csv: None, header: Vec::new(), trailer: None };
        match format {
            Format::Jsonl => {}
            Format::Csv => {
                let empty = || Stop::Data("the file is empty".to_owned());
                let span = rows.next_span()?.ok_or_else(empty)?;
                rows.check_end(span, Format::Csv)?;
                if !span.whole() {
                    return Err(Stop::Data(too_long(span)));
                }
                rows.header = rows.lines.bytes().to_vec();
                rows.csv = Some(Csv::new(&rows.header).map_err(Stop::Data)?);
            }
        }
        Ok(rows)
    }

    /// The next row that is not blank. [`Stop::Data`] when the file is cut, or goes on behind its
    /// trailer.
    pub(super) fn next(&mut self) -> Result<Option<(Span, Entry)>, Stop> {
        let Some(span) = self.next_span()? else { return Ok(None) };
        let wrong = |reason| Err(Stop::Data(format!("line {}: {reason}", span.line)));
        if let Some(trailer) = self.trailer {
            return wrong(format!("a row behind the trailer of line {trailer}"));
        }
        let format = if self.csv.is_some() { Format::Csv } else { Format::Jsonl };
        self.check_end(span, format)?;
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
    pub(super) fn bytes(&self) -> &[u8] {
        self.lines.bytes()
    }

    /// The header as written; empty for JSON lines.
    pub(super) fn header(&self) -> &[u8] {
        &self.header
    }

    /// How many bytes of the file were read.
    pub(super) fn offset(&self) -> u64 {
        self.lines.offset()
    }

    /// What it reads from.
    pub(super) fn into_reader(self) -> R {
        self.lines.into_reader()
    }

    fn next_span(&mut self) -> Result<Option<Span>, Stop> {
        loop {
            let span = self.lines.next().map_err(reading)?;
            let blank = match &self.csv {
                Some(_) => self.lines.bytes().is_empty(),
                None => self.lines.bytes().trim_ascii().is_empty(),
            };
            // A blank row without a line end is the end of the file.
            if span.is_none_or(|span| !blank || !span.whole()) {
                return Ok(span);
            }
        }
    }

    /// What the end of the file shows. A CSV row without a line end may be cut, and a cut amount
    /// is another amount; a JSON object is whole when it is closed.
    fn check_end(&self, span: Span, format: Format) -> Result<(), Stop> {
        let cut = match (span.end, format) {
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
        sums: BTreeMap<String, i128>,
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
        for (code, sum) in trailer.sums {
            let currency: Currency = code.parse().map_err(|error| format!("{error}"))?;
            sums.insert(currency.code(), sum);
        }
        Ok(Stated { count: trailer.count, sums })
    }))
}
