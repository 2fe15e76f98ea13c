//! The first pass: every row is checked and counted, nothing is written.

mod content_hash;
mod duplicate_rows;
mod rules;
mod totals;
mod validation;

pub(crate) use duplicate_rows::{DuplicateFilter, DuplicateRows};
pub(crate) use rules::{RowRules, shortened};
pub(crate) use validation::{Validation, validate};
