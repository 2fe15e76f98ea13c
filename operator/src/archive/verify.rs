//! `dueflow archive verify`.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::archive::PaymentsAndArchive;
use shared::telemetry::Metrics;

use super::compare::{DayComparison, FoundIn, compare_day};
use super::options::ArchiveVerifyOptions;
use super::units::units;

/// The command.
pub(crate) async fn verify(
    common: &Common,
    options: ArchiveVerifyOptions,
) -> anyhow::Result<ExitCode> {
    let metrics = Metrics::install(&[])?;
    let aws = Aws::from_environment().await;
    let client = aws.dynamodb("archive");
    let tables = Arc::new(PaymentsAndArchive::new(&client, &common.names, common.due_shards));
    let comparison = compare_day(tables, options.date).await?;
    let counted = options.expect_count.is_none_or(|expected| expected == comparison.count());
    let right = comparison.is_right() && counted;
    if options.json {
        println!("{}", as_json(&comparison, &options, right, units(&metrics)));
    } else {
        print(&comparison, &options, right);
    }
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(comparison: &DayComparison, options: &ArchiveVerifyOptions, right: bool) {
    for ((place, status, currency), total) in &comparison.totals {
        let (count, sum, words) = (total.count, total.sum, place.words());
        println!("{count:>10}  {sum:>20} {currency}  {status:<9}  {words}");
    }
    for finding in comparison.findings.iter().take(options.limit) {
        eprintln!("{}: {}", finding.reference, finding.place.words());
    }
    let wrong = comparison.places.iter().filter(|(place, _)| !place.is_right());
    let wrong: u64 = wrong.map(|(_, count)| count).sum();
    let named = comparison.findings.len().min(options.limit) as u64;
    if wrong > named {
        eprintln!("… and {} more payments that are not named (--limit N)", wrong - named);
    }
    let count = comparison.count();
    match options.expect_count {
        Some(expected) if expected == count => println!("{count} payments, as expected"),
        Some(expected) => println!("{count} payments, but {expected} were expected"),
        None => println!("{count} payments; how many were scheduled, --expect-count can say"),
    }
    if right {
        println!("Each payment of {} is in exactly one table.", options.date);
    } else {
        println!("{} is not in order{}", options.date, remedy(comparison));
    }
}

/// What can be done about it.
fn remedy(comparison: &DayComparison) -> &'static str {
    let any = |places: &[FoundIn]| {
        places.iter().any(|place| comparison.places.get(place).is_some_and(|count| *count > 0))
    };
    if any(&[FoundIn::Differing, FoundIn::NotSettled, FoundIn::Unreadable, FoundIn::Neither]) {
        ": a person must look at what is named above."
    } else if any(&[FoundIn::Both, FoundIn::Waiting]) {
        ": run `dueflow archive run` for it, then verify again."
    } else {
        "."
    }
}

fn as_json(
    comparison: &DayComparison,
    options: &ArchiveVerifyOptions,
    right: bool,
    (_, read): (f64, f64),
) -> serde_json::Value {
    let totals = comparison.totals.iter().map(|((place, status, currency), total)| {
        // As a text: JSON readers round numbers of this size.
        let sum = total.sum.to_string();
        json!({
            "place": place, "status": status, "currency": currency, "count": total.count,
            "sum": sum,
        })
    });
    json!({
        "day": options.date, "right": right, "count": comparison.count(),
        "expected": options.expect_count, "places": comparison.places,
        "totals": totals.collect::<Vec<_>>(), "findings": comparison.findings,
        "read_units": read,
    })
}
