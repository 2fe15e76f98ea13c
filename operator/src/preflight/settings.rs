//! Settings that a preflight judges by: those of the services.

use dispatcher::DispatcherConfig;
use shared::config::{Settings, SweptDays};

/// Settings of the services, as this environment has them.
#[derive(Debug)]
pub(crate) struct PreflightSettings {
    pub(super) dispatcher: DispatcherConfig,
    pub(super) days: SweptDays,
}

impl PreflightSettings {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub(crate) fn read(settings: &mut Settings) -> Option<Self> {
        let dispatcher = DispatcherConfig::read(settings);
        let days = SweptDays::read(settings);
        Some(Self { dispatcher: dispatcher?, days: days? })
    }
}
