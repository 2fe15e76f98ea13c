//! What a replay prints: a line for each payment, and a summary.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

use super::candidate::{Replay, ReplayMode, ReplayState};
use super::grouping::common_text;
use super::plan::{FinalStatus, ReplayPlan};
use super::reader::{MAX_DEAD_LETTERS, ReadEnd, Unread};
use crate::escape::escaped;
use crate::line_limit::LineLimit;

/// Most reasons that are told apart, and that are shown to people.
const MAX_OBSTACLES: usize = 1_000;
const SHOWN_OBSTACLES: usize = 10;

/// What a whole run came to.
#[derive(Debug)]
pub(super) struct ReplayReport {
    mode: ReplayMode,
    json: bool,
    actions: BTreeMap<&'static str, u64>,
    refused: u64,
    failed: u64,
    /// Why, without what differs from payment to payment, and how often.
    obstacles: BTreeMap<String, u64>,
    lines: LineLimit,
    /// Dead letters written after the run began.
    pub(super) newer: u64,
    /// Opens what it is printed to.
    out: fn() -> Box<dyn Write>,
}

impl ReplayReport {
    /// Nothing so far.
    pub(super) fn new(mode: ReplayMode, json: bool, limit: Option<u64>) -> Self {
        Self {
            mode,
            json,
            actions: BTreeMap::new(),
            refused: 0,
            failed: 0,
            obstacles: BTreeMap::new(),
            lines: LineLimit::new(limit, json),
            newer: 0,
            out: || Box::new(std::io::stdout().lock()),
        }
    }

    /// The same, printed to nowhere.
    #[cfg(test)]
    pub(super) fn unseen(self) -> Self {
        Self { out: || Box::new(std::io::sink()), ..self }
    }

    /// Prints replays and counts them.
    pub(super) fn enter(&mut self, replays: &[Replay]) -> std::io::Result<()> {
        let mut out = (self.out)();
        for replay in replays {
            match replay.outcome.state {
                ReplayState::Planned | ReplayState::Done => {
                    *self.actions.entry(replay.outcome.action).or_default() += 1;
                }
                ReplayState::Refused => {
                    self.refused += 1;
                    self.count_obstacle(&replay.outcome.why);
                }
                ReplayState::Failed => {
                    self.failed += 1;
                    self.count_obstacle(&replay.outcome.why);
                }
            }
            if !self.lines.takes() {
                continue;
            }
            if self.json {
                writeln!(out, "{}", as_json(replay))?;
            } else {
                writeln!(out, "{}", line(replay))?;
            }
        }
        Ok(())
    }

    /// Counts why something is not done; all that says something else than the first so many is
    /// counted together.
    fn count_obstacle(&mut self, why: &str) {
        let why = common_text(why);
        let is_known = self.obstacles.contains_key(&why) || self.obstacles.len() < MAX_OBSTACLES;
        let why = if is_known { why } else { "other reasons".to_owned() };
        *self.obstacles.entry(why).or_default() += 1;
    }

    /// How many dead letters were closed because their payment had ended.
    pub(super) fn closed(&self) -> u64 {
        let closed = ReplayPlan::Close(FinalStatus::Cancelled).as_str();
        self.actions.get(closed).copied().unwrap_or_default()
    }

    /// The actions that were done, or would be, each with how often.
    #[cfg(test)]
    pub(super) fn actions(&self) -> Vec<(&'static str, u64)> {
        self.actions.iter().map(|(action, count)| (*action, *count)).collect()
    }

    /// Whether everything that was asked for is done, or would be.
    pub(super) fn is_clean(&self, left: Unread) -> bool {
        // A dry run deletes nothing, so it cannot see behind the first ten. Dead letters that are
        // merely there again (given back to read on, or written since) are counted too, so the
        // count alone says nothing.
        let unseen = left.blocked > 0 && left.behind > 0;
        let behind = self.mode == ReplayMode::Execute && unseen;
        self.refused == 0
            && self.failed == 0
            && left.end == ReadEnd::Empty
            && !behind
            && left.in_flight == 0
    }

    /// How often what was done, or would be.
    pub(super) fn counts(&self) -> String {
        let mut parts: Vec<_> =
            self.actions.iter().map(|(action, count)| format!("{count} {action}")).collect();
        parts.extend((self.refused > 0).then(|| format!("{} refused", self.refused)));
        parts.extend((self.failed > 0).then(|| format!("{} failed", self.failed)));
        if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") }
    }

    /// Prints the summary.
    pub(super) fn finish(&self, left: Unread) -> std::io::Result<()> {
        let mut out = (self.out)();
        if self.json {
            let summary = json!({
                "execute": self.mode == ReplayMode::Execute, "actions": self.actions,
                "refused": self.refused, "failed": self.failed, "newer": self.newer,
                "not_looked_at": left.behind, "in_flight": left.in_flight,
                "obstacles": self.obstacles, "not_printed": self.lines.rest(),
                "whole": left.end == ReadEnd::Empty,
            });
            return writeln!(out, "{}", json!({ "summary": summary }));
        }
        write!(out, "{}", self.lines.rest_line("payments"))?;
        let all = self.counts();
        match self.mode {
            ReplayMode::DryRun => {
                writeln!(
                    out,
                    "{all}\nThis was a dry run: nothing was changed. --execute does it."
                )?;
            }
            ReplayMode::Execute => writeln!(out, "{all}")?,
        }
        let mut obstacles: Vec<_> = self.obstacles.iter().collect();
        obstacles.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (why, count) in obstacles.into_iter().take(SHOWN_OBSTACLES) {
            writeln!(out, "{count:>7} not: {}", escaped(why))?;
        }
        self.explain(left, &mut out)
    }

    fn explain(&self, left: Unread, out: &mut impl Write) -> std::io::Result<()> {
        if self.refused + self.failed > 0 && !self.actions.is_empty() {
            writeln!(
                out,
                "A payment that was refused or failed does not hold back later payments of its account."
            )?;
        }
        if self.newer > 0 {
            writeln!(
                out,
                "{} dead letters were written while this ran; they were left alone",
                self.newer
            )?;
        }
        if left.behind > 0 {
            writeln!(
                out,
                "about {} dead letters could not be read: they are behind others of their account \
                 that stay, or another command has them",
                left.behind
            )?;
        }
        if left.in_flight > 0 {
            writeln!(out, "{}", in_flight(left.in_flight))?;
        }
        match left.end {
            ReadEnd::Empty => Ok(()),
            ReadEnd::Full => {
                writeln!(out, "one run reads {MAX_DEAD_LETTERS} dead letters at most: run it again")
            }
            ReadEnd::Interrupted => writeln!(out, "interrupted: run it again to go on"),
        }
    }
}

fn line(Replay { candidate, outcome, .. }: &Replay) -> String {
    let action = match outcome.state {
        ReplayState::Planned | ReplayState::Done => outcome.action,
        ReplayState::Refused | ReplayState::Failed => outcome.state.as_str(),
    };
    let dead_letter = candidate.dead_letter.as_ref();
    let reference = candidate.subject();
    let code = dead_letter.map_or("no dead letter", |dead_letter| dead_letter.reason().as_str());
    format!("{action:<13}  {reference}  {code}  {}", outcome.why)
}

fn as_json(Replay { candidate, outcome, .. }: &Replay) -> Value {
    let dead_letter = candidate.dead_letter.as_ref();
    json!({
        "reference": candidate.reference.as_ref().map(ToString::to_string),
        "message_id": dead_letter.map(|dead_letter| &dead_letter.message_id),
        "code": dead_letter.map(|dead_letter| dead_letter.reason().as_str()),
        "action": outcome.action, "state": outcome.state.as_str(), "why": outcome.why,
    })
}

/// Says that another command has dead letters.
pub(super) fn in_flight(count: u64) -> String {
    format!(
        "about {count} dead letters are in flight and could not be read: another command has \
         them, or one that was killed less than two minutes ago; run it again after two minutes"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_left_dead_letters_behind_ten_that_stay_is_not_clean() {
        let clean = |mode, behind, blocked| {
            let left = Unread { behind, blocked, in_flight: 0, end: ReadEnd::Empty };
            ReplayReport::new(mode, false, None).is_clean(left)
        };
        assert!(clean(ReplayMode::Execute, 0, 0));
        assert!(!clean(ReplayMode::Execute, 1, 1), "behind ten that stay");
        assert!(clean(ReplayMode::Execute, 4, 0), "given back to read on, or written since");
        assert!(clean(ReplayMode::DryRun, 7, 1), "a dry run cannot see behind the first ten");
    }

    #[test]
    fn a_run_that_found_dead_letters_in_flight_is_not_clean() {
        for mode in [ReplayMode::DryRun, ReplayMode::Execute] {
            let left = Unread { behind: 0, blocked: 0, in_flight: 31, end: ReadEnd::Empty };
            assert!(!ReplayReport::new(mode, false, None).is_clean(left));
        }
    }
}
