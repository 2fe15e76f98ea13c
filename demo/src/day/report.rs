//! The report of a day, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::books::DayBooks;
use crate::report::ProcessReport;

/// How many payments a part of the day brought.
#[derive(Debug, Clone, Serialize)]
pub struct PartReport {
    /// Which part.
    pub name: &'static str,
    /// Payments that were scheduled in it.
    pub payments: u64,
}

/// What the archive took at the end of the day.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct ArchiveReport {
    /// Payments that were moved.
    pub moved: u64,
    /// How long that took.
    pub seconds: f64,
}

/// Everything that a day showed.
#[derive(Debug, Clone, Serialize)]
pub struct DayReport {
    /// The day, by the bank's calendar.
    pub day: String,
    /// Where its payments came from.
    pub parts: Vec<PartReport>,
    /// Seconds from the first payment of the evening to the last one that left.
    pub leaving_seconds: f64,
    /// Its end.
    pub archive: ArchiveReport,
    /// What each process used, per 1,000 payments that left.
    pub processes: Vec<ProcessReport>,
    /// Where each payment is, against where it should be.
    pub books: DayBooks,
    /// Whether the books balance and every service ended in order.
    pub balanced: bool,
    /// What else went wrong.
    pub problems: Vec<String>,
}

impl fmt::Display for DayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { books, archive, .. } = self;
        writeln!(f, "{}: {} payments in {:.1} s", self.day, books.inserted, self.leaving_seconds)?;
        for part in &self.parts {
            writeln!(f, "  {:>9}  {}", part.payments, part.name)?;
        }
        writeln!(
            f,
            "became     {} archived, {} failed, {} cancelled, {} wait for a later day; {} are not where they should be",
            books.archived, books.failed, books.cancelled, books.waiting, books.wrong
        )?;
        writeln!(f, "archive    {} payments moved in {:.1} s", archive.moved, archive.seconds)?;
        for process in &self.processes {
            writeln!(f, "{process}")?;
        }
        for difference in &books.differences {
            writeln!(f, "DIFFERENCE {difference}")?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM    {problem}")?;
        }
        f.write_str(if self.balanced { "The books balance." } else { "THE BOOKS DO NOT BALANCE." })
    }
}
