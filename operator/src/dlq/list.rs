//! `dueflow dlq list`: prints the dead letters. It changes nothing.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use domain::PaymentId;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::aws::Aws;
use shared::config::{Common, Names};
use shared::shutdown::Shutdown;

use super::dead_letter::DeadLetterMessage;
use super::options::DlqListOptions;
use super::reader::{DeadLetterReader, MAX_DEAD_LETTERS, ReadEnd, Unread};
use super::report::in_flight;
use super::versions::shown;
use crate::age;

/// A dead letter with less time left is soon deleted.
const SOON: SignedDuration = SignedDuration::from_hours(3 * 24);

/// The command.
pub(crate) async fn list(common: &Common, options: DlqListOptions) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let shutdown = Shutdown::new(Duration::ZERO).on_signals()?;
    let reader = DeadLetterReader::open(&aws, &common.names, shutdown).await?;
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (mut expiring, now) = (Expiring::default(), Timestamp::now());
    let mut failed = None;
    while let Some(window) = reader.next().await? {
        let dead_letters = window.new.iter().map(|(_, dead_letter)| dead_letter);
        for dead_letter in dead_letters.filter(|one| is_selected(one, &options)) {
            *counts.entry(dead_letter.reason().as_str()).or_default() += 1;
            expiring.count(dead_letter, now);
            if failed.is_none() {
                failed = print(dead_letter, now, &options).err();
            }
        }
        reader.settle(Vec::new(), window.into_received()).await;
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
    Ok(if left.end == ReadEnd::Empty && left.in_flight == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The payments of any day that have a dead letter.
#[derive(Debug)]
pub(crate) struct DeadLetterPayments {
    /// Those of the dead letters that could be read.
    pub(crate) payments: HashSet<PaymentId>,
    /// About how many dead letters could not be read.
    pub(crate) unread: u64,
}

/// Reads every dead letter that can be received, until shutdown is requested, and gives them all
/// back.
pub(crate) async fn dead_letter_payments(
    aws: &Aws,
    names: &Names,
    shutdown: &Shutdown,
) -> anyhow::Result<DeadLetterPayments> {
    let reader = DeadLetterReader::open(aws, names, shutdown.clone()).await?;
    let mut payments = HashSet::new();
    while let Some(window) = reader.next().await? {
        let references = window.new.iter().filter_map(|(_, dead_letter)| dead_letter.reference());
        payments.extend(references.map(|reference| reference.id));
        reader.settle(Vec::new(), window.into_received()).await;
    }
    let unread = reader.finish(aws, names).await?;
    let incomplete = unread.end != ReadEnd::Empty;
    let count = unread.behind + unread.in_flight;
    Ok(DeadLetterPayments { payments, unread: count.max(u64::from(incomplete)) })
}

fn is_selected(dead_letter: &DeadLetterMessage, options: &DlqListOptions) -> bool {
    options.reason.is_none_or(|reason| dead_letter.reason() == reason)
        && options.account.as_ref().is_none_or(|account| dead_letter.is_of(account))
}

/// Dead letters that SQS deletes before somebody may have read them.
#[derive(Debug, Default)]
struct Expiring {
    /// Within [`SOON`].
    soon: u64,
    /// When the first of all goes.
    first: Option<Timestamp>,
}

impl Expiring {
    fn count(&mut self, dead_letter: &DeadLetterMessage, now: Timestamp) {
        let Some(at) = dead_letter.expires_at() else { return };
        self.soon += u64::from(at.duration_since(now) < SOON);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
    }
}

fn print(
    dead_letter: &DeadLetterMessage,
    now: Timestamp,
    options: &DlqListOptions,
) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if options.json {
        return writeln!(out, "{}", dead_letter.json());
    }
    let at = dead_letter.at().map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
    let reference = dead_letter.reference().map_or_else(|| "-".to_owned(), |r| r.to_string());
    let (reason, service, words) =
        (dead_letter.reason(), dead_letter.service(), dead_letter.explanation());
    let age = dead_letter.since().map_or_else(|| "-".to_owned(), |since| age::since(since, now));
    let left = dead_letter.expires_at().map(|at| age::length(at.duration_since(now)));
    let expires = left.map_or_else(|| "-".to_owned(), |left| format!("expires in {left}"));
    writeln!(
        out,
        "{at:<20}  {age:>7}  {expires:<18}  {reason:<17}  {service:<12}  {reference}  {words}"
    )?;
    if let (true, Some(message)) = (dead_letter.is_of_mismatch(), dead_letter.message()) {
        let table = dead_letter.payment().map_or_else(|| "not known".to_owned(), shown);
        writeln!(out, "{:<20}  table: {table}; message: {}", "", shown(&message))?;
    }
    Ok(())
}

fn summarise(
    counts: &BTreeMap<&'static str, u64>,
    expiring: &Expiring,
    left: Unread,
    now: Timestamp,
    options: &DlqListOptions,
) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let total: u64 = counts.values().sum();
    if options.json {
        let summary = json!({
            "letters": total, "by_code": counts, "not_looked_at": left.behind,
            "in_flight": left.in_flight, "expiring_within_3_days": expiring.soon,
            "first_expires_at": expiring.first.map(|at| at.to_string()),
            "whole": left.end == ReadEnd::Empty,
        });
        return writeln!(out, "{}", json!({ "summary": summary }));
    }
    let by_code: Vec<_> = counts.iter().map(|(code, count)| format!("{count} {code}")).collect();
    let colon = if by_code.is_empty() { "" } else { ": " };
    writeln!(out, "{total} dead letters{colon}{}", by_code.join(", "))?;
    if let Some(first) = expiring.first {
        let (soon, left) = (expiring.soon, age::length(first.duration_since(now)));
        writeln!(out, "SQS deletes the oldest in {left}, and {soon} dead letters within 3 days")?;
    }
    if left.behind > 0 {
        writeln!(
            out,
            "about {} more could not be read: they are behind ten dead letters of their account, \
             or another command has them",
            left.behind
        )?;
    }
    if left.in_flight > 0 {
        writeln!(out, "{}", in_flight(left.in_flight))?;
    }
    match left.end {
        ReadEnd::Empty => Ok(()),
        ReadEnd::Full => {
            writeln!(out, "not all was read: one run reads {MAX_DEAD_LETTERS} dead letters at most")
        }
        ReadEnd::Interrupted => writeln!(out, "not all was read: the command was interrupted"),
    }
}
