//! The commands of `dueflow archive`.

use std::process::ExitCode;

use clap::Subcommand;

use super::find::find;
use super::options::{ArchiveFindOptions, ArchiveRunOptions, ArchiveVerifyOptions};
use super::run::run;
use super::verify::verify;
use crate::start::{InstallationCheck, start};

/// What can be done with the archive.
#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// Move settled payments of days that are over from the payments table to the archive.
    #[command(after_help = RUN_HELP)]
    Run(ArchiveRunOptions),
    /// Print archived payments.
    Find(ArchiveFindOptions),
    /// Compare both tables: is each payment of a day in exactly one of them?
    #[command(after_help = VERIFY_HELP)]
    Verify(ArchiveVerifyOptions),
}

impl ArchiveCommand {
    pub(crate) fn start(self) -> ExitCode {
        match self {
            Self::Run(options) => start(InstallationCheck::Agrees, async |environment| {
                run(&environment.common, &environment.days, options).await
            }),
            Self::Find(options) => {
                start(InstallationCheck::Agrees, async |run| find(&run.common, options).await)
            }
            Self::Verify(options) => {
                start(InstallationCheck::Agrees, async |run| verify(&run.common, options).await)
            }
        }
    }
}

const RUN_HELP: &str = "\
Each payment is put into the archive, read back, and only then deleted from the payments table. It \
may be killed at any moment and run again, and several may run at once. Only PROCESSED payments \
move: SCHEDULED, PENDING, FAILED and CANCELLED ones stay, and are counted.

Exit status: 0 when every PROCESSED payment has moved, 1 when one could not (each is printed) or the \
run failed, 64 for bad usage or settings.";

const VERIFY_HELP: &str = "\
It reads every payment of the day in both tables. A payment that neither table holds leaves no \
trace in either, so only its absence from a count can show it: give the number of payments that \
were scheduled for the day with --expect-count.

Exit status: 0 when each payment is in exactly one table and no PROCESSED one is left to archive, 1 \
when not, 64 for bad usage or settings.";
