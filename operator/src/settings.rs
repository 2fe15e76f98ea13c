//! What a command reads from the environment: all of it before anything starts.

use anyhow::Context;
use shared::config::{Common, ConfigErrors, Settings, SweptDays};
use shared::transaction::TransactionSettings;

use crate::cli::{Command, PaymentsCommand};
use crate::dlq::{DlqCommand, ReplaySettings};
use crate::preflight::PreflightSettings;

/// The settings of one run of the command.
#[derive(Debug)]
pub(crate) struct CommandSettings {
    /// Names and keys.
    pub(crate) common: Common,
    /// The bank's calendar.
    pub(crate) days: SweptDays,
    replay: Option<ReplaySettings>,
    preflight: Option<PreflightSettings>,
    /// Where `payments show` asks, if an address is set.
    pub(crate) transaction: Option<TransactionSettings>,
}

impl CommandSettings {
    /// Reads what `command` needs.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub(crate) fn read(command: &Command) -> Result<Self, ConfigErrors> {
        let mut settings = Settings::from_environment();
        let common = Common::read(&mut settings);
        let days = SweptDays::read(&mut settings);
        let (replay, preflight) = match command {
            Command::Dlq { command: DlqCommand::Replay(_) } => {
                (ReplaySettings::read(&mut settings), None)
            }
            Command::Preflight(_) => (None, PreflightSettings::read(&mut settings)),
            _ => (None, None),
        };
        let shows = matches!(command, Command::Payments { command: PaymentsCommand::Show(_) });
        let asked = shows && settings.optional("DUEFLOW_TRANSACTION_URL").is_some();
        let transaction = asked.then(|| TransactionSettings::read(&mut settings)).flatten();
        // One that is wrong is known to `settings`, which then ends in errors.
        let read = common.zip(days);
        settings.finish(read.map(|(common, days)| Self {
            common,
            days,
            replay,
            preflight,
            transaction,
        }))
    }

    /// Those of `dlq replay`.
    ///
    /// # Errors
    /// Another command was read for.
    pub(crate) fn replay(&self) -> anyhow::Result<&ReplaySettings> {
        self.replay.as_ref().context("the settings of a replay were not read")
    }

    /// Those of `preflight`.
    ///
    /// # Errors
    /// Another command was read for.
    pub(crate) fn preflight(&self) -> anyhow::Result<&PreflightSettings> {
        self.preflight.as_ref().context("the settings of a preflight were not read")
    }
}
