//! The commands of `dueflow dlq`.

use std::process::ExitCode;

use clap::Subcommand;

use super::discard::discard;
use super::export::export;
use super::list::list;
use super::options::{
    DlqDiscardOptions, DlqExportOptions, DlqListOptions, DlqReplayOptions, DlqShowOptions,
    ReplaySettings,
};
use super::replay::replay;
use super::show::show;
use crate::actions::{ACTION_LOG_HELP, ActionLogOptions, print_log};
use crate::payments::transaction_if_set;
use crate::start::{InstallationCheck, start, start_with};

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Print the dead letters, and why each was written. Changes nothing.
    #[command(after_help = LIST_HELP)]
    List(DlqListOptions),
    /// Print a dead letter whole, with what table, archive and transaction service have of its
    /// payment. Changes nothing.
    #[command(after_help = SHOW_HELP)]
    Show(DlqShowOptions),
    /// Send payments of the dead-letter queue again; a dry run unless --execute is given.
    #[command(after_help = REPLAY_HELP)]
    Replay(DlqReplayOptions),
    /// Give payments that FAILED up: CANCELLED; a dry run unless --execute is given.
    #[command(after_help = DISCARD_HELP)]
    Discard(DlqDiscardOptions),
    /// Print dead letters whole, each as a line of JSON, and nothing else. Changes nothing.
    #[command(after_help = EXPORT_HELP)]
    Export(DlqExportOptions),
    /// Print what operators have changed: who, when, why and what. Changes nothing.
    #[command(after_help = ACTION_LOG_HELP)]
    Log(ActionLogOptions),
}

impl DlqCommand {
    pub(crate) fn start(self) -> ExitCode {
        match self {
            Self::List(options) => {
                start(InstallationCheck::Any, async |run| list(&run.common, options).await)
            }
            Self::Show(options) => {
                start_with(InstallationCheck::Any, transaction_if_set, async |run, asked| {
                    show(&run.common, asked.as_ref(), options).await
                })
            }
            Self::Export(options) => {
                start(InstallationCheck::Any, async |run| export(&run.common, options).await)
            }
            Self::Log(options) => {
                start(InstallationCheck::Any, async |run| print_log(&run.common, options).await)
            }
            Self::Discard(options) => start_with(
                InstallationCheck::Agrees,
                ReplaySettings::read,
                async |run, settings| discard(&run.common, &settings, options).await,
            ),
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

const SHOW_HELP: &str = "\
The command reads the queue as `dueflow dlq list` does, and gives all dead letters back in their order. \
The transaction service is asked what became of the payment's key (DUEFLOW_TRANSACTION_URL); nothing is \
submitted. A payment that is named by account, date and id is shown also without a dead letter.

Exit status: 0 when a dead letter was found, 1 when not or a call failed, 64 for bad usage or \
settings.";

const DISCARD_HELP: &str = "\
A payment that FAILED becomes CANCELLED, and its dead letter is deleted. The transaction service is \
asked first (DUEFLOW_TRANSACTION_URL). What it has settled is not given up: the payment is sent again, \
found there and confirmed.

The command refuses a payment that is not FAILED; one that the transaction service has taken or gives \
no answer about; one whose key it may have forgotten (DUEFLOW_KEY_RETENTION), unless --evidence says \
what shows that no money has moved; and a dead letter with the code conflict. A dead letter about no \
payment that the table holds is deleted only when its message id is given. Run the command again at any \
time, also after it was killed.

Exit status: 0 when all that was asked for is done (or would be), 1 when something was refused or \
failed, 64 for bad usage or settings.";

const EXPORT_HELP: &str = "\
The command reads the queue as `dueflow dlq list` does, and gives all dead letters back in their order. \
What could not be read is counted on standard error.

Exit status: 0 when all dead letters were read (or the reader closed the pipe), 1 when not or a call \
failed, 64 for bad usage or settings.";

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
