//! A bank's day in fast motion: what was left over, what was scheduled ahead, the batch at
//! night, payments and cancellations through the day, the archive at its end.
//!
//! Only the calendar is made for it: the bank keeps a time zone of its own, whose midnight
//! comes when the evening is over. The services are those of any other day.

mod books;
mod plan;
mod report;
mod run;

pub use books::DayBooks;
pub use report::{ArchiveReport, DayReport, PartReport};
pub(super) use run::Day;
