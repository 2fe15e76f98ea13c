//! The archive: settled payments of the days that are over, in a table of their own.
//!
//! A payment is put there, read back and only then deleted from the payments table, so it is
//! always in at least one of the two, and a run that died is finished by the next (ADR-14).
//!
//! | module | holds |
//! |---|---|
//! | `item` | a payment as it is archived, and what two of them have in common |
//! | `table` | the archive: put, read, find |
//! | `entries` | all payments of a day, whatever their status, from the index `due` |
//! | `settled` | everything that was settled, from either table whole |
//! | `tables` | both tables, as the move needs them |
//! | `archiver` | put, verify, delete |
//! | `day` | archives the settled payments of one day |

mod archiver;
mod day;
mod entries;
mod error;
mod item;
mod settled;
mod table;
mod tables;

pub use archiver::{ArchiveResult, ArchiverTables, DeleteResult, NotArchived, archive_payments};
pub use day::{Counters, DayPlan, DaySummary, Left, archive_day};
pub use entries::{DueEntry, DueEntryPage};
pub use error::ArchiveError;
pub use item::{ArchiveItem, ItemComparison, NotArchivable};
pub use settled::{SettledPage, SettledPayment};
pub use table::{ArchiveLookup, ArchiveTable, PutResult};
pub use tables::PaymentsAndArchive;
