//! `dueflow payments`: import and show.

mod import;
mod row;
mod rows;
mod show;

pub(crate) use import::import;
pub(crate) use show::show;
