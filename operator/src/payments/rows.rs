//! Reading a file of payments row by row, CSV or JSON lines.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;

use super::row::Row;

/// One row of a file: where it stands, and what it says or why it cannot be read.
#[derive(Debug)]
pub(super) struct Line {
    /// Counted from 1, the header of a CSV file included.
    pub(super) number: u64,
    pub(super) row: Result<Row, String>,
}

/// The rows of `file`; a file that cannot be read further ends them with an error.
pub(super) fn rows(file: &Path) -> anyhow::Result<Box<dyn Iterator<Item = anyhow::Result<Line>>>> {
    let opened = File::open(file).with_context(|| format!("opening {}", file.display()))?;
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending {
        "jsonl" | "ndjson" | "json" => Ok(Box::new(json_lines(BufReader::new(opened)))),
        _ => csv_rows(opened, file),
    }
}

fn json_lines(reader: impl BufRead) -> impl Iterator<Item = anyhow::Result<Line>> {
    reader.split(b'\n').zip(1..).filter_map(|(bytes, number)| {
        let bytes = match bytes.with_context(|| format!("reading line {number}")) {
            Ok(bytes) => bytes,
            Err(error) => return Some(Err(error)),
        };
        if bytes.trim_ascii().is_empty() {
            return None;
        }
        let row = serde_json::from_slice(&bytes).map_err(|error| error.to_string());
        Some(Ok(Line { number, row }))
    })
}

fn csv_rows(
    file: File,
    path: &Path,
) -> anyhow::Result<Box<dyn Iterator<Item = anyhow::Result<Line>>>> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(BufReader::new(file));
    let headers = reader.headers().with_context(|| format!("the header of {}", path.display()))?;
    let missing: Vec<_> =
        Row::REQUIRED.iter().filter(|name| !headers.iter().any(|h| h == **name)).collect();
    let unknown: Vec<_> = headers.iter().filter(|name| !Row::KNOWN.contains(name)).collect();
    anyhow::ensure!(
        missing.is_empty() && unknown.is_empty(),
        "the header of {} lacks {missing:?} and has the unknown {unknown:?}; it may have {:?}",
        path.display(),
        Row::KNOWN,
    );
    let headers = headers.clone();
    let rows = reader.into_records().map(move |record| match record {
        Ok(record) => Ok(Line {
            number: record.position().map_or(0, csv::Position::line),
            row: read(&record, &headers).map_err(|error| error.to_string()),
        }),
        Err(error) => match error.kind() {
            csv::ErrorKind::Io(_) => Err(anyhow::Error::new(error)),
            _ => {
                let number = error.position().map_or(0, csv::Position::line);
                Ok(Line { number, row: Err(error.to_string()) })
            }
        },
    });
    Ok(Box::new(rows))
}

fn read(record: &csv::StringRecord, headers: &csv::StringRecord) -> csv::Result<Row> {
    let mut row: Row = record.deserialize(Some(headers))?;
    row.trim();
    Ok(row)
}
