//! `dueflow preflight`: will tonight's batch pass? Looks, and changes nothing.
//!
//! Each check is a pure judgement over facts, with a thin reader that fetches them.
//!
//! | module | holds |
//! |---|---|
//! | `options`, `settings` | what is asked for |
//! | `check`, `report` | a check's result, and how it is printed |
//! | `load`, `format` | what tonight needs, and how numbers are written |
//! | `run` | all readers at once, each with a deadline |
//! | `connectivity`, `clock` | whether AWS answers, and what time it is there |
//! | `capacity`, `tables` | the tables |
//! | `queues`, `backlog` | the queues, and what lies in them |
//! | `service` | the transaction service |
//! | `dispatching` | whether dispatching is stopped |
//! | `counting`, `spread`, `unfinished`, `forgotten` | payments by day, partition and account |
//! | `relays`, `admin` | dueflow's own processes |

mod admin;
mod backlog;
mod capacity;
mod check;
mod clock;
mod connectivity;
mod counting;
mod dispatching;
mod forgotten;
mod format;
mod load;
mod options;
mod queues;
mod relays;
mod report;
mod run;
mod service;
mod settings;
mod spread;
mod tables;
mod unfinished;

pub use options::PreflightOptions;
pub(crate) use run::preflight;
pub(crate) use settings::PreflightSettings;
