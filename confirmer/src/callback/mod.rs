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

mod event;
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod replay_cache;
mod secret;
mod server;
mod signature;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use shared::config::Settings;

pub(crate) use handler::Answer;
pub use secret::Secret;
pub use server::Callbacks;

/// Where callbacks are taken, and by which secrets they are known.
#[derive(Debug, Clone)]
pub struct CallbackSettings {
    /// Where the port is bound.
    pub address: SocketAddr,
    /// Where that address is written to.
    pub address_file: Option<PathBuf>,
    /// The secret, and the one before it while the sender changes.
    pub secrets: Vec<Secret>,
}

impl CallbackSettings {
    /// Reads them; `None` when callbacks are not wanted, or when a setting is wrong, which
    /// `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let secret = settings.secret("DUEFLOW_CALLBACK_SECRET", Secret::parse);
        let previous = settings.secret("DUEFLOW_CALLBACK_SECRET_PREVIOUS", Secret::parse);
        settings.optional("DUEFLOW_CALLBACK_ADDRESS")?;
        let address = settings.parse("DUEFLOW_CALLBACK_ADDRESS");
        if settings.optional("DUEFLOW_CALLBACK_SECRET").is_none() {
            let reason = "must be set with DUEFLOW_CALLBACK_ADDRESS";
            settings.refuse("DUEFLOW_CALLBACK_SECRET", reason);
        }
        Some(Self {
            address: address?,
            address_file: settings.optional("DUEFLOW_CALLBACK_ADDRESS_FILE").map(PathBuf::from),
            secrets: std::iter::once(secret?).chain(previous).collect(),
        })
    }
}
