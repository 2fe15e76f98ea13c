//! How findings are printed.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use serde_json::json;

use super::finding::{Finding, Verdict, overall};
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

    fn paint(self, verdict: Verdict, text: &str) -> String {
        let code = match verdict {
            Verdict::Go => 32,
            Verdict::Warn => 33,
            Verdict::NotChecked => 2,
            Verdict::NoGo => 31,
        };
        match self {
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Off => text.to_owned(),
        }
    }
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Go => "✓",
        Verdict::Warn => "!",
        Verdict::NotChecked => "-",
        Verdict::NoGo => "✗",
    }
}

/// Width of mark, verdict and check, with the spaces between.
const INDENT: usize = 2 + 12 + 20;

/// The report for people.
pub(super) fn lines(findings: &[Finding], colour: Colour) -> String {
    let mut text = String::new();
    for Finding { check, verdict, figure, needed, remedy } in findings {
        let head = format!("{} {:<11}", mark(*verdict), verdict.as_str());
        text.push_str(&format!("{} {check:<19} {figure}\n", colour.paint(*verdict, &head)));
        if !needed.is_empty() {
            text.push_str(&format!("{:INDENT$}needed: {needed}\n", ""));
        }
        if let Some(remedy) = remedy {
            text.push_str(&format!("{:INDENT$}→ {remedy}\n", ""));
        }
    }
    let verdict = overall(findings);
    let count = |wanted| findings.iter().filter(|finding| finding.verdict == wanted).count();
    let sum = format!(
        "{}: {} go, {} warn, {} no-go, {} not checked",
        verdict.as_str(),
        count(Verdict::Go),
        count(Verdict::Warn),
        count(Verdict::NoGo),
        count(Verdict::NotChecked),
    );
    text.push_str(&colour.paint(verdict, &sum));
    text.push('\n');
    text
}

/// Prints all findings.
///
/// # Errors
/// Standard output cannot be written, other than by a reader that has seen enough.
pub(super) fn print(findings: &[Finding], options: &PreflightOptions) -> std::io::Result<()> {
    let text = if options.json {
        let whole = json!({ "verdict": overall(findings), "findings": findings });
        format!("{whole}\n")
    } else {
        lines(findings, Colour::of_environment())
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The exit status when warnings do not count, and when they do.
fn exit_statuses(verdict: Verdict) -> (u8, u8) {
    match verdict {
        Verdict::Go => (0, 0),
        Verdict::Warn => (0, WARNED),
        Verdict::NotChecked | Verdict::NoGo => (1, 1),
    }
}

/// How the process ends.
pub(super) fn ended(findings: &[Finding], options: &PreflightOptions) -> ExitCode {
    let (lax, strict) = exit_statuses(overall(findings));
    ExitCode::from(if options.strict { strict } else { lax })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Check;
    use super::*;

    #[test]
    fn lines_are_aligned_and_say_figure_need_and_remedy() {
        let findings = [
            Finding::go(Check::Clock, "0.2 s", "at most 5 s"),
            Finding::no_go(Check::TransactionService, "no answer", "", "start it"),
        ];
        let expected = "\
✓ go          clock               0.2 s
                                  needed: at most 5 s
✗ no-go       transaction-service no answer
                                  → start it
no-go: 1 go, 0 warn, 1 no-go, 0 not checked
";
        assert_eq!(lines(&findings, Colour::Off), expected);
        assert!(lines(&findings, Colour::On).contains("\x1b[31m✗ no-go"));
    }

    #[test]
    fn warnings_fail_a_preflight_only_when_they_count() {
        assert_eq!(exit_statuses(Verdict::Go), (0, 0));
        assert_eq!(exit_statuses(Verdict::Warn), (0, 2));
        assert_eq!(exit_statuses(Verdict::NotChecked), (1, 1));
        assert_eq!(exit_statuses(Verdict::NoGo), (1, 1));
    }
}
