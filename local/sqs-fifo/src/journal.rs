//! The file that keeps queues over restarts: one line per change, appended before the answer.
//!
//! Lines are written into the page cache and outlive the process, not the machine. At the start,
//! and whenever the file has grown to several times of what it tells, it is written anew with
//! nothing but what is left: to another file first, which then takes its place.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::engine::{Change, Engine, Recollection};
use crate::lines::{JournalError, Lines};

/// Bytes of a line. The longest holds a message of 1 MiB with each character escaped; binary
/// attributes grow by a third.
const LINE_LIMIT: u64 = 4 * 1024 * 1024;
/// The file may grow to this size in any case, ...
const SMALL: u64 = 16 * 1024 * 1024;
/// ... and to so many times its size when it was last written anew.
const GROWTH: u64 = 3;

/// A journal of queues with its one writer.
#[derive(Debug)]
pub(crate) struct QueueJournal {
    path: PathBuf,
    file: File,
    /// Locked for as long as this journal is open; the journal itself is replaced at times.
    _lock: File,
    lines: Vec<u8>,
    /// Bytes of the file, now and when it was last written anew.
    length: u64,
    told: u64,
    closed: bool,
}

impl QueueJournal {
    /// Opens the journal, or makes it, and lets `recollection` take its changes in. A torn last
    /// line was never answered for, and is left out. To be followed by
    /// [`QueueJournal::write_anew`].
    ///
    /// # Errors
    /// [`JournalError`]: what cannot be opened or read, or is no journal.
    pub(crate) fn open(path: &Path, recollection: &mut Recollection) -> Result<Self, JournalError> {
        let failed = |source| JournalError::Open { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let lock = options.open(beside(path, ".lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::InUse { path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let file = options.open(path).map_err(failed)?;
        for (line, change) in (1..).zip(Lines::<_, Change>::new(path, &file, LINE_LIMIT)) {
            match change {
                Ok(change) => recollection.apply(change).map_err(|error| {
                    let source = serde::de::Error::custom(error);
                    JournalError::Corrupt { path: path.to_owned(), line, source }
                })?,
                Err(JournalError::Torn { torn, .. }) => {
                    tracing::warn!(line, bytes = torn.text.len(), "torn line left out of queues");
                }
                Err(error) => return Err(error),
            }
        }
        let (path, lines) = (path.to_owned(), Vec::new());
        Ok(Self { path, file, _lock: lock, lines, length: 0, told: 0, closed: false })
    }

    /// Keeps the changes of one call. When it has grown, it is written anew from `engine`.
    ///
    /// # Errors
    /// A line that could not be written; from then on nothing is.
    pub(crate) fn keep(&mut self, changes: &[Change], engine: &Engine) -> Result<(), JournalError> {
        if self.closed {
            return Err(JournalError::Closed);
        }
        let kept = self.append(changes).and_then(|()| {
            let allowed = SMALL.max(self.told.saturating_mul(GROWTH));
            if self.length > allowed { self.replace(engine) } else { Ok(()) }
        });
        self.closed = kept.is_err();
        kept.map_err(JournalError::Write)
    }

    /// Writes all of it anew, without what is gone.
    ///
    /// # Errors
    /// What could not be written. The journal as it was is then still there.
    pub(crate) fn write_anew(&mut self, engine: &Engine) -> Result<(), JournalError> {
        self.replace(engine).map_err(JournalError::Write)
    }

    /// Lets every further write fail.
    #[cfg(test)]
    pub(crate) fn fail(&mut self) {
        self.file = File::open(&self.path).expect("the journal");
    }

    fn append(&mut self, changes: &[Change]) -> io::Result<()> {
        self.lines.clear();
        for change in changes {
            write_line(&mut self.lines, change)?;
        }
        self.length += self.lines.len() as u64;
        // One write call for all of them.
        self.file.write_all(&self.lines)?;
        self.lines.shrink_to(64 * 1024);
        Ok(())
    }

    fn replace(&mut self, engine: &Engine) -> io::Result<()> {
        let new = beside(&self.path, ".new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
        let mut writer = BufWriter::with_capacity(256 * 1024, file);
        for change in engine.retell() {
            write_line(&mut writer, &change)?;
        }
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        self.told = file.metadata()?.len();
        self.length = self.told;
        std::fs::rename(&new, &self.path)?;
        self.file = file;
        Ok(())
    }
}

fn write_line(to: &mut impl Write, change: &Change) -> io::Result<()> {
    serde_json::to_writer(&mut *to, change)?;
    to.write_all(b"\n")
}

/// The file of the same name with `suffix`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
