//! What every command does around its own work: it reads all its settings, checks that the
//! installation has the same, and starts a runtime.

use std::process::ExitCode;

use shared::aws::Aws;
use shared::config::{Common, Settings, SweptDays};
use shared::installation::Agreement;

/// Exit status for bad usage or configuration (`EX_USAGE` of sysexits.h).
pub(crate) const EX_USAGE: u8 = 64;

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Environment {
    /// Names and keys.
    pub(crate) common: Common,
    /// The bank's calendar.
    pub(crate) days: SweptDays,
}

/// Whether a command reads or writes what depends on the bank's time zone or on the number of
/// shards. (`preflight` reports a difference among its findings.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstallationCheck {
    /// It does: its settings must be those of the installation.
    Agrees,
    /// It does not.
    Any,
}

/// Runs a command that needs no settings of its own.
pub(crate) fn start(
    installation: InstallationCheck,
    work: impl AsyncFnOnce(Environment) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    start_with(installation, |_| Some(()), async |environment, ()| work(environment).await)
}

/// Runs a command. `read` takes its own settings, and returns `None` when one is wrong, which the
/// [`Settings`] then know.
pub(crate) fn start_with<S>(
    installation: InstallationCheck,
    read: impl FnOnce(&mut Settings) -> Option<S>,
    work: impl AsyncFnOnce(Environment, S) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    let mut settings = Settings::from_environment();
    let (common, days) = (Common::read(&mut settings), SweptDays::read(&mut settings));
    let own = read(&mut settings);
    let (environment, own) = match settings.finish(common.zip(days).zip(own)) {
        Ok(((common, days), own)) => (Environment { common, days }, own),
        Err(errors) => {
            eprintln!("dueflow: {errors}");
            return ExitCode::from(EX_USAGE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("dueflow: starting the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let run = async {
        if installation == InstallationCheck::Agrees {
            Agreement::new(&Aws::from_environment().await, &environment.common).check().await?;
        }
        work(environment, own).await
    };
    runtime.block_on(Box::pin(run)).unwrap_or_else(|error| {
        eprintln!("dueflow: {error:#}");
        ExitCode::FAILURE
    })
}
