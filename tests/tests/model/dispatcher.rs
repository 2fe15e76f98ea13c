//! A dispatcher's steps, one for each call that leaves the process.

use domain::{Event, Status};

use crate::action::{PostOutcome, Reply};
use crate::protocol::Protocol;
use crate::rules::Broken;
use crate::world::{Claim, Code, Confirmation, Dispatcher, Job, Settled, Stage, Worker, World};

/// Messages that one receive brings.
const BATCH: usize = 2;

impl Protocol {
    /// Takes the first messages of a group of which none is in flight.
    pub(crate) fn receive(&self, world: &mut World, worker: Worker, group: u8) -> bool {
        let mut hand: Vec<Job> = Vec::new();
        for message in world.queue.iter_mut().filter(|message| message.group == group) {
            // A second message of the same payment would only be given back.
            if hand.len() == BATCH || hand.iter().any(|job| job.payment == message.payment) {
                break;
            }
            message.held_by = Some(worker);
            hand.push(Job {
                message: message.id,
                payment: message.payment,
                version: message.version,
                claim: Claim::NotTried,
            });
        }
        world.dispatchers[worker] = Dispatcher { stage: Stage::Claiming, hand };
        true
    }

    /// One batch of conditional writes, SCHEDULED → PENDING.
    pub(crate) fn claim(&self, world: &mut World, worker: Worker) -> bool {
        let mut hand = std::mem::take(&mut world.dispatchers[worker].hand);
        for job in &mut hand {
            job.claim = self.claim_one(world, job);
            if self.breaks(Broken::AcknowledgedBeforeSettled) {
                world.queue.retain(|message| message.id != job.message);
            }
        }
        world.dispatchers[worker].hand = hand;
        self.go_on(world, worker);
        true
    }

    fn claim_one(&self, world: &mut World, job: &Job) -> Claim {
        if self.scenario.malformed == Some(job.payment) {
            return Claim::Malformed;
        }
        if self.breaks(Broken::ClaimWithoutCondition) {
            world.payments[job.payment].status = Status::Scheduled;
        }
        let payment = &world.payments[job.payment];
        if payment.status == Status::Scheduled {
            if payment.ahead && !self.breaks(Broken::DateIgnored) {
                return Claim::Early;
            }
            if payment.version != job.version {
                return Claim::Differs { seen: payment.attempts };
            }
        }
        let claimed = world.write(job.payment, Event::Claim);
        let payment = &mut world.payments[job.payment];
        match payment.status {
            Status::Pending if claimed => {
                payment.attempts += 1;
                Claim::Mine { attempt: payment.attempts }
            }
            Status::Pending => Claim::Found { seen: payment.attempts },
            Status::Failed => Claim::FoundFailed,
            Status::Processed | Status::Cancelled => Claim::Leftover,
            Status::Scheduled => unreachable!("a SCHEDULED payment can be claimed"),
        }
    }

    /// The stage in which the first payment of the hand starts.
    fn go_on(&self, world: &mut World, worker: Worker) {
        let stage = match world.dispatchers[worker].hand.first() {
            None => Stage::Idle,
            Some(job) => match job.claim {
                Claim::NotTried => Stage::Claiming,
                Claim::Malformed => Stage::DeadLetteringRaw,
                // The opening of its day queues it.
                Claim::Leftover | Claim::Early => Stage::Deleting,
                Claim::Differs { .. } if self.breaks(Broken::MismatchNotWithheld) => {
                    Stage::DeadLetteringRaw
                }
                Claim::Differs { seen } => Stage::Withholding { seen },
                Claim::FoundFailed => Stage::DeadLettering,
                Claim::Found { seen } => Stage::Resuming { seen },
                Claim::Mine { attempt } => self.approach(world, job, attempt),
            },
        };
        world.dispatchers[worker].stage = stage;
    }

    /// Posts at once only what nobody can have posted before.
    fn approach(&self, world: &World, job: &Job, attempt: u8) -> Stage {
        let payment = &world.payments[job.payment];
        let forget = self.breaks(Broken::PostedAfterRetention);
        if attempt > 1 || attempt > payment.limit || (payment.old && !forget) {
            Stage::Asking
        } else {
            Stage::Checking
        }
    }

    /// A further attempt at a payment found PENDING, fenced by the attempts seen.
    pub(crate) fn resume(&self, world: &mut World, worker: Worker) -> bool {
        let Stage::Resuming { seen } = world.dispatchers[worker].stage else {
            return false;
        };
        let place = self.head(world, worker).payment;
        let payment = &mut world.payments[place];
        let same = payment.attempts == seen || self.breaks(Broken::ResumeWithoutFence);
        if payment.status == Status::Pending && same {
            payment.attempts += 1;
            world.dispatchers[worker].hand[0].claim = Claim::Mine { attempt: seen + 1 };
            self.go_on(world, worker);
        } else {
            world.dispatchers[worker].stage = Stage::Releasing;
        }
        true
    }

    /// Asks the service whether it knows the key.
    pub(crate) fn ask(&self, world: &mut World, worker: Worker, reply: Reply) -> bool {
        let job = self.head(world, worker);
        let payment = &world.payments[job.payment];
        let stage = match (reply, payment.found(self.key(&job))) {
            (Reply::Lost, _) => Stage::Releasing,
            (Reply::Heard, Some(transaction)) => Stage::Recording { transaction },
            (Reply::Heard, None)
                if payment.version != job.version
                    && !self.breaks(Broken::PendingMismatchSubmitted) =>
            {
                Stage::Failing(Code::Mismatch)
            }
            (Reply::Heard, None) if self.too_old(world, &job) => Stage::Failing(Code::Unknown),
            (Reply::Heard, None) if attempt(&job) > payment.limit => {
                if self.breaks(Broken::AttemptsUnbounded) {
                    Stage::Releasing
                } else {
                    Stage::Failing(Code::Exhausted)
                }
            }
            (Reply::Heard, None) => Stage::Checking,
        };
        world.dispatchers[worker].stage = stage;
        true
    }

    fn too_old(&self, world: &World, job: &Job) -> bool {
        world.payments[job.payment].old && !self.breaks(Broken::PostedAfterRetention)
    }

    /// The last look before posting. What happens after it, happens to a worker that may
    /// have lost its right in the meantime.
    pub(crate) fn check(&self, world: &mut World, worker: Worker) -> bool {
        let job = self.head(world, worker);
        let unguarded =
            self.breaks(Broken::HeartbeatIgnored) || self.breaks(Broken::AcknowledgedBeforeSettled);
        if !unguarded && !world.holds(worker, job.message) {
            world.dispatchers[worker].stage = Stage::Releasing;
            if self.breaks(Broken::RestGoesOnAfterLostHeartbeat) {
                world.dispatchers[worker].hand.remove(0);
                self.go_on(world, worker);
            }
        } else if self.too_old(world, &job) {
            world.dispatchers[worker].stage = Stage::Asking;
        } else {
            world.dispatchers[worker].stage = Stage::Posting;
        }
        true
    }

    /// One request. The service settles a key at most once while it remembers it.
    pub(crate) fn post(&self, world: &mut World, worker: Worker, outcome: PostOutcome) -> bool {
        let job = self.head(world, worker);
        let account = self.scenario.accounts[job.payment];
        let overtakes = (0..job.payment).any(|before| {
            self.scenario.accounts[before] == account
                && self.scenario.malformed != Some(before)
                && !world.payments[before].has_ended
        });
        let key = self.key(&job);
        let payment = &mut world.payments[job.payment];
        let ahead = payment.ahead;
        let version = if self.breaks(Broken::PendingMismatchSubmitted) {
            payment.version
        } else {
            job.version
        };
        let known = payment.found(key);
        let stage = match outcome {
            PostOutcome::NeverArrives => self.after_no_answer(payment.journal.len() as u8),
            // What was settled under the key is not rejected.
            PostOutcome::Rejects if known.is_some() => return false,
            PostOutcome::Rejects => {
                world.budget.rejections -= 1;
                Stage::Failing(Code::Rejected)
            }
            PostOutcome::Settles | PostOutcome::SettlesUnheard => {
                let transaction = known.unwrap_or(payment.journal.len() as u8);
                if known.is_none() {
                    payment.journal.push(Settled {
                        key,
                        version,
                        remembered: true,
                        outlived: false,
                    });
                    payment.has_ended = true;
                }
                match outcome {
                    PostOutcome::Settles => Stage::Recording { transaction },
                    PostOutcome::SettlesUnheard
                    | PostOutcome::NeverArrives
                    | PostOutcome::Rejects => self.after_no_answer(transaction),
                }
            }
        };
        world.overtaken |= overtakes;
        world.early |= ahead;
        world.dispatchers[worker].stage = stage;
        true
    }

    /// What may have happened is unknown: the payment is delivered again and asked for.
    fn after_no_answer(&self, transaction: u8) -> Stage {
        match self.broken {
            Some(Broken::LostAnswerTakenForSettled) => Stage::Recording { transaction },
            Some(Broken::LostAnswerTakenForRejected) => Stage::Failing(Code::Rejected),
            _ => Stage::Releasing,
        }
    }

    /// Into the confirmer's queue: allowed without the heartbeat too, money has moved.
    pub(crate) fn record(&self, world: &mut World, worker: Worker) -> bool {
        let Stage::Recording { transaction } = world.dispatchers[worker].stage else {
            return false;
        };
        let job = self.head(world, worker);
        let attempt =
            if self.breaks(Broken::ConfirmationIdOfThePayment) { 0 } else { attempt(&job) };
        let one = Confirmation { payment: job.payment, transaction, attempt };
        // One that is still in the queue is dropped by deduplication.
        if let Err(place) = world.confirmations.binary_search(&one) {
            world.confirmations.insert(place, one);
        }
        world.dispatchers[worker].stage = Stage::Deleting;
        true
    }

    /// PENDING → FAILED, fenced by this worker's attempt.
    pub(crate) fn fail(&self, world: &mut World, worker: Worker) -> bool {
        let Stage::Failing(code) = world.dispatchers[worker].stage else {
            return false;
        };
        let job = self.head(world, worker);
        let fenced = world.payments[job.payment].attempts == attempt(&job)
            || self.breaks(Broken::FailWithoutFence);
        world.dispatchers[worker].stage = if fenced && world.write(job.payment, Event::Fail) {
            world.payments[job.payment].failure = Some(code);
            Stage::DeadLettering
        } else {
            Stage::Releasing
        };
        if self.breaks(Broken::DeletedBeforeBuried) {
            self.take_away(world, worker, job.message);
        }
        true
    }

    /// SCHEDULED → FAILED, fenced by the attempts seen.
    pub(crate) fn withhold(&self, world: &mut World, worker: Worker) -> bool {
        let Stage::Withholding { seen } = world.dispatchers[worker].stage else {
            return false;
        };
        let place = self.head(world, worker).payment;
        let fenced = world.payments[place].attempts == seen;
        world.dispatchers[worker].stage = if fenced && world.write(place, Event::Withhold) {
            world.payments[place].failure = Some(Code::Mismatch);
            Stage::DeadLettering
        } else {
            Stage::Releasing
        };
        true
    }

    pub(crate) fn dead_letter(&self, world: &mut World, worker: Worker) -> bool {
        let place = self.head(world, worker).payment;
        let payment = &mut world.payments[place];
        if world.dispatchers[worker].stage != Stage::DeadLetteringRaw {
            payment.letters += 1;
        } else if !self.breaks(Broken::MalformedDeleted) {
            payment.raw_letter = true;
        }
        world.dispatchers[worker].stage = Stage::Deleting;
        true
    }

    pub(crate) fn delete(&self, world: &mut World, worker: Worker) -> bool {
        let done = world.dispatchers[worker].hand.remove(0);
        self.take_away(world, worker, done.message);
        self.go_on(world, worker);
        true
    }

    /// A handle whose visibility has ended deletes nothing.
    fn take_away(&self, world: &mut World, worker: Worker, id: u8) {
        world.queue.retain(|message| message.id != id || message.held_by != Some(worker));
    }

    /// Gives back the last message in hand. The group stays blocked until all are back.
    pub(crate) fn release(&self, world: &mut World, worker: Worker) -> bool {
        let given_up = if self.breaks(Broken::RestGoesOn) {
            Some(world.dispatchers[worker].hand.remove(0))
        } else {
            world.dispatchers[worker].hand.pop()
        };
        let Some(job) = given_up else {
            return false;
        };
        if world.holds(worker, job.message) {
            if self.breaks(Broken::RestOutOfOrder) {
                self.take_away(world, worker, job.message);
                world.send(job.payment, self.group(job.payment));
            }
            for message in world.queue.iter_mut().filter(|message| message.id == job.message) {
                message.held_by = None;
            }
        }
        if self.breaks(Broken::RestGoesOn) || world.dispatchers[worker].hand.is_empty() {
            self.go_on(world, worker);
        }
        true
    }

    /// The first in hand. Every stage but `Idle` has one.
    fn head(&self, world: &World, worker: Worker) -> Job {
        world.dispatchers[worker].hand[0].clone()
    }

    /// The idempotency key, among those that one payment can have.
    fn key(&self, job: &Job) -> u8 {
        match self.broken {
            Some(Broken::AttemptNumberInKey) => attempt(job),
            Some(Broken::DeduplicationAsGuard) => job.message,
            _ => 0,
        }
    }
}

fn attempt(job: &Job) -> u8 {
    match job.claim {
        Claim::Mine { attempt } => attempt,
        Claim::NotTried
        | Claim::Found { .. }
        | Claim::Differs { .. }
        | Claim::Early
        | Claim::Leftover
        | Claim::FoundFailed
        | Claim::Malformed => 0,
    }
}
