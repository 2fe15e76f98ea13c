//! Rows of CSV: the header, and the fields of one row.

use std::collections::BTreeMap;

use csv_core::ReadRecordResult;
use domain::{Currency, DueDate};

use super::row::{Column, Row};
use super::row_reader::MAX_ROW;
use super::trailer::{ControlTotals, ExpectedSum};

/// Most fields in a row; there are seven columns.
const MAX_FIELDS: usize = 64;
/// First field of the row that states the totals.
const TRAILER: &str = "TRAILER";

/// Splits rows by what the header says.
pub(crate) struct CsvParser {
    core: csv_core::Reader,
    /// Where each column stands, in the order of [`Column::ALL`].
    places: [Option<usize>; Column::ALL.len()],
    width: usize,
    output: Vec<u8>,
    ends: [usize; MAX_FIELDS],
}

impl CsvParser {
    fn unplaced() -> Self {
        Self {
            core: csv_core::Reader::new(),
            places: [None; Column::ALL.len()],
            width: 0,
            output: vec![0; MAX_ROW + 1],
            ends: [0; MAX_FIELDS],
        }
    }

    /// Takes the header; the error says all that is wrong with it.
    pub(crate) fn new(header: &[u8]) -> Result<Self, String> {
        let mut csv = Self::unplaced();
        csv.width = csv.split(header).map_err(|reason| format!("the header {reason}"))?;
        let names: Vec<_> = (0..csv.width)
            .map(|field| String::from_utf8_lossy(csv.field(field)).trim().to_owned())
            .collect();
        let mut wrong = Vec::new();
        for (place, column) in csv.places.iter_mut().zip(Column::ALL) {
            let mut found = (0..names.len()).filter(|field| names[*field] == column.name());
            *place = found.next();
            match (*place, found.next()) {
                (None, _) if column.required() => {
                    wrong.push(format!("{} is missing", column.name()))
                }
                (Some(_), Some(_)) => wrong.push(format!("{} is there twice", column.name())),
                (None, _) | (Some(_), None) => {}
            }
        }
        let known = Column::ALL.map(Column::name);
        let unknown = names.iter().filter(|name| !known.contains(&name.as_str()));
        wrong.extend(unknown.map(|name| format!("{name:?} is unknown")));
        if wrong.is_empty() {
            Ok(csv)
        } else {
            Err(format!("the header: {}; the columns are {}", wrong.join(", "), known.join(", ")))
        }
    }

    /// The row, or what is wrong with it.
    pub(crate) fn row(&mut self, raw: &[u8]) -> Result<Row, String> {
        let fields = self.split(raw)?;
        if fields != self.width {
            return Err(format!("has {fields} fields, the header has {}", self.width));
        }
        let mut texts = [None; Column::ALL.len()];
        for ((text, place), column) in texts.iter_mut().zip(self.places).zip(Column::ALL) {
            let Some(place) = place else { continue };
            *text = Some(std::str::from_utf8(self.field(place)).map_err(|error| {
                format!(
                    "{}: is not UTF-8 from its byte {} on",
                    column.name(),
                    error.valid_up_to() + 1
                )
            })?);
        }
        Ok(Row::from_csv(|column| texts[column as usize]))
    }

    /// Whether a line within a quoted field reads as a row by itself: a closing quote that is
    /// missing or doubled takes in the next rows, and where one of them closes it again, the
    /// grammar is kept. Date, amount and currency in their places are no chance.
    pub(crate) fn holds_row(&self, raw: &[u8]) -> bool {
        let mut lines = raw.split(|byte| *byte == b'\n').skip(1);
        lines.any(|line| {
            let fields: Vec<_> = line.split(|byte| *byte == b',').collect();
            let field = |column: Column| {
                let field = fields.get(self.places[column as usize]?)?;
                Some(std::str::from_utf8(field).ok()?.trim_matches([' ', '"', '\r']))
            };
            field(Column::Due).is_some_and(|due| due.parse::<DueDate>().is_ok())
                && field(Column::Amount).is_some_and(|amount| amount.parse::<i64>().is_ok())
                && field(Column::Currency).is_some_and(|code| code.parse::<Currency>().is_ok())
        })
    }

    /// The totals, if the row states them.
    pub(crate) fn trailer(&mut self, raw: &[u8]) -> Option<Result<ControlTotals, String>> {
        // Fields count without the space around them, here too.
        let name = raw.trim_ascii_start();
        let name = name.strip_prefix(b"\"").map_or(name, <[u8]>::trim_ascii_start);
        if !name.starts_with(TRAILER.as_bytes()) {
            return None;
        }
        match self.split(raw) {
            Ok(fields) if self.field(0).trim_ascii() == TRAILER.as_bytes() => {
                Some(self.stated(fields))
            }
            Ok(_) | Err(_) => None,
        }
    }

    fn stated(&self, fields: usize) -> Result<ControlTotals, String> {
        let text = |field| String::from_utf8_lossy(self.field(field)).trim().to_owned();
        let count = if fields > 1 { text(1) } else { String::new() };
        let count = count.parse().map_err(|_| format!("{count:?} is no number of rows"))?;
        let mut sums = BTreeMap::new();
        for field in (2..fields).map(text).filter(|field| !field.is_empty()) {
            let sum: ExpectedSum = field.parse()?;
            let currency = sum.currency.ok_or_else(|| format!("{field:?} names no currency"))?;
            if sums.insert(currency.code(), sum.amount).is_some() {
                return Err(format!("{currency} is there twice"));
            }
        }
        Ok(ControlTotals { count: Some(count), sums })
    }

    /// Splits a row and says how many fields it has.
    fn split(&mut self, raw: &[u8]) -> Result<usize, String> {
        self.core.reset();
        let (result, read, written, ended) =
            self.core.read_record(raw, &mut self.output, &mut self.ends);
        let (result, fields) = match result {
            ReadRecordResult::InputEmpty => {
                let (output, ends) = (&mut self.output[written..], &mut self.ends[ended..]);
                let (result, _, _, more) = self.core.read_record(&[], output, ends);
                (result, ended + more)
            }
            other => (other, ended),
        };
        match result {
            // The grammar was kept, so a row is one record.
            ReadRecordResult::Record if read < raw.len() => Err("cannot be read".to_owned()),
            ReadRecordResult::Record => Ok(fields),
            ReadRecordResult::OutputEndsFull => Err(format!("has more than {MAX_FIELDS} fields")),
            ReadRecordResult::InputEmpty | ReadRecordResult::OutputFull | ReadRecordResult::End => {
                Err("cannot be read".to_owned())
            }
        }
    }

    /// The fields of a row, whatever the header.
    #[cfg(test)]
    pub(crate) fn fields(raw: &[u8]) -> Result<Vec<String>, String> {
        let mut csv = Self::unplaced();
        let fields = csv.split(raw)?;
        let text = |field| String::from_utf8(csv.field(field).to_vec());
        (0..fields).map(text).collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    /// A field of the row that was split last.
    fn field(&self, field: usize) -> &[u8] {
        let start = if field == 0 { 0 } else { self.ends[field - 1] };
        &self.output[start..self.ends[field]]
    }
}

impl std::fmt::Debug for CsvParser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvParser").field("places", &self.places).finish_non_exhaustive()
    }
}
