//! The bank's transaction service as dueflow sees it: a real HTTP server on
//! loopback that settles payments, remembers idempotency keys, keeps an
//! append-only journal and misbehaves on demand.
//!
//! The contract is `docs/transaction-service.yaml`.
//!
//! | file | what it holds |
//! |---|---|
//! | `service` | starting, changing faults while running, stopping at once |
//! | `availability`, `connection` | connections that are cut when the service stops or is down |
//! | `worker_pool` | how many requests are served at a time, and which wait |
//! | `routes` | HTTP requests and answers |
//! | `instruction` | the body and key of a submission; parsing is the only way in |
//! | `handler` | the decision: replayed, rejected, settled, accepted, or never answered |
//! | `faults`, `stable_hash` | what goes wrong, for which share of requests or keys, repeatably |
//! | `store` | what is written and what is remembered, changed together |
//! | `journal`, `journal_entry`, `journal_reader` | the file that is written before any answer |
//! | `settled_keys` | what is remembered of each settled payment |
//! | `acceptance`, `accepted_log`, `accepted_payments` | payments accepted with 202 that end later |
//! | `webhook_event`, `delivery_queue`, `callback`, `webhook_sender` | their results, sent and sent again |
//! | `answer`, `refusal`, `echo`, `settled_at` | what goes out, and what of the payment it repeats |
//! | `timings` | how long requests waited and were served |

mod acceptance;
mod accepted_log;
mod accepted_payments;
mod answer;
mod availability;
mod callback;
mod connection;
mod delivery_queue;
mod echo;
mod faults;
mod handler;
mod instruction;
mod journal;
mod journal_entry;
mod journal_reader;
mod refusal;
mod routes;
mod service;
mod settled_at;
mod settled_keys;
mod stable_hash;
mod store;
mod timings;
mod webhook_event;
mod webhook_sender;
mod worker_pool;

pub use availability::Availability;
pub use callback::{Callback, CallbackError};
pub use faults::{Asynchronous, Faults};
pub use journal::Journal;
pub use journal_entry::JournalEntry;
pub use journal_reader::{JournalError, TornLine};
pub use service::{LocalTransactionService, Requests, ServiceStartError};
pub use settled_at::SettledAt;
pub use timings::RequestTiming;
pub use worker_pool::ServiceCapacity;
