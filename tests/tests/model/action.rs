//! What can happen next.

use domain::Status;

use crate::protocol::Protocol;
use crate::rules::{Broken, Retention};
use crate::world::{
    Code, Confirmation, Confirmer, Operator, Place, Settled, Stage, Version, Worker, World,
};

/// One step of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    RelaySends(Arrival),
    RelayWritesCheckpoint,
    RelayRestarts,
    Receives(Worker, u8),
    Claims(Worker),
    Resumes(Worker),
    Asks(Worker, Reply),
    Checks(Worker),
    Posts(Worker, PostOutcome),
    Records(Worker),
    Fails(Worker),
    /// SCHEDULED → FAILED, because message and table differ.
    Withholds(Worker),
    DeadLetters(Worker),
    Deletes(Worker),
    Releases(Worker),
    WorkerCrashes(Worker),
    /// A message's visibility timeout ends.
    Reappears(u8),
    ConfirmerWrites(Confirmation),
    ConfirmerDeletes,
    /// The sweep asks for a payment that is PENDING for long.
    ConfirmerAsks(Place),
    ConfirmerActsOnAnswer,
    ConfirmerCrashes,
    /// The retention less the margin has passed since the first claim.
    ClaimGrowsOld(Place),
    ServiceForgetsKey(Place),
    OperatorReschedules(Place),
    /// A letter whose payment is under way again: its replay died, and is finished.
    OperatorTakesUpAgain(Place),
    OperatorSends(Arrival),
    OperatorDeletesLetter,
    OperatorCrashes,
    OwnerCancels(Place),
    /// FAILED → SCHEDULED, with the version that a person says is right.
    OperatorDecides(Place, Version),
    /// Another program changes what a payment says.
    WriterChanges(Place),
    /// The scan for lost messages queues a payment.
    ScanSends(Place),
    DayBegins,
}

/// What deduplication does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    Queued,
    Dropped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Heard,
    Lost,
}

/// What becomes of one request to the transaction service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PostOutcome {
    /// Settled, or found settled under its key.
    Settles,
    SettlesUnheard,
    NeverArrives,
    Rejects,
}

/// How an action counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Somebody does their work.
    Progress,
    /// Something goes wrong: taken from the budget of faults.
    Fault,
    /// Time passes or a person decides.
    Choice,
}

impl Action {
    pub(crate) fn kind(self, world: &World) -> Kind {
        match self {
            Self::RelaySends(_)
            | Self::RelayWritesCheckpoint
            | Self::Receives(..)
            | Self::Claims(_)
            | Self::Resumes(_)
            | Self::Asks(_, Reply::Heard)
            | Self::Checks(_)
            | Self::Posts(_, PostOutcome::Settles)
            | Self::Records(_)
            | Self::Fails(_)
            | Self::Withholds(_)
            | Self::DeadLetters(_)
            | Self::DayBegins
            | Self::Deletes(_)
            | Self::Releases(_)
            | Self::ConfirmerWrites(_)
            | Self::ConfirmerDeletes
            | Self::ConfirmerActsOnAnswer
            | Self::OperatorTakesUpAgain(_)
            | Self::OperatorSends(_)
            | Self::OperatorDeletesLetter => Kind::Progress,
            Self::RelayRestarts
            | Self::Asks(_, Reply::Lost)
            | Self::Posts(_, PostOutcome::SettlesUnheard | PostOutcome::NeverArrives)
            | Self::WorkerCrashes(_)
            | Self::ConfirmerCrashes
            | Self::OperatorCrashes => Kind::Fault,
            // After its holder's death it is a matter of time; while the holder lives, its
            // heartbeat must have been lost: it becomes a zombie.
            Self::Reappears(id) => {
                let held = world.queue.iter().find(|message| message.id == id);
                match held.and_then(|message| message.held_by) {
                    Some(worker) if world.works_on(worker, id) => Kind::Fault,
                    Some(_) | None => Kind::Progress,
                }
            }
            Self::Posts(_, PostOutcome::Rejects)
            | Self::ClaimGrowsOld(_)
            | Self::ServiceForgetsKey(_)
            | Self::ConfirmerAsks(_)
            | Self::OperatorReschedules(_)
            | Self::OperatorDecides(..)
            | Self::WriterChanges(_)
            | Self::ScanSends(_)
            | Self::OwnerCancels(_) => Kind::Choice,
        }
    }
}

impl Protocol {
    /// What may happen in `world`; the budget of faults is looked at by the caller.
    pub(crate) fn candidates(&self, world: &World, actions: &mut Vec<Action>) {
        self.around_the_relay(world, actions);
        for worker in 0..world.dispatchers.len() {
            of_dispatcher(world, worker, actions);
        }
        let in_flight = world.queue.iter().filter(|message| message.held_by.is_some());
        actions.extend(in_flight.map(|message| Action::Reappears(message.id)));
        of_confirmer(world, actions);
        self.of_people_and_time(world, actions);
    }

    fn around_the_relay(&self, world: &World, actions: &mut Vec<Action>) {
        let relay = &world.relay;
        let early = self.breaks(Broken::CheckpointBeforeSent);
        let recorded = if early { relay.checkpoint > relay.next } else { true };
        if relay.next < world.payments.len() && recorded {
            actions.push(Action::RelaySends(Arrival::Queued));
            if relay.next < relay.reached {
                actions.push(Action::RelaySends(Arrival::Dropped));
            }
        }
        let behind = if early {
            relay.checkpoint == relay.next && relay.next < world.payments.len()
        } else {
            relay.checkpoint < relay.next
        };
        if behind {
            actions.push(Action::RelayWritesCheckpoint);
        }
        if relay.checkpoint != relay.next {
            actions.push(Action::RelayRestarts);
        }
    }

    /// A replay that died is finished. A worker that still held an old message may have
    /// claimed the payment in between.
    fn takes_up(&self, status: Status) -> bool {
        match status {
            Status::Scheduled => true,
            Status::Pending => !self.breaks(Broken::ReplayNotTakenUp),
            Status::Processed | Status::Failed | Status::Cancelled => false,
        }
    }

    fn of_people_and_time(&self, world: &World, actions: &mut Vec<Action>) {
        for (place, payment) in world.payments.iter().enumerate() {
            if self.scenario.retention != Retention::LongerThanTheCheck {
                if payment.attempts > 0 && !payment.old {
                    actions.push(Action::ClaimGrowsOld(place));
                }
                let forgettable = |one: &Settled| one.remembered && (payment.old || one.outlived);
                if payment.journal.iter().any(forgettable) {
                    actions.push(Action::ServiceForgetsKey(place));
                }
            }
            if payment.status == Status::Scheduled && world.budget.cancels > 0 {
                actions.push(Action::OwnerCancels(place));
            }
            if payment.version == Version::Original && world.budget.changes > 0 {
                actions.push(Action::WriterChanges(place));
            }
            // It looks for what has waited so long that the stream has brought it.
            let waits = payment.status == Status::Scheduled && world.relay.reached > place;
            if waits && world.budget.scans > 0 && !payment.ahead {
                actions.push(Action::ScanSends(place));
            }
            if world.operator == Operator::Idle && payment.letters > 0 {
                let failed = payment.status == Status::Failed && world.budget.replays > 0;
                if failed && payment.failure == Some(Code::Mismatch) {
                    let versions = [Version::Original, Version::Changed];
                    actions.extend(versions.map(|it| Action::OperatorDecides(place, it)));
                } else if failed {
                    actions.push(Action::OperatorReschedules(place));
                } else if self.takes_up(payment.status)
                    && (payment.version == Version::Original || payment.decided)
                {
                    actions.push(Action::OperatorTakesUpAgain(place));
                }
            }
        }
        if world.payments.iter().any(|payment| payment.ahead) {
            actions.push(Action::DayBegins);
        }
        match world.operator {
            Operator::Idle => {}
            Operator::Rescheduled(_) => {
                actions.extend([Action::OperatorSends(Arrival::Queued), Action::OperatorCrashes]);
                if self.breaks(Broken::ReplayWithOldDeduplicationId) {
                    actions.push(Action::OperatorSends(Arrival::Dropped));
                }
            }
            Operator::Sent(_) => {
                actions.extend([Action::OperatorDeletesLetter, Action::OperatorCrashes]);
            }
        }
    }
}

fn of_confirmer(world: &World, actions: &mut Vec<Action>) {
    let next = match world.confirmer {
        Confirmer::Idle => {
            let queued = world.confirmations.iter();
            actions.extend(queued.map(|one| Action::ConfirmerWrites(*one)));
            if world.budget.sweeps > 0 {
                let payments = world.payments.iter().enumerate();
                let pending = payments.filter(|(_, payment)| payment.status == Status::Pending);
                actions.extend(pending.map(|(place, _)| Action::ConfirmerAsks(place)));
            }
            return;
        }
        Confirmer::Wrote(_) => Action::ConfirmerDeletes,
        Confirmer::Deleted(one) => Action::ConfirmerWrites(one),
        Confirmer::Asked { .. } => Action::ConfirmerActsOnAnswer,
    };
    actions.extend([next, Action::ConfirmerCrashes]);
}

fn of_dispatcher(world: &World, worker: Worker, actions: &mut Vec<Action>) {
    match world.dispatchers[worker].stage {
        Stage::Idle => {
            for group in 0..world.payments.len() as u8 {
                let mut messages = world.queue.iter().filter(|m| m.group == group).peekable();
                if messages.peek().is_some() && messages.all(|m| m.held_by.is_none()) {
                    actions.push(Action::Receives(worker, group));
                }
            }
            return;
        }
        Stage::Claiming => actions.push(Action::Claims(worker)),
        Stage::Resuming { .. } => actions.push(Action::Resumes(worker)),
        Stage::Asking => {
            actions.extend([Reply::Heard, Reply::Lost].map(|reply| Action::Asks(worker, reply)));
        }
        Stage::Checking => actions.push(Action::Checks(worker)),
        Stage::Posting => {
            let outcomes = [
                PostOutcome::Settles,
                PostOutcome::SettlesUnheard,
                PostOutcome::NeverArrives,
                PostOutcome::Rejects,
            ];
            actions.extend(outcomes.map(|outcome| Action::Posts(worker, outcome)));
        }
        Stage::Recording { .. } => actions.push(Action::Records(worker)),
        Stage::Failing(_) => actions.push(Action::Fails(worker)),
        Stage::Withholding { .. } => actions.push(Action::Withholds(worker)),
        Stage::DeadLettering | Stage::DeadLetteringRaw => actions.push(Action::DeadLetters(worker)),
        Stage::Deleting => actions.push(Action::Deletes(worker)),
        Stage::Releasing => actions.push(Action::Releases(worker)),
    }
    actions.push(Action::WorkerCrashes(worker));
}
