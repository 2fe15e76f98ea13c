//! `dueflow demo`: a whole run on this machine, with a report that must balance.

mod generate;
mod live;
mod options;
mod progress;
mod reconcile;
mod report;
mod run;
mod services;
mod timing;

pub use generate::{Plan, schedule};
pub use options::DemoOptions;
pub use reconcile::{Books, read_dead_letters, reconcile};
pub use report::{Cost, ProcessReport, Report};
pub(crate) use run::run;
pub use timing::{Times, Timing};
