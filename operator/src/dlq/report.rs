//! What a replay prints: a line for each payment, and a summary.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::json;

use super::letter::Letter;
use super::plan::{Ended, Plan, Refusal};
use super::reader::{End, Left, MAX_LETTERS};
use super::replayer::{Case, Mode};

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It would be done.
    Planned,
    /// It is done, and its letter may go.
    Done,
    /// It may not be done.
    Refused,
    /// It could not be done.
    Failed,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// The action of a case that could not be decided.
const UNDECIDED: &str = "undecided";

/// What was done with one payment or letter.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// How far it came.
    pub(super) state: State,
    /// Where its letter lies in the look.
    pub(super) place: Option<usize>,
    action: &'static str,
    why: String,
    reference: Option<String>,
    code: Option<&'static str>,
    message_id: Option<String>,
}

impl Entry {
    /// What is planned for a case.
    pub(super) fn planned(case: &Case, plan: &Plan) -> Self {
        let state = match plan {
            Plan::Refuse(_) => State::Refused,
            Plan::Replay { .. } | Plan::SendAgain(_) | Plan::ConfirmAgain | Plan::Close(_) => {
                State::Planned
            }
        };
        Self {
            state,
            place: case.place,
            action: plan.as_str(),
            why: plan.to_string(),
            reference: case.reference.as_ref().map(ToString::to_string),
            code: case.letter.as_ref().map(|letter| letter.reason().as_str()),
            message_id: case.letter.as_ref().map(|Letter { message_id, .. }| message_id.clone()),
        }
    }

    /// A case that could not be decided.
    pub(super) fn failed(case: &Case, reason: String) -> Self {
        let refuse = Plan::Refuse(Refusal::Unreadable);
        let (state, action) = (State::Failed, UNDECIDED);
        Self { state, action, why: reason, ..Self::planned(case, &refuse) }
    }

    /// It could not be done.
    pub(super) fn fail(&mut self, reason: String) {
        self.state = State::Failed;
        self.why = reason;
    }

    /// It is done, unless it has failed.
    pub(super) fn done(&mut self) {
        if self.state == State::Planned {
            self.state = State::Done;
        }
    }

    /// Says more.
    pub(super) fn add(&mut self, note: &str) {
        self.why = format!("{}; {note}", self.why);
    }

    fn line(&self) -> String {
        let action = match self.state {
            State::Planned | State::Done => self.action,
            State::Refused | State::Failed => self.state.as_str(),
        };
        let reference = self.reference.as_deref().or(self.message_id.as_deref()).unwrap_or("-");
        let code = self.code.unwrap_or("no letter");
        format!("{action:<13}  {reference}  {code}  {}", self.why)
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "reference": self.reference, "message_id": self.message_id, "code": self.code,
            "action": self.action, "state": self.state.as_str(), "why": self.why,
        })
    }
}

/// What a whole run came to.
#[derive(Debug)]
pub(super) struct Report {
    mode: Mode,
    json: bool,
    actions: BTreeMap<&'static str, u64>,
    refused: u64,
    failed: u64,
    /// Letters written after the run began.
    pub(super) newer: u64,
    /// Opens what it is printed to.
    out: fn() -> Box<dyn Write>,
}

impl Report {
    /// Nothing so far.
    pub(super) fn new(mode: Mode, json: bool) -> Self {
        let out = || Box::new(std::io::stdout().lock()) as _;
        Self { mode, json, actions: BTreeMap::new(), refused: 0, failed: 0, newer: 0, out }
    }

    /// The same, printed to nowhere.
    #[cfg(test)]
    pub(super) fn unseen(self) -> Self {
        Self { out: || Box::new(std::io::sink()), ..self }
    }

    /// Prints entries and counts them.
    pub(super) fn enter(&mut self, entries: &[Entry]) -> std::io::Result<()> {
        let mut out = (self.out)();
        for entry in entries {
            match entry.state {
                State::Planned | State::Done => *self.actions.entry(entry.action).or_default() += 1,
                State::Refused => self.refused += 1,
                State::Failed => self.failed += 1,
            }
            if self.json {
                writeln!(out, "{}", entry.json())?;
            } else {
                writeln!(out, "{}", entry.line())?;
            }
        }
        Ok(())
    }

    /// How many letters were closed because their payment had ended.
    pub(super) fn closed(&self) -> u64 {
        let closed = Plan::Close(Ended::Cancelled).as_str();
        self.actions.get(closed).copied().unwrap_or_default()
    }

    /// The actions that were done, or would be, each with how often.
    #[cfg(test)]
    pub(super) fn actions(&self) -> Vec<(&'static str, u64)> {
        self.actions.iter().map(|(action, count)| (*action, *count)).collect()
    }

    /// Whether everything that was asked for is done, or would be.
    pub(super) fn is_clean(&self, left: Left) -> bool {
        // A dry run takes no letter away, so it cannot see behind the first ten.
        // Letters that are merely there again (given back for another look, or written since)
        // are counted too, so the count alone says nothing.
        let unseen = left.blocked > 0 && left.behind > 0;
        let behind = self.mode == Mode::Execute && unseen;
        self.refused == 0
            && self.failed == 0
            && left.end == End::Empty
            && !behind
            && left.in_flight == 0
    }

    /// Prints the summary.
    pub(super) fn finish(&self, left: Left) -> std::io::Result<()> {
        let mut out = (self.out)();
        if self.json {
            let summary = json!({
                "execute": self.mode == Mode::Execute, "actions": self.actions,
                "refused": self.refused, "failed": self.failed, "newer": self.newer,
                "not_looked_at": left.behind, "in_flight": left.in_flight,
                "whole": left.end == End::Empty,
            });
            return writeln!(out, "{}", json!({ "summary": summary }));
        }
        let mut parts: Vec<_> =
            self.actions.iter().map(|(action, count)| format!("{count} {action}")).collect();
        parts.extend((self.refused > 0).then(|| format!("{} refused", self.refused)));
        parts.extend((self.failed > 0).then(|| format!("{} failed", self.failed)));
        let all = if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") };
        match self.mode {
            Mode::DryRun => {
                writeln!(
                    out,
                    "{all}\nThis was a dry run: nothing was changed. --execute does it."
                )?;
            }
            Mode::Execute => writeln!(out, "{all}")?,
        }
        self.explain(left, &mut out)
    }

    fn explain(&self, left: Left, out: &mut impl Write) -> std::io::Result<()> {
        if self.refused + self.failed > 0 && !self.actions.is_empty() {
            writeln!(
                out,
                "What is refused or failed does not hold back later payments of its account."
            )?;
        }
        if self.newer > 0 {
            writeln!(out, "{} letters came while this ran; they were left alone", self.newer)?;
        }
        if left.behind > 0 {
            writeln!(
                out,
                "about {} letters could not be looked at: they lie behind letters of their \
                 account that stay, or another command has them",
                left.behind
            )?;
        }
        if left.in_flight > 0 {
            writeln!(out, "{}", in_flight(left.in_flight))?;
        }
        match left.end {
            End::Empty => Ok(()),
            End::Full => writeln!(out, "{MAX_LETTERS} letters are the most at once: run it again"),
            End::Interrupted => writeln!(out, "interrupted: run it again to go on"),
        }
    }
}

/// Says that letters are in somebody else's hand.
pub(super) fn in_flight(letters: u64) -> String {
    format!(
        "about {letters} letters are in flight and could not be looked at: another command has \
         them, or one that was killed less than two minutes ago; run it again then"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_left_letters_behind_ten_that_stay_is_not_clean() {
        let clean = |mode, behind, blocked| {
            let left = Left { behind, blocked, in_flight: 0, end: End::Empty };
            Report::new(mode, false).is_clean(left)
        };
        assert!(clean(Mode::Execute, 0, 0));
        assert!(!clean(Mode::Execute, 1, 1), "behind ten that stay");
        assert!(clean(Mode::Execute, 4, 0), "given back for another look, or written since");
        assert!(clean(Mode::DryRun, 7, 1), "a dry run cannot see behind the first ten");
    }

    #[test]
    fn a_run_that_found_letters_in_flight_is_not_clean() {
        for mode in [Mode::DryRun, Mode::Execute] {
            let left = Left { behind: 0, blocked: 0, in_flight: 31, end: End::Empty };
            assert!(!Report::new(mode, false).is_clean(left));
        }
    }
}
