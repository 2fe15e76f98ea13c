//! The file of refused rows: each as it was written, behind its line number and the reason.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::options::Format;

/// A row that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) line: u64,
    pub(crate) reason: String,
    /// The row as written; `None` when it was too long to be kept.
    pub(crate) row: Option<Vec<u8>>,
}

/// Where refused rows are written. The file is made for the first of them.
#[derive(Debug)]
pub(crate) struct Rejects {
    path: PathBuf,
    format: Format,
    /// The header of a CSV file as written.
    header: Vec<u8>,
    file: Option<BufWriter<File>>,
    bytes: u64,
}

impl Rejects {
    /// Starts anew: what an earlier import left there goes.
    pub(crate) fn anew(path: &Path, format: Format, header: &[u8]) -> io::Result<Self> {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Self { path: path.to_owned(), format, header: header.to_owned(), file: None, bytes: 0 })
    }

    /// Goes on behind the first `bytes` of what was written before; what follows them was written
    /// for rows that come again. `None` when the file is shorter.
    pub(crate) fn go_on(
        path: &Path,
        format: Format,
        header: &[u8],
        bytes: u64,
    ) -> io::Result<Option<Self>> {
        if bytes == 0 {
            return Self::anew(path, format, header).map(Some);
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
        Ok(Some(Self { path: path.to_owned(), format, header: header.to_owned(), file, bytes }))
    }

    /// Writes one row.
    pub(crate) fn write(&mut self, refused: &Refused) -> io::Result<()> {
        let record = match self.format {
            Format::Csv => csv_record(refused),
            Format::Jsonl => json_record(refused)?,
        };
        if self.file.is_none() {
            let mut file = BufWriter::new(File::create(&self.path)?);
            if self.format == Format::Csv {
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

/// The row goes last and as it is: whatever number of fields it has, and whatever bytes.
fn csv_record(refused: &Refused) -> Vec<u8> {
    let reason = refused.reason.replace('"', "\"\"");
    let mut record = format!("{},\"{reason}\",", refused.line).into_bytes();
    record.extend_from_slice(refused.row.as_deref().unwrap_or_default());
    record.push(b'\n');
    record
}

fn json_record(refused: &Refused) -> io::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Record<'a> {
        line: u64,
        reason: &'a str,
        row: Option<&'a str>,
        /// Bytes that are no text.
        #[serde(skip_serializing_if = "Option::is_none")]
        row_hex: Option<String>,
    }
    let row = refused.row.as_deref();
    let text = row.and_then(|row| std::str::from_utf8(row).ok());
    let row_hex = row.filter(|_| text.is_none());
    let row_hex = row_hex.map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect());
    let record = Record { line: refused.line, reason: &refused.reason, row: text, row_hex };
    let mut record = serde_json::to_vec(&record)?;
    record.push(b'\n');
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: u64, row: &[u8]) -> Refused {
        Refused { line, reason: format!("Amount: \"{line}\", no"), row: Some(row.to_vec()) }
    }

    #[test]
    fn a_row_of_csv_stands_behind_line_and_reason_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects");
        let mut rejects = Rejects::anew(&path, Format::Csv, b"AccountID,\"Amount\"").unwrap();
        assert_eq!(rejects.path(), None);
        rejects.write(&refused(3, b"A\xff,\"x\ny\",,")).unwrap();
        rejects.write(&Refused { row: None, ..refused(5, b"") }).unwrap();
        let bytes = rejects.make_durable().unwrap();
        let written = fs::read(&path).unwrap();
        let expected = b"Line,Reason,AccountID,\"Amount\"\n\
            3,\"Amount: \"\"3\"\", no\",A\xff,\"x\ny\",,\n5,\"Amount: \"\"5\"\", no\",\n";
        assert_eq!(written, expected);
        assert_eq!(bytes, written.len() as u64);
    }

    #[test]
    fn a_line_of_json_is_text_or_hexadecimal() {
        let text = |refused: &Refused| String::from_utf8(json_record(refused).unwrap()).unwrap();
        assert_eq!(
            text(&refused(3, b"{\"a\"")),
            "{\"line\":3,\"reason\":\"Amount: \\\"3\\\", no\",\"row\":\"{\\\"a\\\"\"}\n"
        );
        assert!(text(&refused(3, b"\xffa")).ends_with("\"row\":null,\"row_hex\":\"ff61\"}\n"));
    }

    #[test]
    fn going_on_takes_back_what_was_not_durable_and_needs_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects");
        let mut rejects = Rejects::anew(&path, Format::Csv, b"a").unwrap();
        rejects.write(&refused(2, b"two")).unwrap();
        let bytes = rejects.make_durable().unwrap();
        rejects.write(&refused(3, b"three")).unwrap();
        rejects.make_durable().unwrap();
        let go_on = |bytes| Rejects::go_on(&path, Format::Csv, b"a", bytes).unwrap();
        let mut again = go_on(bytes).unwrap();
        again.write(&refused(3, b"three")).unwrap();
        again.make_durable().unwrap();
        let written = fs::read_to_string(&path).unwrap();
        assert_eq!(written.matches("three").count(), 1, "{written}");
        assert_eq!(written.lines().count(), 3, "{written}");
        assert!(go_on(1_000).is_none());
        assert!(go_on(0).is_some());
        assert!(!path.exists(), "an import that starts anew leaves nothing of an earlier one");
    }
}
