//! What dueflow's services share.
//!
//! | module | holds |
//! |---|---|
//! | [`payments`] | the payments table |
//! | [`queue`] | the queues and the dead-letter queue |
//! | [`transaction`] | the client of the transaction service |
//! | [`resources`] | which tables and queues there are |
//! | [`setup`] | making them |
//! | [`reconciliation`] | a payment against the journal and the dead letters |
//! | [`config`] | settings |
//! | [`dispatch_stop`] | the stored stop of dispatching, and what calls for one |
//! | [`clock`] | the wall clock |
//! | [`date_header`] | the time of day where an answer comes from |
//! | [`dead_letters`] | one dead letter for each payment that FAILED |
//! | [`installation`] | what all services agree on: zone, shards, time of day |
//! | [`pacer`] | work at an even rate |
//! | [`aws`], [`retry`], [`shutdown`] | clients with deadlines, patience, ending in order |
//! | [`http`] | clients that go where they are told, addresses as they may be shown |
//! | [`listener`] | opening a listener |
//! | [`telemetry`], [`service`] | logs, metrics, admin port, and the frame of an executable |

pub mod aws;
mod aws_http;
pub mod clock;
pub mod config;
pub mod date_header;
pub mod dead_letters;
pub mod dispatch_stop;
pub mod http;
pub mod installation;
pub mod listener;
pub mod pacer;
pub mod payments;
pub mod queue;
pub mod reconciliation;
pub mod resources;
pub mod retry;
pub mod service;
pub mod setup;
pub mod shutdown;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod transaction;
