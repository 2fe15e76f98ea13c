//! Options and settings of `dueflow dlq`.

use clap::{ArgGroup, Args};
use dispatcher::CallLimits;
use domain::{AccountId, AttemptLimits, PaymentRef};
use shared::config::{Settings, attempt_limits};
use shared::transaction::TransactionSettings;

use super::dead_letter::DeadLetterReason;
use super::versions::WhichVersion;

/// Options of `dlq list`.
#[derive(Debug, Args)]
pub struct DlqListOptions {
    /// Only dead letters with this code, or `moved` for messages that SQS moved by itself.
    #[arg(long, value_name = "CODE")]
    pub reason: Option<DeadLetterReason>,
    /// Only dead letters of this account.
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub account: Option<AccountId>,
    /// Print each dead letter whole as a line of JSON, and a summary as the last line.
    #[arg(long)]
    pub json: bool,
}

/// Options of `dlq replay`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["references", "reason", "all"])))]
pub struct DlqReplayOptions {
    /// Payments to send again: `<AccountID>/<ScheduledDate>/<PaymentID>`. A payment that FAILED
    /// is sent again even if its dead letter is not found.
    #[arg(value_name = "REF")]
    pub references: Vec<PaymentRef>,
    /// All dead letters with this code, or `moved` for messages that SQS moved by itself.
    #[arg(long, value_name = "CODE")]
    pub reason: Option<DeadLetterReason>,
    /// All dead letters.
    #[arg(long)]
    pub all: bool,
    /// The right version of payments that have two: the table's, or the message's, which is then
    /// written back. Without this such payments are refused.
    #[arg(long, value_name = "WHICH", conflicts_with = "all")]
    pub version: Option<WhichVersion>,
    /// Do it. Without this the command only prints what it would do.
    #[arg(long)]
    pub execute: bool,
    /// Print a line of JSON for each payment, and a summary as the last line.
    #[arg(long)]
    pub json: bool,
}

fn account(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text).map_err(|error| error.to_string())
}

/// Settings of a replay.
#[derive(Debug)]
pub(super) struct ReplaySettings {
    pub(super) transaction: TransactionSettings,
    pub(super) limits: AttemptLimits,
    pub(super) calls: CallLimits,
}

impl ReplaySettings {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let transaction = TransactionSettings::read(settings);
        let limits = attempt_limits(settings);
        let calls = CallLimits::read(settings);
        Some(Self { transaction: transaction?, limits: limits?, calls: calls? })
    }
}
