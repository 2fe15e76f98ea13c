//! Schedules the payments of a file, for the command `dueflow payments import`.
//!
//! The file is read twice. The first pass validates it: it counts, sums and compares, and writes
//! nothing. The second pass schedules the payments and continues after a crash where it was.
//!
//! | module | content |
//! |---|---|
//! | `import` | an import from its options to its summary |
//! | `options`, `report`, `summary`, `error` | what goes in and comes out |
//! | `file` | the file, its syntax, its rows and its trailer |
//! | `validate` | the first pass: rules, totals, content hash, duplicate rows |
//! | `schedule` | the second pass: inserts, rejected rows, checkpoint, registry of batches |

mod error;
mod file;
#[doc(hidden)]
pub mod fuzzing;
mod import;
mod options;
mod report;
mod schedule;
mod summary;
#[cfg(test)]
mod tests;
mod validate;

pub use error::ImportError;
pub use file::{ExpectedSum, RowSyntax, SourceFile};
pub use import::Import;
pub use options::ImportOptions;
pub use report::{ImportReport, Notice, Phase};
pub use schedule::{ImportTables, RowRejection};
pub use summary::{PaymentsWritten, Summary};
