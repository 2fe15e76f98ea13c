//! The fault proxy: an HTTP/1.1 proxy in front of `DynamoDB` with Streams, SQS or the
//! transaction service that makes them misbehave as they do when they are far away and busy.
//!
//! What becomes of a request is drawn from a seed and the request's number. A request whose
//! client has gone away is carried on with: a late one may arrive long after its sender was
//! killed, as in a real network.
//!
//! | file | idea |
//! |---|---|
//! | `faults` | what can go wrong, how often, and the draw: pure |
//! | `service` | how each service says that it is busy: pure |
//! | `partly` | refusing a part of a batch: pure |
//! | `counts` | what was done to how many requests |
//! | `server` | connections, and cutting them |
//! | `line` | one request: faults and bugs around forwarding |
//! | `upstream` | forwarding |
//! | `bugs` | planted bugs, by which the judges are judged |

mod bugs;
mod counts;
mod faults;
mod line;
mod partly;
mod server;
mod service;
mod upstream;

pub use bugs::Bug;
pub use counts::Counts;
pub use faults::{Fault, Faults, Shares};
pub use server::Proxy;
pub use service::Service;
