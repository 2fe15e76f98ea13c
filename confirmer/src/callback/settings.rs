//! Settings of the callbacks.

use std::net::SocketAddr;
use std::path::PathBuf;

use shared::config::Settings;

use super::secret::Secret;

/// Where callbacks are taken, and by which secrets they are known.
#[derive(Debug, Clone)]
pub struct CallbackSettings {
    /// Where the listener is bound.
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
