//! `dueflow dlq log`: reads the action log, the last entry first.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::aws::Aws;
use shared::config::Common;

use super::entry::ActionEntry;
use super::table::ActionsTable;
use crate::escape::escaped;
use crate::line_limit::LineLimit;

/// Help on what is in the log.
pub(crate) const ACTION_LOG_HELP: &str = "\
The log holds what `dueflow dlq replay`, `dlq discard`, `payments cancel`, `dispatch stop` and `dispatch \
resume` have changed: who (as AWS STS says; where it could not be asked, who claims to have been it), when, \
why and what. An entry is written before the change. Nothing in the log is changed or deleted.

Exit status: 0 when the log was read (or the reader closed the pipe), 1 when a call failed, 64 for bad usage \
or settings.";

/// Options of `dlq log`.
#[derive(Debug, Args)]
pub struct ActionLogOptions {
    /// Only entries that are at most so old, such as 2h or 30d.
    #[arg(long, value_name = "AGE", default_value = "7d", value_parser = crate::age::parse)]
    pub since: SignedDuration,
    /// Print so many lines at most and count the rest. [default: 100, with --json all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Print each entry as a line of JSON, and a summary as the last line.
    #[arg(long)]
    pub json: bool,
}

/// The command.
pub(crate) async fn print_log(
    common: &Common,
    options: ActionLogOptions,
) -> anyhow::Result<ExitCode> {
    let printed = read(common, &options).await;
    let closed = |error: &anyhow::Error| {
        let error = error.downcast_ref::<std::io::Error>();
        error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    };
    match printed {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if closed(&error) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}

async fn read(common: &Common, options: &ActionLogOptions) -> anyhow::Result<()> {
    let aws = Aws::from_environment().await;
    let table = ActionsTable::new(aws.dynamodb("actions"), common.names.actions_table());
    let now = Timestamp::now();
    let oldest =
        now.checked_sub(options.since).unwrap_or(Timestamp::MIN).max(Timestamp::UNIX_EPOCH);
    let mut lines = LineLimit::new(options.limit, options.json);
    let (mut entries, mut at) = (0_u64, now);
    loop {
        let day = ActionEntry::day(at);
        let mut from = None;
        loop {
            let (page, next) = table.page(&day, from).await?;
            let mut out = std::io::stdout().lock();
            for entry in page.into_iter().filter(|entry| entry.at >= oldest) {
                entries += 1;
                if !lines.takes() {
                    continue;
                }
                match options.json {
                    true => writeln!(out, "{}", entry.json())?,
                    false => writeln!(out, "{}", escaped(&entry.to_string()))?,
                }
            }
            from = next;
            if from.is_none() {
                break;
            }
        }
        if day <= ActionEntry::day(oldest) {
            break;
        }
        at = at.checked_sub(SignedDuration::from_hours(24))?;
    }
    if options.json {
        let rest = lines.rest();
        println!("{}", json!({ "summary": { "entries": entries, "not_printed": rest } }));
    } else if entries == 0 {
        println!("no entries");
    } else {
        print!("{}", lines.rest_line("entries"));
    }
    Ok(())
}
