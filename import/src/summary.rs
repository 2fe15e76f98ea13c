//! What an import did, for people and for programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::ledger::Ledger;
use super::survey::Survey;

/// A refused row.
#[derive(Debug, Serialize)]
struct Reason {
    line: u64,
    reason: String,
}

/// What an import did.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    file: PathBuf,
    batch: String,
    sha256: String,
    rows: u64,
    /// Rows without any content; they are not among `rows`.
    blank_rows: u64,
    /// What the rows without a PaymentID ask for.
    content: String,
    /// Minor units by currency, as texts: a sum may be larger than what JSON readers keep exactly.
    sums: BTreeMap<&'static str, String>,
    scheduled: u64,
    already_scheduled: u64,
    pub(crate) refused: u64,
    /// The first refused rows.
    reasons: Vec<Reason>,
    /// The file with all of them.
    rejects: Option<PathBuf>,
    /// Rows that an import before this one had done.
    resumed_behind: u64,
    /// Whether payments were scheduled at all.
    written: Written,
    /// The file with the references of those that were, when it was all or nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partly: Option<PathBuf>,
    /// How long the first reading took, and the second.
    seconds: [f64; 2],
}

/// Whether payments were scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Written {
    /// All but the refused ones.
    Yes,
    /// It was a dry run.
    DryRun,
    /// Rows were refused, and it was all or nothing.
    Nothing,
    /// It was all or nothing, and another writer's payment was met on the way.
    Partly,
}

impl Summary {
    pub(crate) fn new(file: &Path, batch: &str, survey: &Survey, took: Duration) -> Self {
        let sums = survey.totals.sums.iter().map(|(code, sum)| (*code, sum.to_string()));
        Self {
            file: file.to_owned(),
            batch: batch.to_owned(),
            sha256: survey.sha256.clone(),
            rows: survey.totals.rows,
            blank_rows: survey.blank,
            content: survey.content.hash(),
            sums: sums.collect(),
            scheduled: 0,
            already_scheduled: 0,
            refused: survey.refused,
            reasons: Vec::new(),
            rejects: None,
            resumed_behind: 0,
            written: Written::Yes,
            partly: None,
            seconds: [took.as_secs_f64(), 0.0],
        }
    }

    /// Adds what the second reading did.
    pub(crate) fn add(&mut self, ledger: Ledger, written: Written, from: u64, took: Duration) {
        self.scheduled = ledger.counts.scheduled;
        self.already_scheduled = ledger.counts.already_scheduled;
        self.refused = ledger.counts.refused;
        self.rejects = ledger.rejects().map(Path::to_owned);
        let reasons = ledger.reasons.into_iter();
        self.reasons = reasons.map(|(line, reason)| Reason { line, reason }).collect();
        (self.written, self.resumed_behind) = (written, from);
        self.seconds[1] = took.as_secs_f64();
    }

    pub(crate) fn print(&self) {
        let behind = match self.written {
            Written::Yes => "",
            Written::DryRun => " (dry run: nothing was written)",
            Written::Nothing => " (all or nothing: nothing was scheduled)",
            Written::Partly => " (all or nothing, and stopped on the way)",
        };
        println!(
            "{} rows: {} scheduled, {} already scheduled, {} refused{behind}",
            self.rows, self.scheduled, self.already_scheduled, self.refused
        );
        if self.blank_rows > 0 {
            eprintln!("{} blank rows were passed over", self.blank_rows);
        }
        if let Some(partly) = &self.partly {
            let partly = partly.display();
            eprintln!(
                "what is in the table of this file is listed in {partly}; to take it back: \
                 xargs dueflow payments cancel --execute < {partly}"
            );
        }
        if self.refused > self.reasons.len() as u64 {
            eprintln!("… and {} more", self.refused - self.reasons.len() as u64);
        }
        if let Some(rejects) = &self.rejects {
            eprintln!("the refused rows are in {}", rejects.display());
        }
        let sums: Vec<_> = self.sums.iter().map(|(code, sum)| format!("{sum} {code}")).collect();
        eprintln!("sums in minor units: {}", sums.join(", "));
        let rows = (self.rows - self.resumed_behind) as f64;
        let [first, second] = self.seconds;
        eprintln!(
            "checked in {first:.1} s ({:.0} rows/s), scheduled in {second:.1} s ({:.0} rows/s)",
            self.rows as f64 / first.max(0.001),
            rows / second.max(0.001),
        );
    }
}
