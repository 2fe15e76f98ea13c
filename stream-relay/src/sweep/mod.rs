//! What the stream does not bring: the payments of a day that were inserted before it (its
//! opening), what the stream has lost (a gap), and what no message carries any more (the
//! watch). All of it lies in the table, and the index `due` finds it.

mod calendar;
mod duties;
mod fit;
mod gap;
mod hand;
mod interleave;
mod judgement;
mod lightest;
mod opening;
mod sweeper;
mod watch;

pub(crate) use self::duties::Duties;
pub(crate) use self::fit::Misfit;
pub(crate) use self::gap::{Lost, Requests, Sweeps, Ticket};
pub(crate) use self::hand::Hand;
pub(crate) use self::opening::Opener;
pub(crate) use self::sweeper::Sweeper;
pub(crate) use self::watch::{Memory, Turns, Watch};
