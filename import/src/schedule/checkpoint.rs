//! The checkpoint of an import, in a file of its own.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The results of the rows so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowCounts {
    /// Rows that this import scheduled.
    pub(crate) scheduled: u64,
    /// Rows whose payment was there.
    pub(crate) already_scheduled: u64,
    #[serde(rename = "refused")]
    pub(crate) rejected: u64,
}

/// An import: what it brings, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportId {
    /// The file's SHA-256 in hexadecimal.
    pub(crate) sha256: String,
    pub(crate) batch: String,
    /// As the table of imports names it: rows that are in another installation's table, or were
    /// in one that has been made anew, are not done.
    pub(crate) import: String,
}

/// A position from which an import can continue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportCheckpoint {
    #[serde(flatten)]
    pub(crate) import: ImportId,
    /// So many rows from the first on are done: in the table, or among the rejected rows.
    pub(crate) rows: u64,
    pub(crate) counts: RowCounts,
    /// Bytes of the file of rejected rows that belong to them.
    #[serde(rename = "rejects")]
    pub(crate) rejected_rows: u64,
}

/// The content of the checkpoint file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StoredCheckpoint {
    /// Nothing.
    None,
    /// The checkpoint of this import.
    Same(ImportCheckpoint),
    /// Something else: of another content or batch name, or unreadable.
    Other,
}

/// The file it is written to.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    path: PathBuf,
}

impl CheckpointFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The progress of `import`.
    pub(crate) fn read(&self, import: &ImportId) -> io::Result<StoredCheckpoint> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(StoredCheckpoint::None);
            }
            Err(error) => return Err(error),
        };
        Ok(match serde_json::from_slice::<ImportCheckpoint>(&bytes) {
            Ok(found) if found.import == *import => StoredCheckpoint::Same(found),
            Ok(_) | Err(_) => StoredCheckpoint::Other,
        })
    }

    /// Replaces what is there: a crash leaves the old text or the new one, whole.
    pub(crate) fn write(&self, progress: &ImportCheckpoint) -> io::Result<()> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".tmp");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(progress)?)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)
    }

    /// Takes it away when all is done.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_found_again_only_for_the_same_content_and_batch() {
        let folder = tempfile::tempdir().unwrap();
        let file = CheckpointFile::new(folder.path().join("monday.csv.dueflow-progress"));
        let of = |sha256: &str, batch: &str, import: &str| {
            let [sha256, batch, import] = [sha256, batch, import].map(str::to_owned);
            ImportId { sha256, batch, import }
        };
        let import = of("abc", "monday", "1");
        assert_eq!(file.read(&import).unwrap(), StoredCheckpoint::None);
        let counts = RowCounts { scheduled: 7, already_scheduled: 2, rejected: 1 };
        let progress =
            ImportCheckpoint { import: import.clone(), rows: 10, counts, rejected_rows: 99 };
        file.write(&progress).unwrap();
        assert_eq!(file.read(&import).unwrap(), StoredCheckpoint::Same(progress));
        let others =
            [of("abd", "monday", "1"), of("abc", "tuesday", "1"), of("abc", "monday", "2")];
        for other in others {
            assert_eq!(file.read(&other).unwrap(), StoredCheckpoint::Other, "{other:?}");
        }
        fs::write(file.path(), "{\"sha256\":\"abc\"").unwrap();
        assert_eq!(file.read(&import).unwrap(), StoredCheckpoint::Other);
        file.remove().unwrap();
        file.remove().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
