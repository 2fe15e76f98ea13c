//! The file of rejected rows: each as written, after its line number and the reason.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::file::RowSyntax;

/// A row that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RejectedRow {
    pub(crate) line: u64,
    pub(crate) reason: String,
    /// The row as written; `None` when it was too long to be kept.
    pub(crate) row: Option<Vec<u8>>,
}

/// Where rejected rows are written. The file is made for the first of them.
#[derive(Debug)]
pub(crate) struct RejectedRowsFile {
    path: PathBuf,
    syntax: RowSyntax,
    /// The header of a CSV file as written.
    header: Vec<u8>,
    file: Option<BufWriter<File>>,
    bytes: u64,
}

impl RejectedRowsFile {
    /// Starts an empty file and removes what an earlier import left there.
    pub(crate) fn replace(path: &Path, syntax: RowSyntax, header: &[u8]) -> io::Result<Self> {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Self { path: path.to_owned(), syntax, header: header.to_owned(), file: None, bytes: 0 })
    }

    /// Continues after the first `bytes` of the file; what follows them was written for rows that
    /// come again. `None` when the file is shorter.
    pub(crate) fn resume(
        path: &Path,
        syntax: RowSyntax,
        header: &[u8],
        bytes: u64,
    ) -> io::Result<Option<Self>> {
        if bytes == 0 {
            return Self::replace(path, syntax, header).map(Some);
        }
        let mut file = match OpenOptions::new().write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() < bytes {
            return Ok(None);
        }
        file.set_len(bytes)?;
        file.seek(SeekFrom::End(0))?;
        let file = Some(BufWriter::new(file));
        Ok(Some(Self { path: path.to_owned(), syntax, header: header.to_owned(), file, bytes }))
    }

    /// Writes one row.
    pub(crate) fn write(&mut self, rejected: &RejectedRow) -> io::Result<()> {
        let record = match self.syntax {
            RowSyntax::Csv | RowSyntax::CsvLines => csv_record(rejected),
            RowSyntax::JsonLines => json_record(rejected)?,
        };
        if self.file.is_none() {
            let mut file = BufWriter::new(File::create(&self.path)?);
            if self.syntax != RowSyntax::JsonLines {
                let header = [b"Line,Reason,", &self.header[..], b"\n"].concat();
                file.write_all(&header)?;
                self.bytes += header.len() as u64;
            }
            self.file = Some(file);
        }
        if let Some(file) = &mut self.file {
            file.write_all(&record)?;
            self.bytes += record.len() as u64;
        }
        Ok(())
    }

    /// Makes all that was written durable, and says how many bytes that is.
    pub(crate) fn make_durable(&mut self) -> io::Result<u64> {
        if let Some(file) = &mut self.file {
            file.flush()?;
            file.get_ref().sync_data()?;
        }
        Ok(self.bytes)
    }

    /// Where the file is, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|_| self.path.as_path())
    }
}

/// The row comes last and unchanged, with any number of fields and any bytes.
fn csv_record(rejected: &RejectedRow) -> Vec<u8> {
    let reason = rejected.reason.replace('"', "\"\"");
    let mut record = format!("{},\"{reason}\",", rejected.line).into_bytes();
    record.extend_from_slice(rejected.row.as_deref().unwrap_or_default());
    record.push(b'\n');
    record
}

fn json_record(rejected: &RejectedRow) -> io::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct JsonRejectedRow<'a> {
        line: u64,
        reason: &'a str,
        row: Option<&'a str>,
        /// Bytes that are no text.
        #[serde(skip_serializing_if = "Option::is_none")]
        row_hex: Option<String>,
    }
    let row = rejected.row.as_deref();
    let text = row.and_then(|row| std::str::from_utf8(row).ok());
    let row_hex = row.filter(|_| text.is_none());
    let row_hex = row_hex.map(hex::encode);
    let record =
        JsonRejectedRow { line: rejected.line, reason: &rejected.reason, row: text, row_hex };
    let mut record = serde_json::to_vec(&record)?;
    record.push(b'\n');
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(line: u64, row: &[u8]) -> RejectedRow {
        RejectedRow { line, reason: format!("Amount: \"{line}\", no"), row: Some(row.to_vec()) }
    }

    #[test]
    fn a_row_of_csv_stands_behind_line_and_reason_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects");
        let mut rejected_rows =
            RejectedRowsFile::replace(&path, RowSyntax::Csv, b"AccountID,\"Amount\"").unwrap();
        assert_eq!(rejected_rows.path(), None);
        rejected_rows.write(&rejected(3, b"A\xff,\"x\ny\",,")).unwrap();
        rejected_rows.write(&RejectedRow { row: None, ..rejected(5, b"") }).unwrap();
        let bytes = rejected_rows.make_durable().unwrap();
        let written = fs::read(&path).unwrap();
        let expected = b"Line,Reason,AccountID,\"Amount\"\n\
            3,\"Amount: \"\"3\"\", no\",A\xff,\"x\ny\",,\n5,\"Amount: \"\"5\"\", no\",\n";
        assert_eq!(written, expected);
        assert_eq!(bytes, written.len() as u64);
    }

    #[test]
    fn a_line_of_json_is_text_or_hexadecimal() {
        let text =
            |rejected: &RejectedRow| String::from_utf8(json_record(rejected).unwrap()).unwrap();
        assert_eq!(
            text(&rejected(3, b"{\"a\"")),
            "{\"line\":3,\"reason\":\"Amount: \\\"3\\\", no\",\"row\":\"{\\\"a\\\"\"}\n"
        );
        assert!(text(&rejected(3, b"\xffa")).ends_with("\"row\":null,\"row_hex\":\"ff61\"}\n"));
    }

    #[test]
    fn going_on_takes_back_what_was_not_durable_and_needs_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects");
        let mut rejected_rows = RejectedRowsFile::replace(&path, RowSyntax::Csv, b"a").unwrap();
        rejected_rows.write(&rejected(2, b"two")).unwrap();
        let bytes = rejected_rows.make_durable().unwrap();
        rejected_rows.write(&rejected(3, b"three")).unwrap();
        rejected_rows.make_durable().unwrap();
        let resume = |bytes| RejectedRowsFile::resume(&path, RowSyntax::Csv, b"a", bytes).unwrap();
        let mut again = resume(bytes).unwrap();
        again.write(&rejected(3, b"three")).unwrap();
        again.make_durable().unwrap();
        let written = fs::read_to_string(&path).unwrap();
        assert_eq!(written.matches("three").count(), 1, "{written}");
        assert_eq!(written.lines().count(), 3, "{written}");
        assert!(resume(1_000).is_none());
        assert!(resume(0).is_some());
        assert!(!path.exists(), "an import that starts anew leaves nothing of an earlier one");
    }
}
