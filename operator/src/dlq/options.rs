//! Options and settings of `dueflow dlq`.

use std::num::NonZeroU32;

use clap::{ArgGroup, Args};
use dispatcher::CallLimits;
use domain::{AttemptLimits, PaymentRef};
use shared::config::{Settings, attempt_limits};
use shared::transaction::TransactionSettings;

use super::filter::{DlqFilter, FILTERS};
use super::names::DeadLetterName;
use super::versions::WhichVersion;

/// Options of `dlq list`.
#[derive(Debug, Args)]
pub struct DlqListOptions {
    /// Which dead letters.
    #[command(flatten)]
    pub filter: DlqFilter,
    /// Print how many say the same, by code and reason, without what differs from payment to
    /// payment.
    #[arg(long)]
    pub group: bool,
    /// Print so many lines at most and count the rest. [default: 100, with --json all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Print each dead letter whole as a line of JSON, and a summary as the last line.
    #[arg(long)]
    pub json: bool,
}

/// Options of `dlq show`.
#[derive(Debug, Args)]
pub struct DlqShowOptions {
    /// The dead letter: its message id, or its payment by id or as
    /// `<AccountID>/<ScheduledDate>/<PaymentID>`.
    #[arg(value_name = "ID")]
    pub id: DeadLetterName,
    /// Print it as a line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `dlq export`.
#[derive(Debug, Args)]
pub struct DlqExportOptions {
    /// Which dead letters.
    #[command(flatten)]
    pub filter: DlqFilter,
}

/// Options of `dlq replay`.
#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("which").required(true).multiple(true).args(FILTERS).args(["references", "all"])
))]
pub struct DlqReplayOptions {
    /// Payments to send again: `<AccountID>/<ScheduledDate>/<PaymentID>`. A payment that FAILED
    /// is sent again even if its dead letter is not found.
    #[arg(value_name = "REF", conflicts_with_all = ["DlqFilter", "all"])]
    pub references: Vec<PaymentRef>,
    /// Which dead letters.
    #[command(flatten)]
    pub filter: DlqFilter,
    /// All dead letters.
    #[arg(long, conflicts_with = "DlqFilter")]
    pub all: bool,
    /// The right version of payments that have two: the table's, or the message's, which is then
    /// written back. Without this such payments are refused.
    #[arg(long, value_name = "WHICH", conflicts_with = "all")]
    pub version: Option<WhichVersion>,
    /// Why they are sent again, for the action log.
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub because: Option<String>,
    /// How it is carried out and printed.
    #[command(flatten)]
    pub run: DlqRunOptions,
}

/// Options of `dlq discard`.
#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("which").required(true).multiple(true).args(FILTERS).arg("names")
))]
pub struct DlqDiscardOptions {
    /// What to give up: payments as `<AccountID>/<ScheduledDate>/<PaymentID>`, dead letters by
    /// their message ids.
    #[arg(value_name = "REF|MESSAGE-ID", conflicts_with = "DlqFilter")]
    pub names: Vec<DeadLetterName>,
    /// Which dead letters.
    #[command(flatten)]
    pub filter: DlqFilter,
    /// Why they are given up.
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub because: String,
    /// What shows that no money has moved, for payments whose keys the transaction service may
    /// have forgotten. Without this such payments are refused.
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub evidence: Option<String>,
    /// How it is carried out and printed.
    #[command(flatten)]
    pub run: DlqRunOptions,
}

/// How a command that changes payments is carried out and printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct DlqRunOptions {
    /// Do it. Without this the command only prints what it would do.
    #[arg(long)]
    pub execute: bool,
    /// Change so many payments a second at most.
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU32>,
    /// Print so many lines at most and count the rest. [default: 100, with --json all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Print a line of JSON for each payment, and a summary as the last line.
    #[arg(long)]
    pub json: bool,
}

/// A text that is not empty.
pub(super) fn said(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// Settings of a replay, and of a discard, which asks as it does.
#[derive(Debug)]
pub(super) struct ReplaySettings {
    pub(super) transaction: TransactionSettings,
    pub(super) limits: AttemptLimits,
    pub(super) calls: CallLimits,
}

impl ReplaySettings {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let transaction = TransactionSettings::read(settings);
        let limits = attempt_limits(settings);
        let calls = CallLimits::read(settings);
        Some(Self { transaction: transaction?, limits: limits?, calls: calls? })
    }
}
