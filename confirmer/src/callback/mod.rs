//! Callbacks: the transaction service reports what became of a payment that it answered
//! with 202 (`POST /v1/confirmations`, Standard Webhooks).
//!
//! | module | contents |
//! |---|---|
//! | `server` | accepts connections, within limits |
//! | `handler` | one request, from its headers to the queue |
//! | `signature`, `secret` | who sent it, and when |
//! | `replay_cache` | whether it came before |
//! | `event` | what it says |
//! | `response` | how it is answered |
//! | `settings` | where the listener is bound, and the secrets |

mod event;
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod replay_cache;
mod response;
mod secret;
mod server;
mod settings;
mod signature;
#[cfg(test)]
mod tests;

pub use secret::Secret;
pub use server::CallbackServer;
pub use settings::CallbackSettings;
