//! The bank's transaction service as dueflow sees it: a real HTTP server on
//! loopback that settles payments, remembers idempotency keys, keeps an
//! append-only journal and misbehaves on demand.
//!
//! The contract is `docs/transaction-service.yaml`. One request passes through
//! these files, each of which holds one idea:
//!
//! | file | idea |
//! |---|---|
//! | `server` | starting, changing faults while running, stopping at once |
//! | `line`, `door` | a connection that dies when the service stops or is down |
//! | `gate` | how many requests are served at a time, and who waits |
//! | `routes` | HTTP in, HTTP out |
//! | `instruction` | parsing is the only way in |
//! | `desk` | the decision: known, rejected, settled, taken, or settled and never answered |
//! | `asynchronous` | payments that are taken now and end later, with a callback |
//! | `faults` | what goes wrong, and for which share of requests or keys |
//! | `keys` | what the service remembers of each settled payment |
//! | `book` | what is written and what is remembered, changed together |
//! | `journal`, `entry` | the file that is written before any answer |
//! | `answer`, `refusal`, `echo` | what goes out, and what of the payment it repeats |
//! | `stopwatch` | how long requests waited and were served |
//! | `stable_hash` | the same draw for the same key, on every machine |

mod answer;
mod asynchronous;
mod book;
mod desk;
mod door;
mod echo;
mod entry;
mod faults;
mod gate;
mod instruction;
mod journal;
mod journal_reader;
mod keys;
mod line;
mod refusal;
mod routes;
mod server;
mod stable_hash;
mod stopwatch;

pub use answer::SettledAt;
pub use asynchronous::{Callback, CallbackError};
pub use door::Reach;
pub use entry::Entry;
pub use faults::{Asynchronous, Faults};
pub use gate::Capacity;
pub use journal::Journal;
pub use journal_reader::{JournalError, TornLine};
pub use server::{Requests, StartError, TransactionService};
pub use stopwatch::Serving;
