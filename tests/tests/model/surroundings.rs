//! The steps of the relay, the confirmer, the transaction service's memory and people.

use domain::{Event, Status};

use crate::action::Arrival;
use crate::protocol::Protocol;
use crate::rules::{Broken, Pauses, Retention};
use crate::world::{Code, Confirmation, Confirmer, Operator, Place, Stage, Version, World};

impl Protocol {
    pub(crate) fn relay_sends(&self, world: &mut World, arrival: Arrival) -> bool {
        let place = world.relay.next;
        match arrival {
            // From the stream: as it was inserted.
            Arrival::Queued => world.send_version(place, Version::Original, self.group(place)),
            Arrival::Dropped => {}
        }
        world.relay.next += 1;
        world.relay.reached = world.relay.reached.max(world.relay.next);
        true
    }

    pub(crate) fn relay_writes_checkpoint(&self, world: &mut World) -> bool {
        world.relay.checkpoint = if self.breaks(Broken::CheckpointBeforeSent) {
            world.relay.next + 1
        } else {
            world.relay.next
        };
        true
    }

    /// PENDING → PROCESSED and nothing else. The same id again is a success; anything else
    /// is raised and overwrites nothing.
    pub(crate) fn confirmer_writes(&self, world: &mut World, one: Confirmation) -> bool {
        if self.breaks(Broken::ConfirmationDeletedFirst) && world.confirmer == Confirmer::Idle {
            world.confirmations.retain(|other| *other != one);
            world.confirmer = Confirmer::Deleted(one);
            return true;
        }
        let again = world.payments[one.payment].transaction == Some(one.transaction);
        if world.write(one.payment, Event::Settle) {
            world.payments[one.payment].transaction = Some(one.transaction);
        } else if !again {
            world.payments[one.payment].conflict = true;
        }
        world.confirmer = match world.confirmer {
            Confirmer::Idle => Confirmer::Wrote(one),
            Confirmer::Wrote(_) | Confirmer::Deleted(_) | Confirmer::Asked { .. } => {
                Confirmer::Idle
            }
        };
        true
    }

    /// Settles what the service knows. What it does not know gets a message, whatever its
    /// age: the dispatcher decides, whose message outlives its death.
    pub(crate) fn act_on_answer(&self, world: &mut World) -> bool {
        let Confirmer::Asked { payment: place, found } = world.confirmer else {
            return false;
        };
        world.confirmer = Confirmer::Idle;
        match found {
            Some(transaction) => {
                if world.write(place, Event::Settle) {
                    world.payments[place].transaction = Some(transaction);
                }
            }
            None => world.send(place, self.group(place)),
        }
        true
    }

    /// The service forgets what it settled for a payment.
    ///
    /// The margin is longer than any pause between a worker's last look at the claim's age
    /// and the arrival of its request: who has looked and not yet posted has an answer first.
    pub(crate) fn forget(&self, world: &mut World, place: Place) -> bool {
        let on_its_way = world.dispatchers.iter().any(|dispatcher| {
            dispatcher.stage == Stage::Posting && dispatcher.hand[0].payment == place
        });
        if on_its_way && self.scenario.retention == Retention::Runs(Pauses::WithinMargin) {
            return false;
        }
        let payment = &mut world.payments[place];
        for settled in payment.journal.iter_mut().filter(|one| payment.old || one.outlived) {
            settled.remembered = false;
        }
        true
    }

    /// FAILED → SCHEDULED, after asking the service.
    ///
    /// Replayed is what is surely unpaid, what the service knows (the dispatcher will ask and
    /// find it), and what it does not know while it would surely remember. The rest is left
    /// to a person.
    pub(crate) fn reschedule(&self, world: &mut World, place: Place) -> bool {
        let payment = &world.payments[place];
        // Its dead letter has the version that failed.
        if payment.version == Version::Changed
            && !payment.decided
            && !self.breaks(Broken::ReplayedUndecided)
        {
            return false;
        }
        let sure = payment.surely_unpaid()
            || (self.breaks(Broken::RejectionTakenForCertain)
                && payment.failure == Some(Code::Rejected));
        let asked = payment.found(0).is_some() || !payment.old;
        if !(sure || asked || self.breaks(Broken::ReplayWithoutAsking)) {
            return false;
        }
        if !world.write(place, Event::Replay) {
            return false;
        }
        world.budget.replays -= 1;
        let payment = &mut world.payments[place];
        payment.failure = None;
        payment.limit = payment.attempts + 1;
        if sure {
            payment.accounted = payment.attempts;
        }
        if sure || self.breaks(Broken::ReplayRestartsAge) {
            payment.old = false;
            for settled in &mut payment.journal {
                settled.outlived = true;
            }
        }
        if self.breaks(Broken::ReplayResetsAttempts) {
            payment.attempts = 0;
        }
        if self.breaks(Broken::DeadLetterDeletedBeforeReplay) {
            payment.letters -= 1;
        }
        world.operator = Operator::Rescheduled(place);
        true
    }

    /// FAILED → SCHEDULED with the version that a person says is right, and with one attempt
    /// more, so that a dispatcher asks before it submits.
    pub(crate) fn decide(&self, world: &mut World, place: Place, version: Version) -> bool {
        let payment = &world.payments[place];
        let other = payment.version == Version::Original && version == Version::Changed;
        let asked = payment.found(0).is_some() || !payment.old;
        if other || !asked || !world.write(place, Event::Replay) {
            return false;
        }
        world.budget.replays -= 1;
        let payment = &mut world.payments[place];
        payment.decided |= version == Version::Changed;
        payment.version = version;
        payment.failure = None;
        payment.attempts += 1;
        payment.limit = payment.attempts + 1;
        world.operator = Operator::Rescheduled(place);
        true
    }

    /// The scan finds a payment SCHEDULED for a while, and queues it as the table has it.
    pub(crate) fn scan(&self, world: &mut World, place: Place) -> bool {
        world.budget.scans -= 1;
        world.send(place, self.group(place));
        true
    }

    /// The day of all payments begins: its opening queues what is SCHEDULED.
    pub(crate) fn day_begins(&self, world: &mut World) -> bool {
        for place in 0..world.payments.len() {
            world.payments[place].ahead = false;
            if world.payments[place].status == Status::Scheduled {
                world.send(place, self.group(place));
            }
        }
        true
    }

    /// A message with a deduplication id of its own, so that it cannot be dropped.
    pub(crate) fn operator_sends(&self, world: &mut World, arrival: Arrival) -> bool {
        let Operator::Rescheduled(place) = world.operator else {
            return false;
        };
        match arrival {
            Arrival::Queued => world.send(place, self.group(place)),
            Arrival::Dropped => {}
        }
        world.operator = Operator::Sent(place);
        true
    }

    pub(crate) fn operator_deletes_letter(&self, world: &mut World) -> bool {
        let Operator::Sent(place) = world.operator else {
            return false;
        };
        if !self.breaks(Broken::DeadLetterDeletedBeforeReplay) {
            world.payments[place].letters -= 1;
        }
        world.operator = Operator::Idle;
        true
    }

    /// By its owner: only what was never claimed, and so cannot have been posted.
    pub(crate) fn cancel(&self, world: &mut World, place: Place) -> bool {
        let claimed = world.payments[place].attempts > 0;
        if claimed && !self.breaks(Broken::CancelAfterReplay) {
            return false;
        }
        if !world.write(place, Event::Cancel) {
            return false;
        }
        world.budget.cancels -= 1;
        true
    }
}
