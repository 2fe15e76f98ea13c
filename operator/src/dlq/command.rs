//! The commands of `dueflow dlq`.

use std::process::ExitCode;

use clap::Subcommand;

use super::list::list;
use super::options::{DlqListOptions, DlqReplayOptions, ReplaySettings};
use super::replay::replay;
use crate::start::{InstallationCheck, start, start_with};

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

impl DlqCommand {
    pub(crate) fn start(self) -> ExitCode {
        match self {
            Self::List(options) => {
                start(InstallationCheck::Any, async |run| list(&run.common, options).await)
            }
            Self::Replay(options) => start_with(
                InstallationCheck::Agrees,
                ReplaySettings::read,
                async |run, settings| replay(&run.common, &settings, options).await,
            ),
        }
    }
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

The command refuses a payment that has ended; a payment of which the transaction service knows \
nothing, once it may have forgotten the key (DUEFLOW_KEY_RETENTION); a dead letter with the code \
conflict, invalid_item, malformed_record or malformed_message; and a payment with two versions, until \
--version says which is right. docs/runbooks/dead-letters.md says what to do with each. Run the \
command again at any time, also after it was killed.

Exit status: 0 when all that was asked for is done (or would be), 1 when something was refused or \
failed, 64 for bad usage or settings.";
