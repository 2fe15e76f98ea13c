//! The three sweeps of the payments table: the day opening queues what was inserted before its
//! day, the gap recovery what the stream has dropped, and the lost-message scan what no message
//! carries any more. All of them read the index `due`.

pub(crate) mod day_opening;
pub(crate) mod day_position;
mod due_index;
mod eligibility;
pub(crate) mod gap_recovery;
pub(crate) mod gap_request;
mod interleave;
mod item_check;
mod last_scan;
pub(crate) mod lost_message_scan;
mod small_accounts;
mod sweep_leases;
mod unopened_days;

pub(crate) use self::due_index::DueIndex;
pub(crate) use self::sweep_leases::SweepLeases;
