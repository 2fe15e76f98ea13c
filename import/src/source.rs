//! The file that is imported: the same bytes at both readings.

use std::fs::{File, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::lines::Cut;
use super::options::{Format, ImportOptions};
use super::stop::Stop;

/// Bytes read at a time.
const BUFFER: usize = 256 * 1024;

/// The file, open and locked: a second import of it at the same time would mix up what is written
/// beside it.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    /// `None` for standard input.
    path: Option<PathBuf>,
    /// How its rows are told apart.
    pub(crate) cut: Cut,
    /// Its size.
    pub(crate) bytes: u64,
    modified: Option<SystemTime>,
}

impl Source {
    /// Opens the file, or keeps standard input in a temporary one.
    pub(crate) fn open(options: &ImportOptions) -> Result<Self, Stop> {
        let (file, path) = if options.file == Path::new("-") {
            let taking = "keeping standard input in a temporary file".to_owned();
            (spooled().map_err(|source| Stop::File { what: taking, source })?, None)
        } else {
            (opened(&options.file)?, Some(options.file.clone()))
        };
        let name = options.file.display();
        let metadata = file.metadata().map_err(Stop::file("looking at", &options.file))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Stop::Usage(format!("another import of {name} is under way")));
            }
            // Some file systems have no locks; the table keeps payments from being written twice.
            Err(TryLockError::Error(_)) => {}
        }
        let format = options.format.unwrap_or_else(|| format_of(&options.file));
        let cut = match (format, options.trust_lines) {
            (Format::Csv, false) => Cut::Grammar,
            (Format::Csv, true) => Cut::CsvLines,
            (Format::Jsonl, false) => Cut::JsonLines,
            (Format::Jsonl, true) => {
                let reason = "--trust-lines is for CSV; in JSON lines every line is one row";
                return Err(Stop::Usage(reason.to_owned()));
            }
        };
        let modified = metadata.modified().ok();
        Ok(Self { file, path, cut, bytes: metadata.len(), modified })
    }

    /// A path beside the file; `None` for standard input.
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
    pub(crate) fn read(&self) -> Result<Reader<'_>, Stop> {
        let reading = |source| Stop::File { what: "reading the file".to_owned(), source };
        (&self.file).seek(SeekFrom::Start(0)).map_err(reading)?;
        let metadata = self.file.metadata().map_err(reading)?;
        if metadata.len() != self.bytes || metadata.modified().ok() != self.modified {
            return Err(changed());
        }
        let hashed = Hashed { file: &self.file, hash: Sha256::new() };
        Ok(BufReader::with_capacity(BUFFER, hashed))
    }
}

/// The file is not what was checked.
pub(crate) fn changed() -> Stop {
    Stop::Data("the file was changed while it was read; run it again".to_owned())
}

/// Reads the file and hashes it on the way.
pub(crate) type Reader<'a> = BufReader<Hashed<'a>>;

/// The SHA-256 of all that was read, in hexadecimal.
pub(crate) fn sha256(reader: Reader<'_>) -> String {
    let digest = reader.into_inner().hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug)]
pub(crate) struct Hashed<'a> {
    file: &'a File,
    hash: Sha256,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

fn opened(path: &Path) -> Result<File, Stop> {
    let usage = |error| Stop::Usage(format!("opening {}: {error}", path.display()));
    // Opening a pipe would wait for its writer.
    let metadata = path.metadata().map_err(usage)?;
    if !metadata.is_file() {
        return Err(Stop::Usage(format!(
            "{} is no regular file, and it is read twice; give - to take standard input",
            path.display()
        )));
    }
    File::open(path).map_err(usage)
}

fn spooled() -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    Ok(file)
}

fn format_of(path: &Path) -> Format {
    match path.extension().and_then(|ending| ending.to_str()).unwrap_or_default() {
        "jsonl" | "ndjson" | "json" => Format::Jsonl,
        _ => Format::Csv,
    }
}
