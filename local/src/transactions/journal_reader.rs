//! Reads a journal line by line, without holding it in memory.

use std::{
    io::{self, BufRead, BufReader, Read},
    marker::PhantomData,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

/// Why a journal, or one line of it, could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be opened or made.
    #[error("open journal {}", path.display())]
    Open {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another service writes this journal: both would settle the same keys.
    #[error("journal {} is in use by another service", path.display())]
    InUse {
        /// The journal.
        path: PathBuf,
    },
    /// The file could be opened but not read.
    #[error("read journal {} after line {line}", path.display())]
    Read {
        /// The journal.
        path: PathBuf,
        /// JournalReader read before.
        line: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A whole line is not an entry. The lines after it can still be read.
    #[error("journal {}: line {line} is not an entry", path.display())]
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A line is longer than any entry: this is not a journal.
    #[error("journal {}: line {line} is longer than {limit} bytes", path.display())]
    TooLong {
        /// The journal.
        path: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// Bytes a line may have.
        limit: u64,
    },
    /// The last line has no end: its writer was stopped in the middle, before
    /// it answered. A service that starts cuts it off.
    #[error("journal {}: line {} is torn", path.display(), torn.line)]
    Torn {
        /// The journal.
        path: PathBuf,
        /// What is there of it.
        torn: TornLine,
    },
    /// A line could not be written. The service settles nothing more.
    #[error("write journal")]
    Write(#[source] io::Error),
    /// An earlier line could not be written, and may be there in part.
    #[error("the journal is closed since a line could not be written")]
    Closed,
}

/// The beginning of a line that was never finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornLine {
    /// Number of the line, from 1.
    pub line: u64,
    /// Bytes of the journal before it.
    pub offset: u64,
    /// What is there of it.
    pub text: String,
}

/// The lines of a journal, parsed as `T`.
pub(crate) struct JournalReader<R, T> {
    reader: BufReader<R>,
    path: PathBuf,
    limit: u64,
    line: u64,
    offset: u64,
    buffer: Vec<u8>,
    ended: bool,
    parsed: PhantomData<T>,
}

impl<R: Read, T: DeserializeOwned> JournalReader<R, T> {
    /// Reads `source`, which is the file `path`, by lines of at most `limit` bytes: without one,
    /// a file that is no journal would be read whole.
    pub(crate) fn new(path: &Path, source: R, limit: u64) -> Self {
        Self {
            reader: BufReader::with_capacity(64 * 1024, source),
            path: path.to_owned(),
            limit,
            line: 0,
            offset: 0,
            buffer: Vec::new(),
            ended: false,
            parsed: PhantomData,
        }
    }

    /// Reads one line into the buffer; `None` at the end.
    fn fill(&mut self) -> io::Result<Option<u64>> {
        self.buffer.clear();
        let mut limited = self.reader.by_ref().take(self.limit);
        let length = limited.read_until(b'\n', &mut self.buffer)? as u64;
        Ok((length > 0).then_some(length))
    }

    /// Parses the line in the buffer.
    fn parse(&mut self, length: u64) -> Result<T, JournalError> {
        let (path, line) = (self.path.clone(), self.line);
        if self.buffer.last() != Some(&b'\n') {
            self.ended = true;
            if length == self.limit {
                return Err(JournalError::TooLong { path, line, limit: self.limit });
            }
            let text = String::from_utf8_lossy(&self.buffer).into_owned();
            let torn = TornLine { line, offset: self.offset, text };
            return Err(JournalError::Torn { path, torn });
        }
        self.offset += length;
        serde_json::from_slice(&self.buffer).map_err(|source| JournalError::Corrupt {
            path,
            line,
            source,
        })
    }
}

impl<R: Read, T: DeserializeOwned> Iterator for JournalReader<R, T> {
    type Item = Result<T, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.fill() {
            Ok(Some(length)) => {
                self.line += 1;
                Some(self.parse(length))
            }
            Ok(None) => None,
            Err(source) => {
                self.ended = true;
                let (path, line) = (self.path.clone(), self.line);
                Some(Err(JournalError::Read { path, line, source }))
            }
        }
    }
}
