//! Queues that outlive their process: the whole engine in one JSON file, written while it serves
//! and when it stops.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::engine::Engine;

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file, or the lock beside it, could not be opened or read.
    #[error("read the queues from {}", path.display())]
    Read {
        /// The snapshot.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file could not be written.
    #[error("write the queues to {}", path.display())]
    Write {
        /// The snapshot.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process keeps its queues in this file.
    #[error("{} is in use by another process; stop it, or use another folder", path.display())]
    InUse {
        /// The snapshot.
        path: PathBuf,
    },
    /// The file is not a snapshot of this version.
    #[error("{} is not a snapshot of queues; move it away to start without messages", path.display())]
    Malformed {
        /// The snapshot.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// The file of a snapshot, locked against other processes.
#[derive(Debug)]
pub(crate) struct SnapshotFile {
    path: PathBuf,
    _lock: File,
}

impl SnapshotFile {
    /// Locks the file and reads the engine in it, if there is one.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub(crate) fn open(path: &Path) -> Result<(Self, Option<Engine>), SnapshotError> {
        let failed = |source| SnapshotError::Read { path: path.to_owned(), source };
        // A file of its own, because a new snapshot takes the place of the old one.
        let lock = File::create(beside(path, ".lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SnapshotError::InUse { path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let engine = match fs::read(path) {
            Ok(text) => Some(
                serde_json::from_slice(&text)
                    .map_err(|source| SnapshotError::Malformed { path: path.to_owned(), source })?,
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(failed(source)),
        };
        Ok((Self { path: path.to_owned(), _lock: lock }, engine))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes another file first, which then takes the place of the snapshot: a process that is
    /// killed leaves the old one or the new one.
    ///
    /// # Errors
    /// What could not be written. The old snapshot is then still there.
    pub(crate) fn write(&self, engine: &Engine) -> io::Result<()> {
        let new = beside(&self.path, ".new");
        let mut writer = BufWriter::with_capacity(256 * 1024, File::create(&new)?);
        serde_json::to_writer(&mut writer, engine)?;
        writer.flush()?;
        fs::rename(&new, &self.path)
    }
}

/// The file of the same name with `suffix`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
