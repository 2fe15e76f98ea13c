//! The grammar of RFC 4180, byte by byte: where a row of CSV ends, and its syntax errors.
//!
//! `csv-core`, like the other maintained parsers of this ecosystem, repairs what it cannot read: a
//! quote after a closing quote is taken for text, and the field goes on over the next rows. Here
//! a payment would disappear in another's blob. So a row is judged by this machine first, and only
//! a row that keeps the grammar is split into fields.
//!
//! Line ends are CR LF or LF alone. Fields are UTF-8 (RFC 4180 knows ASCII and a `charset`); that
//! is judged where fields are read.

use std::fmt;

/// The state after the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GrammarState {
    FieldStart,
    Plain,
    Quoted,
    /// After a quote within a quoted field: its end, or the first half of an escaped quote.
    QuoteInQuoted,
    /// After a carriage return outside of quotes: the first half of a line end.
    Return,
}

/// A violation of RFC 4180.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    /// Something other than a comma, a line end or a second quote after a closing quote.
    AfterQuote,
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

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AfterQuote => {
                "text after a closing quote; a quote within a quoted field is written twice"
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

/// What a byte means for the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrammarStep {
    /// The row goes on.
    On,
    /// The row ends with this byte, a line feed.
    End,
    /// A syntax error; the row goes on as if the byte were text.
    Error(SyntaxError),
}

/// Reads one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grammar {
    state: GrammarState,
}

impl Grammar {
    /// At the beginning of a row.
    pub(crate) const fn new() -> Self {
        Self { state: GrammarState::FieldStart }
    }

    /// Reads a byte.
    pub(crate) fn step(&mut self, byte: u8) -> GrammarStep {
        let (state, step) = match (self.state, byte) {
            (state, 0) => (state, GrammarStep::Error(SyntaxError::Nul)),
            (GrammarState::Quoted, b'"') => (GrammarState::QuoteInQuoted, GrammarStep::On),
            (GrammarState::Quoted, _)
            | (GrammarState::FieldStart | GrammarState::QuoteInQuoted, b'"') => {
                (GrammarState::Quoted, GrammarStep::On)
            }
            (GrammarState::Return, b'\n') => (GrammarState::FieldStart, GrammarStep::End),
            (GrammarState::Return, _) => {
                (GrammarState::Plain, GrammarStep::Error(SyntaxError::LoneReturn))
            }
            (
                GrammarState::FieldStart | GrammarState::Plain | GrammarState::QuoteInQuoted,
                b'\n',
            ) => (GrammarState::FieldStart, GrammarStep::End),
            (
                GrammarState::FieldStart | GrammarState::Plain | GrammarState::QuoteInQuoted,
                b'\r',
            ) => (GrammarState::Return, GrammarStep::On),
            (
                GrammarState::FieldStart | GrammarState::Plain | GrammarState::QuoteInQuoted,
                b',',
            ) => (GrammarState::FieldStart, GrammarStep::On),
            (GrammarState::Plain, b'"') => {
                (GrammarState::Plain, GrammarStep::Error(SyntaxError::BareQuote))
            }
            (GrammarState::QuoteInQuoted, _) => {
                (GrammarState::Plain, GrammarStep::Error(SyntaxError::AfterQuote))
            }
            (GrammarState::FieldStart | GrammarState::Plain, _) => {
                (GrammarState::Plain, GrammarStep::On)
            }
        };
        self.state = state;
        step
    }

    /// What is wrong with a row that ends here, without a line feed: a line that is a row by
    /// itself, or the last row of a file.
    pub(crate) const fn at_end(self) -> Option<SyntaxError> {
        match self.state {
            GrammarState::Quoted => Some(SyntaxError::Open),
            GrammarState::Return => Some(SyntaxError::LoneReturn),
            GrammarState::FieldStart | GrammarState::Plain | GrammarState::QuoteInQuoted => None,
        }
    }

    /// Whether the next byte is within a quoted field.
    pub(crate) const fn is_quoted(self) -> bool {
        matches!(self.state, GrammarState::Quoted)
    }
}

/// The first error of a row that is alone in `line`, its line end taken off, and at which byte.
pub(crate) fn first_error(line: &[u8]) -> Option<(usize, SyntaxError)> {
    let mut grammar = Grammar::new();
    for (at, byte) in line.iter().enumerate() {
        if let GrammarStep::Error(error) = grammar.step(*byte) {
            return Some((at, error));
        }
    }
    grammar.at_end().map(|error| (line.len(), error))
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

    fn first(text: &str) -> Option<(usize, SyntaxError)> {
        first_error(text.as_bytes())
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
        for (text, at, error) in [
            ("\"a\"b", 3, SyntaxError::AfterQuote),
            ("\"a\" ,b", 3, SyntaxError::AfterQuote),
            ("\"Order \"A-17\" of March\"", 8, SyntaxError::AfterQuote),
            ("x,5\" pipe", 3, SyntaxError::BareQuote),
            (" \"a\"", 1, SyntaxError::BareQuote),
            ("a\rb", 2, SyntaxError::LoneReturn),
            ("\"a\"\rb", 4, SyntaxError::LoneReturn),
            ("a\r", 2, SyntaxError::LoneReturn),
            ("a\r\r", 2, SyntaxError::LoneReturn),
            ("a\0b", 1, SyntaxError::Nul),
            ("\"\0\"", 1, SyntaxError::Nul),
            ("a,\"b", 4, SyntaxError::Open),
            ("\"a\"\"", 4, SyntaxError::Open),
        ] {
            assert_eq!(first(text), Some((at, error)), "{text:?}");
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
