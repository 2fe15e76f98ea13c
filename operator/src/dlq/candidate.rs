//! A payment on its way through a replay.

use domain::{DueDate, PaymentId, PaymentRef};
use shared::payments::StoredPayment;

use super::dead_letter::DeadLetterMessage;
use super::names::Naming;
use super::plan::ReplayPlan;
use super::reader::ReceivedDeadLetter;
use super::work::{ReplayMessage, ReplayWork, ReplayWrite};
use crate::actions::ActionOnPayment;

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplayMode {
    /// The plans are only printed.
    DryRun,
    /// They are carried out.
    Execute,
}

/// What a replay is asked to deal with: a dead letter, or a payment that was named.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Its message, while this process has it; `None` for a payment that was named.
    pub(super) received: Option<ReceivedDeadLetter>,
    /// Its dead letter; `None` for a payment that was named.
    pub(super) dead_letter: Option<DeadLetterMessage>,
    /// The payment, if it is known.
    pub(super) reference: Option<PaymentRef>,
    /// How the command has come to it.
    pub(super) naming: Naming,
}

impl Candidate {
    /// A dead letter.
    pub(super) fn new(received: ReceivedDeadLetter, dead_letter: DeadLetterMessage) -> Self {
        let (reference, naming) = (dead_letter.reference(), Naming::Otherwise);
        Self { received: Some(received), dead_letter: Some(dead_letter), reference, naming }
    }

    /// The same, come to in another way.
    pub(super) fn with(self, naming: Naming) -> Self {
        Self { naming, ..self }
    }

    /// A payment that was named, without a dead letter.
    pub(super) fn named(reference: PaymentRef) -> Self {
        Self {
            received: None,
            dead_letter: None,
            reference: Some(reference),
            naming: Naming::Otherwise,
        }
    }

    /// A message that was named and is not there.
    pub(super) fn message(id: String) -> Self {
        let dead_letter = DeadLetterMessage::read(&id, "", String::new());
        let (received, reference, naming) = (None, None, Naming::ByMessageId);
        Self { received, dead_letter: Some(dead_letter), reference, naming }
    }

    /// The payment, or the dead letter where none is known.
    pub(super) fn subject(&self) -> String {
        let dead_letter = self.dead_letter.as_ref();
        let message = || dead_letter.map_or("-", |dead_letter| &dead_letter.message_id).to_owned();
        self.reference.as_ref().map_or_else(message, ToString::to_string)
    }

    /// The key of the order within an account; what has none comes last.
    pub(super) fn order(&self) -> (bool, Option<(DueDate, PaymentId)>) {
        let key = self.reference.as_ref().map(|reference| (reference.due, reference.id));
        (key.is_none(), key)
    }

    /// Whether its message, if it has one, is still hidden from all others (INV-10).
    pub(super) fn is_held(&self) -> bool {
        self.received.as_ref().is_none_or(ReceivedDeadLetter::is_held)
    }
}

/// A candidate, with what is written and sent for it, and how far that has come.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) candidate: Candidate,
    work: Option<ReplayWork>,
    pub(super) outcome: ReplayOutcome,
}

impl Replay {
    /// A plan. `stored` is what the table holds of the payment, if it was read.
    pub(super) fn planned(
        candidate: Candidate,
        plan: &ReplayPlan,
        stored: Option<Box<StoredPayment>>,
    ) -> Self {
        let state = match plan {
            ReplayPlan::Refuse(_) => ReplayState::Refused,
            ReplayPlan::Replay { .. }
            | ReplayPlan::SendAgain(_)
            | ReplayPlan::ConfirmAgain(_)
            | ReplayPlan::Discard { .. }
            | ReplayPlan::Delete
            | ReplayPlan::Close(_) => ReplayState::Planned,
        };
        let mut outcome = ReplayOutcome { state, action: plan.as_str(), why: plan.to_string() };
        let work = ReplayWork::of(plan, stored);
        // Nothing is done for it, so its dead letter must stay.
        if work.is_none() && plan.is_work() {
            outcome.fail("the payment was not read from the table".to_owned());
        }
        Self { work, candidate, outcome }
    }

    /// Nothing could be decided.
    pub(super) fn undecided(candidate: Candidate, why: String) -> Self {
        let outcome = ReplayOutcome { state: ReplayState::Failed, action: "undecided", why };
        Self { candidate, work: None, outcome }
    }

    /// As the action log has it.
    pub(super) fn action(&self) -> ActionOnPayment {
        let ReplayOutcome { state, action, why } = &self.outcome;
        let outcome = match state {
            ReplayState::Planned | ReplayState::Done => format!("{action}: {why}"),
            ReplayState::Refused | ReplayState::Failed => format!("{}: {why}", state.as_str()),
        };
        ActionOnPayment { subject: self.candidate.subject(), outcome }
    }

    /// The write that is still to be made.
    pub(super) fn planned_write(&mut self) -> Option<(&ReplayWrite, &mut ReplayOutcome)> {
        let is_planned = self.outcome.state == ReplayState::Planned;
        let write = self.work.as_ref().filter(|_| is_planned)?.write()?;
        Some((write, &mut self.outcome))
    }

    /// The message that is still to be sent.
    pub(super) fn planned_message(&mut self) -> Option<(ReplayMessage, &mut ReplayOutcome)> {
        let work = self.work.as_ref().filter(|_| self.outcome.state == ReplayState::Planned)?;
        let message_id = self.candidate.dead_letter.as_ref().map(|letter| &*letter.message_id);
        Some((work.message(message_id)?, &mut self.outcome))
    }
}

/// What has become of a candidate.
#[derive(Debug)]
pub(super) struct ReplayOutcome {
    /// How far it came.
    pub(super) state: ReplayState,
    /// The plan's name.
    pub(super) action: &'static str,
    /// Why, for people.
    pub(super) why: String,
}

impl ReplayOutcome {
    /// It could not be done.
    pub(super) fn fail(&mut self, why: String) {
        self.state = ReplayState::Failed;
        self.why = why;
    }

    /// It is done, unless it was refused or has failed.
    pub(super) fn done(&mut self) {
        if self.state == ReplayState::Planned {
            self.state = ReplayState::Done;
        }
    }

    /// Says more.
    pub(super) fn add(&mut self, note: &str) {
        self.why = format!("{}; {note}", self.why);
    }
}

/// How far a replay came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplayState {
    /// It would be done.
    Planned,
    /// It is done, and its dead letter may be deleted.
    Done,
    /// It may not be done.
    Refused,
    /// It could not be done.
    Failed,
}

impl ReplayState {
    /// Its name in the lists.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::PaymentId;

    use super::*;

    #[test]
    fn what_a_plan_would_send_of_a_payment_that_was_not_read_fails_and_is_never_done() {
        let reference: PaymentRef =
            format!("ACC/2026-11-23/{}", PaymentId::generate()).parse().unwrap();
        let plan = ReplayPlan::SendAgain(domain::Status::Scheduled);
        let mut replay = Replay::planned(Candidate::named(reference), &plan, None);
        assert!(replay.planned_message().is_none());
        replay.outcome.done();
        assert_eq!(replay.outcome.state, ReplayState::Failed);
    }
}
