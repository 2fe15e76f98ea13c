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
//! | `line` | a connection that dies when the service stops |
//! | `routes` | HTTP in, HTTP out |
//! | `instruction` | parsing is the only way in |
//! | `desk` | the decision: known, rejected, settled, or settled and never answered |
//! | `faults` | what goes wrong, and for which share of requests or keys |
//! | `keys` | what the service remembers of each settled payment |
//! | `journal`, `entry` | the book that is written before any answer |
//! | `answer`, `refusal` | what goes out |
//! | `stable_hash` | the same draw for the same key, on every machine |

mod answer;
mod desk;
mod entry;
mod faults;
mod instruction;
mod journal;
mod keys;
mod line;
mod refusal;
mod routes;
mod server;
mod stable_hash;

pub use crate::lines::{JournalError, TornLine};
pub use answer::SettledAt;
pub use entry::Entry;
pub use faults::Faults;
pub use journal::Journal;
pub use server::{StartError, TransactionService};
