//! `dueflow archive run`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::json;
use shared::aws::Aws;
use shared::config::{Common, SweptDays};
use shared::payments::archive::{Counters, DayPlan, DaySummary, PaymentsAndArchive, archive_day};
use shared::telemetry::Metrics;

use super::options::{ArchiveRunOptions, days};
use super::progress;
use super::units::units;
use crate::start::EX_USAGE;

/// The command.
pub(crate) async fn run(
    common: &Common,
    swept: &SweptDays,
    options: ArchiveRunOptions,
) -> anyhow::Result<ExitCode> {
    let days = match days(swept, options.date, Timestamp::now()) {
        Ok(days) => days,
        Err(reason) => {
            eprintln!("dueflow: {reason}");
            return Ok(ExitCode::from(EX_USAGE));
        }
    };
    let metrics = Metrics::install(&[])?;
    let aws = Aws::from_environment().await;
    let client = aws.dynamodb("archive");
    let tables = Arc::new(PaymentsAndArchive::new(&client, &common.names, common.due_shards));
    let counters = Arc::new(Counters::default());
    let partitions = u64::from(tables.due_shards().end) * days.len() as u64;
    let mut complete = true;
    let showing = progress::show(Arc::clone(&counters), partitions);
    let archiving = async {
        for day in days {
            let plan = DayPlan { day, rate: options.rate, writers: options.writers };
            let summary = archive_day(Arc::clone(&tables), plan, Arc::clone(&counters)).await;
            let summary = summary.with_context(|| {
                let moved = counters.moved.load(Ordering::Relaxed);
                format!("archiving {day}: {moved} payments have moved; run it again to go on")
            })?;
            complete &= summary.is_complete();
            if summary.has_payments() || options.date.is_some() {
                print(&summary, &options)?;
            }
        }
        anyhow::Ok(())
    };
    tokio::select! {
        archived = archiving => archived?,
        () = showing => {}
    }
    let moved = counters.moved.load(Ordering::Relaxed);
    let (written, read) = units(&metrics);
    if options.json {
        let summary = json!({
            "moved": moved, "complete": complete, "write_units": written, "read_units": read,
        });
        println!("{}", json!({ "summary": summary }));
    } else {
        println!("{moved} payments have moved, for {written:.0} write and {read:.0} read units");
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(summary: &DaySummary, options: &ArchiveRunOptions) -> anyhow::Result<()> {
    if options.json {
        println!("{}", serde_json::to_string(summary)?);
        return Ok(());
    }
    let mut parts = vec![format!("{} archived", summary.archived)];
    let mut add = |count: u64, what: &str| {
        parts.extend((count > 0).then(|| format!("{count} {what}")));
    };
    add(summary.finished, "begun before and finished");
    add(summary.repeated, "inserted again and settled before");
    add(summary.stayed, "could not be moved");
    let open = summary.open.iter().map(|(status, count)| format!("{count} {status}"));
    let open: Vec<_> = open.collect();
    let stay = if open.is_empty() { "nothing".to_owned() } else { open.join(", ") };
    println!("{}: {}; {stay} stays in the payments table", summary.day, parts.join(", "));
    for left in &summary.named {
        eprintln!("{}: {}", left.reference, left.why);
    }
    Ok(())
}
