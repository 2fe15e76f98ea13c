//! `dueflow payments`: import and show.

mod import;
mod show;

pub use import::ImportOptions;
pub(crate) use import::import;
pub(crate) use show::show;
