//! The file that is imported: the same bytes in both passes.

use std::fs::{File, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::error::ImportError;

/// Bytes read at a time.
const BUFFER: usize = 256 * 1024;

/// The file, open and locked: a second import of it at the same time would mix up the files that
/// are written beside it.
#[derive(Debug)]
pub struct SourceFile {
    file: File,
    /// `None` for a copied stream.
    path: Option<PathBuf>,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl SourceFile {
    /// Opens and locks the file.
    ///
    /// # Errors
    /// It is no regular file, cannot be opened, or another import has it open.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let name = path.display();
        let usage = |error| ImportError::Usage(format!("opening {name}: {error}"));
        // Opening a pipe would wait for its writer.
        if !path.metadata().map_err(usage)?.is_file() {
            return Err(ImportError::Usage(format!(
                "{name} is not a regular file, and an import reads it twice; give - to read standard input"
            )));
        }
        let file = File::open(path).map_err(usage)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ImportError::Usage(format!(
                    "another import of {name} is running; wait until it ends"
                )));
            }
            // Some file systems have no locks; the table keeps payments from being written twice.
            Err(TryLockError::Error(_)) => {}
        }
        Self::of(file, Some(path.to_owned())).map_err(ImportError::io("opening", path))
    }

    /// Copies a stream into a temporary file, because an import reads twice.
    ///
    /// # Errors
    /// The stream cannot be read, or the temporary file not be written.
    pub fn copy_of(mut stream: impl Read) -> Result<Self, ImportError> {
        let mut copied = || {
            let mut file = tempfile::tempfile()?;
            io::copy(&mut stream, &mut file)?;
            Self::of(file, None)
        };
        let what = "copying the input to a temporary file".to_owned();
        copied().map_err(|source| ImportError::Io { what, source })
    }

    fn of(file: File, path: Option<PathBuf>) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { file, path, bytes: metadata.len(), modified: metadata.modified().ok() })
    }

    /// Its path; `None` for a copied stream.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Its name in messages.
    pub(crate) fn name(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new("-"))
    }

    /// Its size.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file's path with an ending; `None` for a copied stream.
    pub(crate) fn beside(&self, ending: &str) -> Option<PathBuf> {
        let mut path = self.path.clone()?.into_os_string();
        path.push(ending);
        Some(path.into())
    }

    /// Whether `path` is the file itself.
    pub(crate) fn is(&self, path: &Path) -> bool {
        let real = |path: &Path| path.canonicalize().ok();
        self.path.as_deref().and_then(real).is_some_and(|own| real(path) == Some(own))
    }

    /// Reads it from its beginning.
    pub(crate) fn read(&self) -> Result<SourceReader<'_>, ImportError> {
        let reading = |source| ImportError::Io { what: "reading the file".to_owned(), source };
        (&self.file).seek(SeekFrom::Start(0)).map_err(reading)?;
        let metadata = self.file.metadata().map_err(reading)?;
        if metadata.len() != self.bytes || metadata.modified().ok() != self.modified {
            return Err(changed());
        }
        let hashed = HashedFile { file: &self.file, hash: Sha256::new() };
        Ok(BufReader::with_capacity(BUFFER, hashed))
    }
}

/// The file is no longer the one that was validated.
pub(crate) fn changed() -> ImportError {
    ImportError::InvalidFile("the file changed while it was read; run the import again".to_owned())
}

/// Reads the file and hashes it on the way.
pub(crate) type SourceReader<'a> = BufReader<HashedFile<'a>>;

/// The SHA-256 of all that was read, in hexadecimal.
pub(crate) fn sha256(reader: SourceReader<'_>) -> String {
    hex::encode(reader.into_inner().hash.finalize())
}

#[derive(Debug)]
pub(crate) struct HashedFile<'a> {
    file: &'a File,
    hash: Sha256,
}

impl Read for HashedFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}
