//! What became of the rows, in the order of the file, and how far that is durable.

use super::progress::{Counts, Found, ImportId, Progress, ProgressFile};
use super::rejects::{Refused, Rejects};
use super::source::Source;
use super::stop::Stop;

/// Rows after which it is written down how far the import came.
const WRITTEN: u64 = 500;
/// Refused rows that are printed; the others are in the file of rejects.
const PRINTED: usize = 20;

/// Whether refused rows are printed as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Printing {
    Lines,
    Nothing,
}

/// Whether payments are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Looking,
    Scheduling,
}

/// What became of the rows. Each row goes in once, in the order of the file.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) counts: Counts,
    /// So many rows from the first on are done.
    pub(crate) rows: u64,
    /// The first refused rows.
    pub(crate) reasons: Vec<(u64, String)>,
    rejects: Option<Rejects>,
    progress: Option<(ProgressFile, Progress)>,
    printing: Printing,
    purpose: Purpose,
}

/// Where an import starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Beginning,
    /// The last one did not come to its end, but the file or the batch name is another now, or
    /// its rejects are gone.
    Anew,
    /// Behind so many rows that are done.
    Behind(u64),
}

impl Ledger {
    /// One that writes nothing but rejects.
    pub(crate) fn of_rejects(rejects: Option<Rejects>, printing: Printing) -> Self {
        let (counts, reasons) = (Counts::default(), Vec::new());
        let purpose = Purpose::Looking;
        Self { counts, rows: 0, reasons, rejects, progress: None, printing, purpose }
    }

    /// One that goes on where the last import of the same rows stood.
    pub(crate) fn open(
        source: &Source,
        header: &[u8],
        import: ImportId,
        rejects: &std::path::Path,
        file: Option<ProgressFile>,
        printing: Printing,
    ) -> Result<(Self, Start), Stop> {
        let read =
            |file: &ProgressFile| file.read(&import).map_err(Stop::file("reading", file.path()));
        let mut start = Start::Beginning;
        if let Some(file) = &file {
            match read(file)? {
                Found::Nothing => {}
                Found::Other => start = Start::Anew,
                Found::Same(found) => {
                    let kept = Rejects::go_on(rejects, source.cut.format(), header, found.rejects)
                        .map_err(Stop::file("going on with", rejects))?;
                    if let Some(kept) = kept {
                        let (counts, rows) = (found.counts, found.rows);
                        let mut ledger = Self::of_rejects(Some(kept), printing);
                        (ledger.counts, ledger.rows) = (counts, rows);
                        ledger.purpose = Purpose::Scheduling;
                        ledger.progress = Some((ProgressFile::new(file.path().to_owned()), found));
                        return Ok((ledger, Start::Behind(rows)));
                    }
                    start = Start::Anew;
                }
            }
        }
        let anew = Rejects::anew(rejects, source.cut.format(), header);
        let anew = anew.map_err(Stop::file("replacing", rejects))?;
        let mut ledger = Self::of_rejects(Some(anew), printing);
        ledger.purpose = Purpose::Scheduling;
        let progress = Progress { import, rows: 0, counts: Counts::default(), rejects: 0 };
        ledger.progress = file.map(|file| (file, progress));
        // From here on the rejects are this import's, and what was written down of another is void.
        ledger.make_durable()?;
        Ok((ledger, start))
    }

    /// A row whose payment this import wrote, or would write.
    pub(crate) fn scheduled(&mut self) {
        self.rows += 1;
        if self.purpose == Purpose::Scheduling {
            self.counts.scheduled += 1;
        }
    }

    /// A row whose payment was there.
    pub(crate) fn already_scheduled(&mut self) {
        self.rows += 1;
        self.counts.already_scheduled += 1;
    }

    /// A row that is fine, and not to be written.
    pub(crate) fn passed(&mut self) {
        self.rows += 1;
    }

    /// A refused row.
    pub(crate) fn refuse(&mut self, refused: Refused) -> Result<(), Stop> {
        self.rows += 1;
        self.counts.refused += 1;
        if let Some(rejects) = &mut self.rejects {
            let what = "writing the rejected rows".to_owned();
            rejects.write(&refused).map_err(|source| Stop::File { what, source })?;
        }
        if self.reasons.len() < PRINTED {
            if self.printing == Printing::Lines {
                eprintln!("line {}: {}", refused.line, refused.reason);
            }
            self.reasons.push((refused.line, refused.reason));
        }
        Ok(())
    }

    /// Whether all is well so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.counts.refused == 0
    }

    /// Writes down how far it came, if that is far enough from the last time.
    pub(crate) fn settle(&mut self) -> Result<(), Stop> {
        let written = self.progress.as_ref().map_or(self.rows, |(_, progress)| progress.rows);
        if self.rows - written >= WRITTEN { self.make_durable() } else { Ok(()) }
    }

    /// Writes down how far it came. First the rejects: what is written down covers them.
    pub(crate) fn make_durable(&mut self) -> Result<(), Stop> {
        let what = "writing the rejected rows".to_owned();
        let durable = self.rejects.as_mut().map(Rejects::make_durable).transpose();
        let durable = durable.map_err(|source| Stop::File { what, source })?;
        let Some((file, progress)) = &mut self.progress else { return Ok(()) };
        progress.rejects = durable.unwrap_or_default();
        (progress.rows, progress.counts) = (self.rows, self.counts);
        file.write(progress).map_err(Stop::file("writing", file.path()))
    }

    /// All rows are done. Without progress to go on from, the next import starts at the beginning.
    pub(crate) fn finish(&mut self) -> Result<(), Stop> {
        self.make_durable()?;
        match self.progress.take() {
            Some((file, _)) => file.remove().map_err(Stop::file("removing", file.path())),
            None => Ok(()),
        }
    }

    /// The file of rejects, if there is one.
    pub(crate) fn rejects(&self) -> Option<&std::path::Path> {
        self.rejects.as_ref().and_then(Rejects::path)
    }
}
