//! What stands before the transaction service: how many calls at once and a second, none while it
//! is down, none while dispatching is stopped.
//!
//! | module | contents |
//! |---|---|
//! | `limiter`, `limiter_state` | the call limiter: admits calls by all of the rules below |
//! | `settings` | its bounds |
//! | `concurrency_limit` | how many calls may be under way; follows the service's latency |
//! | `circuit_breaker` | no calls while the service is down |
//! | `health_probe` | asks whether the service is back |
//! | `stop_state`, `stop_monitor` | whether dispatching is stopped; storing and reading the stop |
//! | `answers` | what an answer shows of the service |
//! | `queries` | the same limits for the questions of a replay |

pub(crate) mod answers;
pub(crate) mod circuit_breaker;
pub(crate) mod concurrency_limit;
pub(crate) mod health_probe;
pub(crate) mod limiter;
mod limiter_state;
pub(crate) mod queries;
pub(crate) mod settings;
pub(crate) mod stop_monitor;
pub(crate) mod stop_state;
