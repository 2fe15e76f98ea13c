//! Arguments of `dueflow dispatch`.

use clap::{Args, Subcommand};
use shared::dispatch_stop::StopId;

/// What can be done with dispatching.
#[derive(Debug, Subcommand)]
pub enum DispatchCommand {
    /// Print whether dispatching is stopped, why, and how to go on. Changes nothing.
    #[command(after_help = STATUS_HELP)]
    Status(StatusOptions),
    /// Stop dispatching, at all dispatchers, until it is resumed.
    #[command(after_help = STOP_HELP)]
    Stop(StopOptions),
    /// Remove the stop that is named.
    #[command(after_help = RESUME_HELP)]
    Resume(ResumeOptions),
}

const STATUS_HELP: &str = "\
Exit status: 0 when dispatching goes on, 1 when it is stopped or that could not be read, 64 for bad \
usage or settings.";

const STOP_HELP: &str = "\
Every dispatcher gives back what it has in hand and receives nothing more, within five times its \
DUEFLOW_STOP_CHECK_INTERVAL (10 s at least) at the latest; what was submitted by then is still recorded. Payments \
stay SCHEDULED or PENDING, and no attempt is counted while they wait. Relays go on queueing and \
confirmers go on settling. A stop that stands already stays as it is.

Exit status: 0 when dispatching is stopped, 1 when that could not be stored, 64 for bad usage or \
settings.";

const RESUME_HELP: &str = "\
Only the stop with this id is removed: one that came since has a reason of its own. Without an id it \
is only said what stands. Each dispatcher goes on with one payment at a time until one is taken. \
First see to the reason: docs/runbooks/dispatch-stop.md.

Exit status: 0 when the stop is gone or there was none, 1 when another one stands, none was named or \
it could not be removed, 64 for bad usage or settings.";

/// Options of `dispatch status`.
#[derive(Debug, Args)]
pub struct StatusOptions {
    /// Print it as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `dispatch stop`.
#[derive(Debug, Args)]
pub struct StopOptions {
    /// Why, for whoever has to resume.
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub reason: String,
    /// Who you are. [default: $USER]
    #[arg(long, value_name = "NAME", value_parser = said)]
    pub by: Option<String>,
    /// Print it as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `dispatch resume`.
#[derive(Debug, Args)]
pub struct ResumeOptions {
    /// The stop to be removed, as `dueflow dispatch status` prints it.
    #[arg(value_name = "STOP-ID")]
    pub id: Option<StopId>,
    /// Why, for the action log.
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub because: Option<String>,
    /// Print it as JSON.
    #[arg(long)]
    pub json: bool,
}

fn said(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}
