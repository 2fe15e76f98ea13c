//! The demo: a whole run of dueflow on this machine, with a report that must balance.
//!
//! | module | what it holds |
//! |---|---|
//! | [`local_world`] | the outside world and the services as processes of this machine |
//! | `announcement` | what a run is about to do, and how long it takes |
//! | `run` | one run, from an empty folder to the report |
//! | `day` | a bank's day in fast motion |
//! | `generate` | the payments of a run |
//! | `services` | starting and ending the services |
//! | `live`, `progress` | how far a run is |
//! | `reconcile` | the table and the dead letters against the transaction service's journal |
//! | `timing`, `report` | what is printed at the end |

mod announcement;
mod day;
mod generate;
mod live;
pub mod local_world;
mod options;
mod progress;
mod reconcile;
mod report;
mod run;
mod services;
mod timing;
mod wait;

pub use day::{ArchiveReport, DayBooks, DayReport, PartReport};
pub use generate::{SchedulePlan, schedule};
pub use options::DemoOptions;
pub use reconcile::{Books, read_dead_letters, reconcile};
pub use report::{Cost, ProcessReport, Report};
pub use run::run;
pub use timing::{PendingTiming, Times, Timing};
