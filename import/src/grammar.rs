//! The grammar of RFC 4180, byte by byte: where a row of CSV ends, and what no such row may hold.
//!
//! `csv-core`, like the other maintained parsers of this ecosystem, repairs what it cannot read: a
//! quote behind a closing quote is taken for text, and the field goes on over the next rows. Here
//! a payment would disappear in another's blob. So a row is judged by this machine first, and only
//! a row that keeps the grammar is split into fields.
//!
//! Line ends are CR LF or LF alone. Fields are UTF-8 (RFC 4180 knows ASCII and a `charset`); that
//! is judged where fields are read.

use std::fmt;

/// Where in a row the last byte stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote within a quoted field: its end, or the first half of an escaped quote.
    QuoteInQuoted,
    /// Behind a carriage return outside of quotes: the first half of a line end.
    Return,
}

/// What no row of RFC 4180 holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Something other than a comma, a line end or a second quote behind a closing quote.
    BehindQuote,
    /// A quote in a field that does not begin with one.
    BareQuote,
    /// A carriage return that no line feed follows, outside of quotes.
    LoneReturn,
    /// A byte of value 0.
    Nul,
    /// A quoted field that is not closed where its row must end.
    Open,
    /// A quoted field over several lines that is longer than a row may be.
    LongAcrossLines,
    /// A line within a quoted field that is a row by itself.
    RowInField,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BehindQuote => {
                "text behind a closing quote; a quote within a quoted field is written twice"
            }
            Self::BareQuote => {
                "a quote in a field without quotes; write the field in quotes and its quotes twice"
            }
            Self::LoneReturn => {
                "a carriage return without a line feed; lines end with CR LF or LF"
            }
            Self::Nul => "a byte of value 0",
            Self::Open => "a quoted field that is not closed on its line",
            Self::LongAcrossLines => {
                "a quoted field over several lines that is too long; a closing quote may be missing"
            }
            Self::RowInField => {
                "a line within a quoted field that is a row by itself; a closing quote may be missing or doubled"
            }
        })
    }
}

/// What a byte does to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The row goes on.
    On,
    /// The row ends with this byte, a line feed.
    End,
    /// The row is none, and goes on as if the byte were text.
    Fault(Fault),
}

/// Reads one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grammar {
    place: Place,
}

impl Grammar {
    /// At the beginning of a row.
    pub(crate) const fn new() -> Self {
        Self { place: Place::FieldStart }
    }

    /// Reads a byte.
    pub(crate) fn step(&mut self, byte: u8) -> Step {
        let (place, step) = match (self.place, byte) {
            (place, 0) => (place, Step::Fault(Fault::Nul)),
            (Place::Quoted, b'"') => (Place::QuoteInQuoted, Step::On),
            (Place::Quoted, _) | (Place::FieldStart | Place::QuoteInQuoted, b'"') => {
                (Place::Quoted, Step::On)
            }
            (Place::Return, b'\n') => (Place::FieldStart, Step::End),
            (Place::Return, _) => (Place::Plain, Step::Fault(Fault::LoneReturn)),
            (Place::FieldStart | Place::Plain | Place::QuoteInQuoted, b'\n') => {
                (Place::FieldStart, Step::End)
            }
            (Place::FieldStart | Place::Plain | Place::QuoteInQuoted, b'\r') => {
                (Place::Return, Step::On)
            }
            (Place::FieldStart | Place::Plain | Place::QuoteInQuoted, b',') => {
                (Place::FieldStart, Step::On)
            }
            (Place::Plain, b'"') => (Place::Plain, Step::Fault(Fault::BareQuote)),
            (Place::QuoteInQuoted, _) => (Place::Plain, Step::Fault(Fault::BehindQuote)),
            (Place::FieldStart | Place::Plain, _) => (Place::Plain, Step::On),
        };
        self.place = place;
        step
    }

    /// What is wrong with a row that ends here, without a line feed: a line that is a row by
    /// itself, or the last row of a file.
    pub(crate) const fn at_end(self) -> Option<Fault> {
        match self.place {
            Place::Quoted => Some(Fault::Open),
            Place::Return => Some(Fault::LoneReturn),
            Place::FieldStart | Place::Plain | Place::QuoteInQuoted => None,
        }
    }

    /// Whether the next byte is within a quoted field.
    pub(crate) const fn is_quoted(self) -> bool {
        matches!(self.place, Place::Quoted)
    }
}

/// The first fault of a row that is alone in `line`, its line end taken off, and at which byte.
pub(crate) fn fault_in_line(line: &[u8]) -> Option<(usize, Fault)> {
    let mut grammar = Grammar::new();
    for (at, byte) in line.iter().enumerate() {
        if let Step::Fault(fault) = grammar.step(*byte) {
            return Some((at, fault));
        }
    }
    grammar.at_end().map(|fault| (line.len(), fault))
}

/// Whether a row has nothing but empty fields, as spreadsheets write them below and above a
/// table. What stands in quotes counts as it is without them.
pub(crate) fn is_blank(row: &[u8]) -> bool {
    let mut quoted = false;
    let mut bytes = row.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b',' if !quoted => {}
            b'"' if quoted && bytes.peek() == Some(&&b'"') => return false,
            b'"' => quoted = !quoted,
            _ => return false,
        }
    }
    !quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Option<(usize, Fault)> {
        fault_in_line(text.as_bytes())
    }

    #[test]
    fn what_rfc_4180_allows_is_no_fault() {
        for text in ["", ",", "a,b", "\"\"", "\"a\"\"b\",c", "\"a\nb\r\nc\r\",", "\",\"", "é,\"é\""]
        {
            assert_eq!(first(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_rfc_4180_does_not_allow_is_found_at_its_byte() {
        for (text, at, fault) in [
            ("\"a\"b", 3, Fault::BehindQuote),
            ("\"a\" ,b", 3, Fault::BehindQuote),
            ("\"Order \"A-17\" of March\"", 8, Fault::BehindQuote),
            ("x,5\" pipe", 3, Fault::BareQuote),
            (" \"a\"", 1, Fault::BareQuote),
            ("a\rb", 2, Fault::LoneReturn),
            ("\"a\"\rb", 4, Fault::LoneReturn),
            ("a\r", 2, Fault::LoneReturn),
            ("a\r\r", 2, Fault::LoneReturn),
            ("a\0b", 1, Fault::Nul),
            ("\"\0\"", 1, Fault::Nul),
            ("a,\"b", 4, Fault::Open),
            ("\"a\"\"", 4, Fault::Open),
        ] {
            assert_eq!(first(text), Some((at, fault)), "{text:?}");
        }
    }

    #[test]
    fn a_row_of_empty_fields_is_blank_and_one_with_anything_is_not() {
        for blank in ["", ",", ",,,,,,", " , ,\t", "\"\",\"\"", "\" \",", "\r"] {
            assert!(is_blank(blank.as_bytes()), "{blank:?}");
        }
        let other_white_space = ["\x0c,,,,,,", "\x0b", "\u{a0},,", "\u{feff}"];
        let rows = ["0,,", ",.,", "\",\"", "\"\"\"\"", "\"\"\"\",", "\"", "é"];
        for row in rows.into_iter().chain(other_white_space) {
            assert!(!is_blank(row.as_bytes()), "{row:?}");
        }
    }
}
