//! Options and settings of `dueflow dlq`.

use clap::{ArgGroup, Args, Subcommand};
use dispatcher::CallLimits;
use domain::{AccountId, AttemptLimits, PaymentRef};
use shared::config::{Settings, attempt_limits};
use shared::transaction::TransactionSettings;

use super::dead_letter::DeadLetterReason;
use super::versions::WhichVersion;

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Print the dead letters, and why each was written. Changes nothing.
    #[command(after_help = LIST_HELP)]
    List(DlqListOptions),
    /// Send payments of the dead-letter queue again; a dry run unless --execute is given.
    #[command(after_help = REPLAY_HELP)]
    Replay(DlqReplayOptions),
}

const LIST_HELP: &str = "\
While the command reads, the dead letters are hidden from others; then it gives them back in their \
order. SQS shows the first ten dead letters of an account and holds back those behind them; the last \
lines say how many were not shown. A list that is killed leaves dead letters hidden for up to two \
minutes.

Exit status: 0 when all dead letters were read, 1 when not or a call failed, 64 for bad usage or \
settings.";

const REPLAY_HELP: &str = "\
A payment that FAILED goes back to SCHEDULED, a message for it goes into the queue, and its dead \
letter is deleted. The transaction service is asked first whether it settled the payment \
(DUEFLOW_TRANSACTION_URL); only a payment that was submitted once and rejected needs no question.

Refused are: a payment that has ended; a payment of which the transaction service knows nothing, \
once it may have forgotten the key (DUEFLOW_KEY_RETENTION); a dead letter of the codes conflict, \
invalid_item, malformed_record and malformed_message; and a payment of which there are two versions, \
until --version says which is right. docs/runbooks/dead-letters.md says what to do with those. The \
command may be run again at any time, also after it was killed.

Exit status: 0 when all that was asked for is done (or would be), 1 when something was refused or \
failed, 64 for bad usage or settings.";

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
pub struct ReplaySettings {
    pub(super) transaction: TransactionSettings,
    pub(super) limits: AttemptLimits,
    pub(super) calls: CallLimits,
}

impl ReplaySettings {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub(crate) fn read(settings: &mut Settings) -> Option<Self> {
        let transaction = TransactionSettings::read(settings);
        let limits = attempt_limits(settings);
        let calls = CallLimits::read(settings);
        Some(Self { transaction: transaction?, limits: limits?, calls: calls? })
    }
}
