//! What a check finds.

use std::fmt;

use serde::Serialize;

/// Whether the batch may start, as far as one check can tell. The order is that of severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Severity {
    /// It may.
    Go,
    /// It may, but somebody should look.
    Warn,
    /// Nothing is known, because something before it is wrong.
    NotChecked,
    /// It may not.
    NoGo,
}

impl Severity {
    /// As it is printed.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Warn => "warn",
            Self::NotChecked => "not checked",
            Self::NoGo => "no-go",
        }
    }
}

/// The checks. Several results may come from one: a queue each, or a difference each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Check {
    /// AWS answers, and takes the credentials.
    Aws,
    /// This machine's clock.
    Clock,
    /// Tables as they should be.
    Table,
    /// Write units of table and index.
    Capacity,
    /// Write units of one partition of the index.
    Partitions,
    /// Queues as they should be.
    Queue,
    /// Dead letters.
    DeadLetters,
    /// What waits in a queue.
    Backlog,
    /// Dispatching is not stopped.
    Dispatching,
    /// The transaction service answers.
    TransactionService,
    /// Enough calls at once.
    Concurrency,
    /// Payments are spread over the partitions of the index.
    Skew,
    /// One account's payments pass one after the other.
    LargestAccount,
    /// Relays live and read.
    Relays,
    /// Dispatchers and confirmers are ready.
    Services,
    /// Yesterday is archived.
    Archive,
    /// Nothing is left of the days before.
    Unfinished,
    /// Nothing older than those has been forgotten.
    Forgotten,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Aws => "aws",
            Self::Clock => "clock",
            Self::Table => "table",
            Self::Capacity => "capacity",
            Self::Partitions => "partitions",
            Self::Queue => "queue",
            Self::DeadLetters => "dead-letters",
            Self::Backlog => "backlog",
            Self::Dispatching => "dispatching",
            Self::TransactionService => "transaction-service",
            Self::Concurrency => "concurrency",
            Self::Skew => "skew",
            Self::LargestAccount => "largest-account",
            Self::Relays => "relays",
            Self::Services => "services",
            Self::Archive => "archive",
            Self::Unfinished => "unfinished",
            Self::Forgotten => "forgotten",
        })
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct CheckResult {
    /// Which check.
    pub(super) check: Check,
    /// What it says.
    #[serde(rename = "verdict")]
    pub(super) severity: Severity,
    /// What was found.
    pub(super) figure: String,
    /// What it was held against; empty where there is nothing to say.
    pub(super) needed: String,
    /// What to do about it.
    pub(super) remedy: Option<String>,
}

impl CheckResult {
    /// All is well.
    pub(super) fn go(check: Check, figure: impl Into<String>, needed: impl Into<String>) -> Self {
        let (figure, needed) = (figure.into(), needed.into());
        Self { check, severity: Severity::Go, figure, needed, remedy: None }
    }

    /// Somebody should look.
    pub(super) fn warn(
        check: Check,
        figure: impl Into<String>,
        needed: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        Self { severity: Severity::Warn, remedy, ..Self::go(check, figure, needed) }
    }

    /// The batch would not pass.
    pub(super) fn no_go(
        check: Check,
        figure: impl Into<String>,
        needed: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        Self { severity: Severity::NoGo, remedy, ..Self::go(check, figure, needed) }
    }

    /// The check could not be made: nobody knows, so it is a no-go.
    pub(super) fn failed(check: Check, reason: impl fmt::Display) -> Self {
        let figure = format!("could not be checked: {reason}");
        Self::no_go(check, figure, "", "mend that and run preflight again")
    }

    /// Something before it is wrong already.
    pub(super) fn not_checked(check: Check, because: &str) -> Self {
        Self {
            severity: Severity::NotChecked,
            ..Self::go(check, format!("not checked: {because}"), "")
        }
    }
}

/// The worst of all results.
pub(super) fn overall(results: &[CheckResult]) -> Severity {
    match results.iter().map(|result| result.severity).max().unwrap_or(Severity::Go) {
        // Nothing is known of it, and that must not pass.
        Severity::NotChecked | Severity::NoGo => Severity::NoGo,
        Severity::Warn => Severity::Warn,
        Severity::Go => Severity::Go,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_checked_does_not_pass() {
        let go = || CheckResult::go(Check::Skew, "", "");
        let warn = || CheckResult::warn(Check::Skew, "", "", "");
        assert_eq!(overall(&[]), Severity::Go);
        assert_eq!(overall(&[go(), warn(), go()]), Severity::Warn);
        assert_eq!(overall(&[go(), CheckResult::not_checked(Check::Skew, "x")]), Severity::NoGo);
        assert_eq!(overall(&[warn(), CheckResult::failed(Check::Skew, "x")]), Severity::NoGo);
    }

    const ALL: [Check; 18] = [
        Check::Aws,
        Check::Clock,
        Check::Table,
        Check::Capacity,
        Check::Partitions,
        Check::Queue,
        Check::DeadLetters,
        Check::Backlog,
        Check::Dispatching,
        Check::TransactionService,
        Check::Concurrency,
        Check::Skew,
        Check::LargestAccount,
        Check::Relays,
        Check::Services,
        Check::Archive,
        Check::Unfinished,
        Check::Forgotten,
    ];

    #[test]
    fn every_check_has_a_section_in_the_runbook() {
        let runbook = include_str!("../../../docs/runbooks/preflight.md");
        let sections: Vec<_> = runbook.lines().filter_map(|l| l.strip_prefix("## ")).collect();
        assert_eq!(sections, ALL.map(|check| check.to_string()));
    }

    #[test]
    fn a_check_has_one_name_in_lines_and_in_json() {
        for check in ALL {
            assert_eq!(serde_json::to_value(check).unwrap(), check.to_string());
        }
        for severity in [Severity::Go, Severity::Warn, Severity::NoGo] {
            assert_eq!(serde_json::to_value(severity).unwrap(), severity.as_str());
        }
    }
}
