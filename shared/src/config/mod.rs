//! Settings: one commented default file < a file of the user's < `DUEFLOW_*` variables.
//!
//! Every value is checked before a port or a client opens, and all that is wrong is said at
//! once.

mod catalogue;
mod common;
mod names;
mod settings;
mod zone;

pub use catalogue::{Setting, catalogue, help};
pub use common::{
    Common, Installation, ParentPipe, Receiving, SweptDays, attempt_limits, old_days_interval,
    time_zone,
};
pub use names::Names;
pub use settings::{ConfigErrors, Settings};
pub use zone::zone_ahead_by;
