//! `dueflow dlq list`: prints the dead letters, or how many say the same. It changes nothing.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use domain::PaymentId;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::aws::Aws;
use shared::config::{Common, Names};
use shared::payments::PaymentsTable;
use shared::shutdown::Shutdown;

use super::dead_letter::DeadLetterMessage;
use super::filter::DlqFilter;
use super::grouping::{DeadLetterGroup, DeadLetterGroups};
use super::options::DlqListOptions;
use super::reader::{DeadLetterReader, MAX_DEAD_LETTERS, ReadEnd, Unread};
use super::reading::{Looking, attempted, look_at_all};
use super::report::in_flight;
use super::versions::shown;
use crate::age;
use crate::escape::escaped;
use crate::line_limit::LineLimit;

/// A dead letter with less time left is soon deleted.
const SOON: SignedDuration = SignedDuration::from_hours(3 * 24);

/// The command.
pub(crate) async fn list(common: &Common, options: DlqListOptions) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let shutdown = Shutdown::new(Duration::ZERO).on_signals()?;
    let table = table(&aws, common);
    let reader = DeadLetterReader::open(&aws, &common.names, shutdown).await?;
    let now = Timestamp::now();
    let list = RefCell::new(DlqList::new(&options, now));
    let looked = look_at_all(&reader, async |dead_letters| {
        let taken = select(&options.filter, &table, dead_letters, now).await?;
        let mut list = list.borrow_mut();
        taken.iter().try_for_each(|dead_letter| list.enter(dead_letter))?;
        Ok(Looking::GoesOn)
    });
    let looked = looked.await;
    let left = reader.finish(&aws, &common.names).await?;
    if let Err(error) = looked {
        return heard(error);
    }
    match list.into_inner().finish(left) {
        Ok(()) => {}
        Err(error) => return heard(error.into()),
    }
    Ok(if left.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The payments table, for what a dead letter does not tell.
pub(super) fn table(aws: &Aws, common: &Common) -> PaymentsTable {
    let name = common.names.payments_table();
    PaymentsTable::new(aws.dynamodb("dead letters"), &name, common.due_shards)
}

/// The dead letters that a filter takes.
pub(super) async fn select(
    filter: &DlqFilter,
    table: &PaymentsTable,
    dead_letters: Vec<DeadLetterMessage>,
    now: Timestamp,
) -> anyhow::Result<Vec<DeadLetterMessage>> {
    let taken = dead_letters.into_iter().filter(|dead_letter| filter.takes(dead_letter, now));
    let taken = taken.collect();
    Ok(match filter.attempts {
        None => taken,
        Some(range) => attempted(table, range, taken, |dead_letter| Some(dead_letter)).await?.0,
    })
}

/// What a command that prints ends with: whoever reads the output has seen enough (`| head`).
pub(super) fn heard(error: anyhow::Error) -> anyhow::Result<ExitCode> {
    let io = error.downcast_ref::<std::io::Error>();
    let is_closed = io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe);
    if is_closed { Ok(ExitCode::SUCCESS) } else { Err(error) }
}

/// What is listed.
struct DlqList {
    now: Timestamp,
    json: bool,
    lines: LineLimit,
    groups: Option<DeadLetterGroups>,
    counts: BTreeMap<&'static str, u64>,
    expiring: Expiring,
}

impl DlqList {
    fn new(options: &DlqListOptions, now: Timestamp) -> Self {
        let lines = LineLimit::new(options.limit, options.json);
        let groups = options.group.then(DeadLetterGroups::default);
        let (json, counts) = (options.json, BTreeMap::new());
        Self { now, json, lines, groups, counts, expiring: Expiring::default() }
    }

    fn enter(&mut self, dead_letter: &DeadLetterMessage) -> std::io::Result<()> {
        *self.counts.entry(dead_letter.reason().as_str()).or_default() += 1;
        self.expiring.count(dead_letter, self.now);
        match &mut self.groups {
            Some(groups) => groups.count(dead_letter),
            None if self.lines.takes() => print(dead_letter, self.now, self.json)?,
            None => {}
        }
        Ok(())
    }

    /// Prints the groups, if they were asked for, and the summary.
    fn finish(mut self, left: Unread) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        let total: u64 = self.counts.values().sum();
        let mut rest = self.lines.rest();
        if let Some(groups) = self.groups.take() {
            rest = total;
            for group in groups.sorted().0 {
                if self.lines.takes() {
                    print_group(&group, self.json, &mut out)?;
                    rest -= group.count;
                }
            }
        }
        if self.json {
            let summary = json!({
                "letters": total, "by_code": self.counts, "not_looked_at": left.behind,
                "in_flight": left.in_flight, "expiring_within_3_days": self.expiring.soon,
                "first_expires_at": self.expiring.first.map(|at| at.to_string()),
                "not_printed": rest, "whole": left.end == ReadEnd::Empty,
            });
            return writeln!(out, "{}", json!({ "summary": summary }));
        }
        if rest > 0 {
            writeln!(
                out,
                "… and {rest} dead letters more that are not printed (--limit N, --json)"
            )?;
        }
        summarise(&self.counts, &self.expiring, left, self.now, &mut out)
    }
}

fn print_group(group: &DeadLetterGroup, json: bool, out: &mut impl Write) -> std::io::Result<()> {
    let DeadLetterGroup { reason, text, count } = group;
    if json {
        let group = json!({ "code": reason.as_str(), "reason": text, "letters": count });
        return writeln!(out, "{group}");
    }
    writeln!(out, "{count:>7}  {reason:<17}  {}", escaped(text))
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
    let payments = RefCell::new(HashSet::new());
    let looked = look_at_all(&reader, async |dead_letters| {
        let references = dead_letters.iter().filter_map(DeadLetterMessage::reference);
        payments.borrow_mut().extend(references.map(|reference| reference.id));
        Ok(Looking::GoesOn)
    });
    let looked = looked.await;
    let unread = reader.finish(aws, names).await?;
    looked?;
    let (payments, incomplete) = (payments.into_inner(), unread.end != ReadEnd::Empty);
    let count = unread.behind + unread.in_flight;
    Ok(DeadLetterPayments { payments, unread: count.max(u64::from(incomplete)) })
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

fn print(dead_letter: &DeadLetterMessage, now: Timestamp, json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        return writeln!(out, "{}", dead_letter.json());
    }
    let at = dead_letter.at().map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
    let reference = dead_letter.reference().map_or_else(|| "-".to_owned(), |r| r.to_string());
    let (reason, service, words) =
        (dead_letter.reason(), dead_letter.service(), escaped(dead_letter.explanation()));
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
    out: &mut impl Write,
) -> std::io::Result<()> {
    let total: u64 = counts.values().sum();
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
