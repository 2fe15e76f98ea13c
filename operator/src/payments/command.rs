//! The commands of `dueflow payments`.

use std::process::ExitCode;

use clap::Subcommand;

use super::audit::{AUDIT_HELP, AuditOptions, audit};
use super::cancel::cancel;
use super::due::due;
use super::import::{ImportArguments, import};
use super::open::open;
use super::options::{
    CANCEL_HELP, CancelOptions, DUE_HELP, DueOptions, OPEN_HELP, OpenOptions, UPCOMING_HELP,
    UpcomingOptions,
};
use super::show::{ShowOptions, show, transaction_if_set};
use super::upcoming::upcoming;
use crate::start::{InstallationCheck, start, start_with};

/// What can be done with payments.
#[derive(Debug, Subcommand)]
pub enum PaymentsCommand {
    /// Schedule payments from a file of CSV or JSON lines; safe to run again.
    Import(ImportArguments),
    /// Print one payment.
    Show(ShowOptions),
    /// Print the payments of an account in the days to come.
    #[command(after_help = UPCOMING_HELP)]
    Upcoming(UpcomingOptions),
    /// Print the payments of a day in a status, of all accounts.
    #[command(after_help = DUE_HELP)]
    Due(DueOptions),
    /// Print every payment that has not ended, however old, with the time since when.
    #[command(after_help = OPEN_HELP)]
    Open(OpenOptions),
    /// Cancel payments before they are dispatched; a dry run unless --execute is given.
    #[command(after_help = CANCEL_HELP)]
    Cancel(CancelOptions),
    /// Check every item of the table against the item contract; changes nothing unless --withhold
    /// is given.
    #[command(after_help = AUDIT_HELP)]
    Audit(AuditOptions),
}

impl PaymentsCommand {
    pub(crate) fn start(self) -> ExitCode {
        match self {
            Self::Import(options) => {
                let checked = if options.dry_run {
                    InstallationCheck::Any
                } else {
                    InstallationCheck::Agrees
                };
                start(checked, async |run| import(&run.common, &run.days.zone, options).await)
            }
            Self::Show(options) => {
                start_with(InstallationCheck::Any, transaction_if_set, async |run, transaction| {
                    show(&run.common, transaction.as_ref(), options).await
                })
            }
            Self::Upcoming(options) => start(InstallationCheck::Agrees, async |run| {
                upcoming(&run.common, &run.days.zone, options).await
            }),
            Self::Due(options) => start(InstallationCheck::Agrees, async |run| {
                due(&run.common, &run.days.zone, options).await
            }),
            Self::Open(options) => start(InstallationCheck::Any, async |run| {
                open(&run.common, &run.days.zone, options).await
            }),
            Self::Cancel(options) => {
                start(InstallationCheck::Any, async |run| cancel(&run.common, options).await)
            }
            Self::Audit(options) => {
                start(InstallationCheck::Agrees, async |run| audit(&run.common, options).await)
            }
        }
    }
}
