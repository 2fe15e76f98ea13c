//! How results are printed.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use serde_json::json;

use super::check::{CheckResult, Severity, overall};
use super::options::PreflightOptions;

/// Exit status when there are warnings only, and they count.
const WARNED: u8 = 2;

/// Whether lines are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// With ANSI escapes.
    On,
    /// Plain.
    Off,
}

impl Colour {
    /// On a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    pub(super) fn of_environment() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if std::io::stdout().is_terminal() && !refused { Self::On } else { Self::Off }
    }

    fn paint(self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Go => 32,
            Severity::Warn => 33,
            Severity::NotChecked => 2,
            Severity::NoGo => 31,
        };
        match self {
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Off => text.to_owned(),
        }
    }
}

fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Go => "✓",
        Severity::Warn => "!",
        Severity::NotChecked => "-",
        Severity::NoGo => "✗",
    }
}

/// Width of mark, severity and check, with the spaces between.
const INDENT: usize = 2 + 12 + 20;

/// The report for people.
pub(super) fn lines(results: &[CheckResult], colour: Colour) -> String {
    let mut text = String::new();
    for CheckResult { check, severity, figure, needed, remedy } in results {
        let head = format!("{} {:<11}", mark(*severity), severity.as_str());
        text.push_str(&format!("{} {check:<19} {figure}\n", colour.paint(*severity, &head)));
        if !needed.is_empty() {
            text.push_str(&format!("{:INDENT$}needed: {needed}\n", ""));
        }
        if let Some(remedy) = remedy {
            text.push_str(&format!("{:INDENT$}→ {remedy}\n", ""));
        }
    }
    let severity = overall(results);
    let count = |wanted| results.iter().filter(|result| result.severity == wanted).count();
    let sum = format!(
        "{}: {} go, {} warn, {} no-go, {} not checked",
        severity.as_str(),
        count(Severity::Go),
        count(Severity::Warn),
        count(Severity::NoGo),
        count(Severity::NotChecked),
    );
    text.push_str(&colour.paint(severity, &sum));
    text.push('\n');
    text
}

/// Prints all results.
///
/// # Errors
/// Standard output cannot be written, other than by a reader that has seen enough.
pub(super) fn print(results: &[CheckResult], options: &PreflightOptions) -> std::io::Result<()> {
    let text = if options.json {
        let whole = json!({ "verdict": overall(results), "findings": results });
        format!("{whole}\n")
    } else {
        lines(results, Colour::of_environment())
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The exit status when warnings do not count, and when they do.
fn exit_statuses(severity: Severity) -> (u8, u8) {
    match severity {
        Severity::Go => (0, 0),
        Severity::Warn => (0, WARNED),
        Severity::NotChecked | Severity::NoGo => (1, 1),
    }
}

/// How the process ends.
pub(super) fn ended(results: &[CheckResult], options: &PreflightOptions) -> ExitCode {
    let (lax, strict) = exit_statuses(overall(results));
    ExitCode::from(if options.strict { strict } else { lax })
}

#[cfg(test)]
mod tests {
    use super::super::check::Check;
    use super::*;

    #[test]
    fn lines_are_aligned_and_say_figure_need_and_remedy() {
        let results = [
            CheckResult::go(Check::Clock, "0.2 s", "at most 5 s"),
            CheckResult::no_go(Check::TransactionService, "no answer", "", "start it"),
        ];
        let expected = "\
✓ go          clock               0.2 s
                                  needed: at most 5 s
✗ no-go       transaction-service no answer
                                  → start it
no-go: 1 go, 0 warn, 1 no-go, 0 not checked
";
        assert_eq!(lines(&results, Colour::Off), expected);
        assert!(lines(&results, Colour::On).contains("\x1b[31m✗ no-go"));
    }

    #[test]
    fn warnings_fail_a_preflight_only_when_they_count() {
        assert_eq!(exit_statuses(Severity::Go), (0, 0));
        assert_eq!(exit_statuses(Severity::Warn), (0, 2));
        assert_eq!(exit_statuses(Severity::NotChecked), (1, 1));
        assert_eq!(exit_statuses(Severity::NoGo), (1, 1));
    }
}
