//! `dueflow dlq list`: what lies in the dead-letter queue. Changes nothing.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::process::ExitCode;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::aws::Aws;
use shared::config::Common;

use super::letter::Letter;
use super::reader::{End, Left, MAX_LETTERS, Reader};
use super::report::in_flight;
use super::versions::shown;
use crate::age;
use crate::cli::DlqListOptions;

/// A letter with less time left is soon to be deleted.
const SOON: SignedDuration = SignedDuration::from_hours(3 * 24);

/// The command.
pub(crate) async fn list(common: &Common, options: DlqListOptions) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let reader = Reader::open(&aws, &common.names).await?;
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (mut expiring, now) = (Expiring::default(), Timestamp::now());
    let mut failed = None;
    while let Some(look) = reader.next().await? {
        for (_, letter) in look.letters.iter().filter(|(_, letter)| selected(letter, &options)) {
            *counts.entry(letter.reason().as_str()).or_default() += 1;
            expiring.count(letter, now);
            if failed.is_none() {
                failed = print(letter, now, &options).err();
            }
        }
        reader.settle(look, &HashSet::new()).await;
        if failed.is_some() {
            break;
        }
    }
    let left = reader.finish(&aws, &common.names).await?;
    if let Some(error) = failed {
        // Whoever reads the output has seen enough (`| head`).
        return if error.kind() == std::io::ErrorKind::BrokenPipe {
            Ok(ExitCode::SUCCESS)
        } else {
            Err(error.into())
        };
    }
    summarise(&counts, &expiring, left, now, &options)?;
    Ok(if left.end == End::Empty && left.in_flight == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn selected(letter: &Letter, options: &DlqListOptions) -> bool {
    options.reason.is_none_or(|reason| letter.reason() == reason)
        && options.account.as_ref().is_none_or(|account| letter.is_of(account))
}

/// Letters that SQS deletes before somebody may have looked at them.
#[derive(Debug, Default)]
struct Expiring {
    /// Within [`SOON`].
    soon: u64,
    /// When the first of all goes.
    first: Option<Timestamp>,
}

impl Expiring {
    fn count(&mut self, letter: &Letter, now: Timestamp) {
        let Some(at) = letter.expires_at() else { return };
        self.soon += u64::from(at.duration_since(now) < SOON);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
    }
}

fn print(letter: &Letter, now: Timestamp, options: &DlqListOptions) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if options.json {
        return writeln!(out, "{}", letter.json());
    }
    let at = letter.at().map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
    let reference = letter.reference().map_or_else(|| "-".to_owned(), |r| r.to_string());
    let (reason, service, words) = (letter.reason(), letter.service(), letter.words());
    let age = letter.since().map_or_else(|| "-".to_owned(), |since| age::since(since, now));
    let left = letter.expires_at().map(|at| age::length(at.duration_since(now)));
    let expires = left.map_or_else(|| "-".to_owned(), |left| format!("expires in {left}"));
    writeln!(
        out,
        "{at:<20}  {age:>7}  {expires:<18}  {reason:<17}  {service:<12}  {reference}  {words}"
    )?;
    if let (true, Some(message)) = (letter.is_of_mismatch(), letter.message()) {
        let table = letter.payment().map_or_else(|| "not known".to_owned(), shown);
        writeln!(out, "{:<20}  table: {table}; message: {}", "", shown(&message))?;
    }
    Ok(())
}

fn summarise(
    counts: &BTreeMap<&'static str, u64>,
    expiring: &Expiring,
    left: Left,
    now: Timestamp,
    options: &DlqListOptions,
) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let letters: u64 = counts.values().sum();
    if options.json {
        let summary = json!({
            "letters": letters, "by_code": counts, "not_looked_at": left.behind,
            "in_flight": left.in_flight, "expiring_within_3_days": expiring.soon,
            "first_expires_at": expiring.first.map(|at| at.to_string()),
            "whole": left.end == End::Empty,
        });
        return writeln!(out, "{}", json!({ "summary": summary }));
    }
    let by_code: Vec<_> = counts.iter().map(|(code, count)| format!("{count} {code}")).collect();
    let colon = if by_code.is_empty() { "" } else { ": " };
    writeln!(out, "{letters} letters{colon}{}", by_code.join(", "))?;
    if let Some(first) = expiring.first {
        let (soon, left) = (expiring.soon, age::length(first.duration_since(now)));
        writeln!(out, "SQS deletes the oldest in {left}, and {soon} letters within 3 days")?;
    }
    if left.behind > 0 {
        writeln!(
            out,
            "about {} more could not be looked at: they lie behind ten letters of their account, \
             or another command has them",
            left.behind
        )?;
    }
    if left.in_flight > 0 {
        writeln!(out, "{}", in_flight(left.in_flight))?;
    }
    match left.end {
        End::Empty => Ok(()),
        End::Full => writeln!(out, "not all was read: {MAX_LETTERS} letters are the most at once"),
        End::Interrupted => writeln!(out, "not all was read: interrupted"),
    }
}
