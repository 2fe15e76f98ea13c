//! The journal: one line per settlement, appended before the answer is sent, and
//! never rewritten.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Write},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

use super::journal_entry::JournalEntry;
use super::journal_reader::{JournalError, JournalReader, TornLine};

/// Bytes of one line. A line of the longest ids, each character escaped, is shorter.
const LINE_LIMIT: u64 = 16 * 1024;

/// An append-only file of JSON lines, one [`JournalEntry`] each. (What is accepted in the
/// asynchronous mode is written down in the same way, in a file of its own.)
///
/// A line is one write call into the page cache: it outlives the process, not
/// the machine. The file is locked, so a journal has one writer at a time.
#[derive(Debug)]
pub struct Journal {
    file: File,
    line: Vec<u8>,
    /// After a write that failed, half a line may stand at the end; a line
    /// appended to it would be lost with it.
    closed: bool,
}

impl Journal {
    /// Reads the journal at `path` from its beginning, one entry at a time. It
    /// takes no lock; while a service writes, the last line may look torn.
    ///
    /// # Errors
    /// A file that cannot be opened or read is the last item. A whole line that
    /// is not an entry is an item of its own and the lines after it follow.
    pub fn read(path: &Path) -> impl Iterator<Item = Result<JournalEntry, JournalError>> + use<> {
        let (lines, failure) = match File::open(path) {
            Ok(file) => (Some(JournalReader::new(path, file, LINE_LIMIT)), None),
            Err(source) => {
                let path = path.to_owned();
                (None, Some(Err(JournalError::Open { path, source })))
            }
        };
        lines.into_iter().flatten().chain(failure)
    }

    /// Opens the journal for appending, or makes it. Hands every line that is
    /// there to `recall` and cuts off a torn last line, which it returns.
    pub(crate) fn open<T: DeserializeOwned>(
        path: &Path,
        mut recall: impl FnMut(T),
    ) -> Result<(Self, Option<TornLine>), JournalError> {
        let failed = |source| JournalError::Open { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::InUse { path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut cut = None;
        for record in JournalReader::<_, T>::new(path, &file, LINE_LIMIT) {
            match record {
                Ok(record) => recall(record),
                Err(JournalError::Torn { torn, .. }) => {
                    file.set_len(torn.offset).map_err(failed)?;
                    cut = Some(torn);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((Self { file, line: Vec::with_capacity(512), closed: false }, cut))
    }

    /// Appends one line in one write call.
    pub(crate) fn append<T: Serialize>(&mut self, record: &T) -> Result<(), JournalError> {
        if self.closed {
            return Err(JournalError::Closed);
        }
        self.line.clear();
        let encoded = serde_json::to_writer(&mut self.line, record);
        encoded.map_err(|error| JournalError::Write(io::Error::from(error)))?;
        self.line.push(b'\n');
        self.file.write_all(&self.line).map_err(|source| {
            self.closed = true;
            JournalError::Write(source)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use tempfile::TempDir;

    use super::*;
    use crate::transactions::{
        instruction::{IdempotencyKey, Instruction},
        journal_entry::JournalRecord,
    };

    fn record(key: &str) -> JournalRecord {
        let body = format!(
            r#"{{"payment_id":"{key}","account_id":"a","beneficiary_id":"b","amount":12,
                "currency":"EUR","scheduled_date":"2026-03-01"}}"#
        );
        let instruction = Instruction::parse(body.as_bytes()).unwrap();
        JournalRecord::new(&IdempotencyKey::parse(key).unwrap(), instruction)
    }

    /// A journal of three entries, its writer gone.
    fn journal_of_three() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let (mut journal, torn) = Journal::open(&path, |_: JournalRecord| panic!("new")).unwrap();
        assert_eq!(torn, None);
        for key in ["one", "two", "three"] {
            journal.append(&record(key)).unwrap();
        }
        (folder, path)
    }

    fn keys_read(path: &Path) -> Vec<Result<String, String>> {
        Journal::read(path)
            .map(|entry| {
                entry.map(|entry| entry.idempotency_key).map_err(|error| error.to_string())
            })
            .collect()
    }

    #[test]
    fn a_line_holds_what_the_contract_of_the_journal_says() {
        let (_folder, path) = journal_of_three();
        let text = fs::read_to_string(path).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let mut members: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(
            members.join(" "),
            "account_id amount beneficiary_id body currency idempotency_key scheduled_date settled_at transaction_id"
        );
    }

    #[test]
    fn a_torn_last_line_is_reported_to_a_reader_and_cut_off_by_the_next_writer() {
        let (_folder, path) = journal_of_three();
        let whole = fs::read(&path).unwrap();
        let two_lines = whole.len() / 3 * 2;
        // Every place where a write can stop, but for the ends of lines.
        for length in two_lines..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let kept = whole[..length].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
            if kept == length {
                continue;
            }
            let read = keys_read(&path);
            assert!(read.last().unwrap().as_ref().unwrap_err().ends_with("is torn"), "{read:?}");

            let mut recalled = 0;
            let (mut journal, torn) =
                Journal::open(&path, |_: JournalRecord| recalled += 1).unwrap();
            let torn = torn.unwrap();
            assert_eq!(torn.offset, kept as u64);
            assert_eq!(torn.text.as_bytes(), &whole[kept..length]);
            assert_eq!(torn.line, recalled + 1);
            journal.append(&record("four")).unwrap();
            let read: Vec<_> = Journal::read(&path).collect::<Result<_, _>>().unwrap();
            assert_eq!(read.len() as u64, recalled + 1);
            assert_eq!(fs::read(&path).unwrap()[..kept], whole[..kept]);
        }
    }

    #[test]
    fn a_corrupt_line_does_not_hide_the_lines_after_it_from_a_reader_but_stops_a_writer() {
        let (_folder, path) = journal_of_three();
        let mut lines: Vec<_> =
            fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        lines[1] = "{}".to_owned();
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        let read = keys_read(&path);
        assert_eq!(read[0], Ok("one".to_owned()));
        assert!(read[1].as_ref().unwrap_err().ends_with("line 2 is not an entry"));
        assert_eq!(read[2], Ok("three".to_owned()));
        let refused = Journal::open(&path, |_: JournalRecord| {}).unwrap_err();
        assert!(matches!(refused, JournalError::Corrupt { line: 2, .. }));
    }

    #[test]
    fn a_file_that_is_no_journal_is_not_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zeros");
        fs::write(&path, vec![0; 1 << 20]).unwrap();
        let refused = Journal::open(&path, |_: JournalRecord| {}).unwrap_err();
        assert!(matches!(refused, JournalError::TooLong { line: 1, .. }));
        assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 20);
    }

    #[test]
    fn a_journal_has_one_writer_at_a_time() {
        let (_folder, path) = journal_of_three();
        let (first, _) = Journal::open(&path, |_: JournalRecord| {}).unwrap();
        assert!(matches!(
            Journal::open(&path, |_: JournalRecord| {}).unwrap_err(),
            JournalError::InUse { .. }
        ));
        drop(first);
        assert!(Journal::open(&path, |_: JournalRecord| {}).is_ok());
    }

    #[test]
    fn a_missing_journal_is_an_error_to_a_reader() {
        let read = keys_read(Path::new("/nonexistent/journal"));
        assert_eq!(read, [Err("open journal /nonexistent/journal".to_owned())]);
    }

    #[test]
    fn after_a_write_that_failed_nothing_more_is_settled() {
        let (_folder, path) = journal_of_three();
        let (mut journal, _) = Journal::open(&path, |_: JournalRecord| {}).unwrap();
        journal.file = File::open(&path).unwrap();
        assert!(matches!(journal.append(&record("four")), Err(JournalError::Write(_))));
        assert!(matches!(journal.append(&record("four")), Err(JournalError::Closed)));
    }
}
