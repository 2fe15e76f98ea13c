//! The protocol as a model that `stateright` can walk: who does what in one step.

use stateright::{Model, Property};

use crate::action::{Action, Kind, PostOutcome};
use crate::properties;
use crate::rules::{Broken, Day, Scenario};
use crate::world::{Budget, Confirmer, Dispatcher, Operator, Payment, Relay, Version, World};

/// The protocol in one scenario, whole or with one rule broken.
#[derive(Debug, Clone)]
pub(crate) struct Protocol {
    pub(crate) scenario: Scenario,
    pub(crate) broken: Option<Broken>,
}

impl Protocol {
    pub(crate) fn breaks(&self, rule: Broken) -> bool {
        self.broken == Some(rule)
    }

    /// The group of a payment's message.
    pub(crate) fn group(&self, place: usize) -> u8 {
        if self.breaks(Broken::GroupPerPayment) {
            place as u8
        } else {
            self.scenario.accounts[place]
        }
    }

    /// Whether somebody can do their work without anything going wrong or being decided.
    pub(crate) fn next_progress(&self, world: &World) -> Option<World> {
        let mut actions = Vec::new();
        self.candidates(world, &mut actions);
        actions
            .into_iter()
            .filter(|action| action.kind(world) == Kind::Progress)
            .find_map(|action| self.step(world, action))
    }

    fn step(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        if action.kind(last) == Kind::Fault {
            world.budget.faults = world.budget.faults.checked_sub(1)?;
        }
        let happened = match action {
            Action::RelaySends(arrival) => self.relay_sends(&mut world, arrival),
            Action::RelayWritesCheckpoint => self.relay_writes_checkpoint(&mut world),
            Action::RelayRestarts => relay_restarts(&mut world),
            Action::Receives(worker, group) => self.receive(&mut world, worker, group),
            Action::Claims(worker) => self.claim(&mut world, worker),
            Action::Resumes(worker) => self.resume(&mut world, worker),
            Action::Asks(worker, reply) => self.ask(&mut world, worker, reply),
            Action::Checks(worker) => self.check(&mut world, worker),
            Action::Posts(worker, outcome) => self.post(&mut world, worker, outcome),
            Action::Records(worker) => self.record(&mut world, worker),
            Action::Fails(worker) => self.fail(&mut world, worker),
            Action::Withholds(worker) => self.withhold(&mut world, worker),
            Action::DeadLetters(worker) => self.dead_letter(&mut world, worker),
            Action::Deletes(worker) => self.delete(&mut world, worker),
            Action::Releases(worker) => self.release(&mut world, worker),
            Action::WorkerCrashes(worker) => {
                world.dispatchers[worker] = Dispatcher::IDLE;
                true
            }
            Action::Reappears(id) => reappear(&mut world, id),
            Action::ConfirmerWrites(one) => self.confirmer_writes(&mut world, one),
            Action::ConfirmerAsks(place) => sweep(&mut world, place),
            Action::ConfirmerActsOnAnswer => self.act_on_answer(&mut world),
            Action::ConfirmerDeletes => confirmer_deletes(&mut world),
            Action::ConfirmerCrashes => {
                world.confirmer = Confirmer::Idle;
                true
            }
            Action::ClaimGrowsOld(place) => {
                world.payments[place].old = true;
                true
            }
            Action::ServiceForgetsKey(place) => self.forget(&mut world, place),
            Action::OperatorReschedules(place) => self.reschedule(&mut world, place),
            Action::OperatorDecides(place, version) => self.decide(&mut world, place, version),
            Action::WriterChanges(place) => change(&mut world, place),
            Action::ScanSends(place) => self.scan(&mut world, place),
            Action::DayBegins => self.day_begins(&mut world),
            Action::OperatorTakesUpAgain(place) => {
                world.operator = Operator::Rescheduled(place);
                true
            }
            Action::OperatorSends(arrival) => self.operator_sends(&mut world, arrival),
            Action::OperatorDeletesLetter => self.operator_deletes_letter(&mut world),
            Action::OperatorCrashes => {
                world.operator = Operator::Idle;
                true
            }
            Action::OwnerCancels(place) => self.cancel(&mut world, place),
        };
        happened.then_some(world)
    }
}

fn relay_restarts(world: &mut World) -> bool {
    world.relay.next = world.relay.checkpoint;
    true
}

fn reappear(world: &mut World, id: u8) -> bool {
    match world.queue.iter_mut().find(|message| message.id == id) {
        Some(message) => {
            message.held_by = None;
            true
        }
        None => false,
    }
}

fn confirmer_deletes(world: &mut World) -> bool {
    let Confirmer::Wrote(done) = world.confirmer else {
        return false;
    };
    world.confirmations.retain(|one| *one != done);
    world.confirmer = Confirmer::Idle;
    true
}

/// Another program changes what the item of a payment says.
fn change(world: &mut World, place: usize) -> bool {
    world.budget.changes -= 1;
    world.payments[place].version = Version::Changed;
    true
}

/// Asks for a payment that may be stuck in PENDING.
fn sweep(world: &mut World, place: usize) -> bool {
    world.budget.sweeps -= 1;
    world.confirmer = Confirmer::Asked { payment: place, found: world.payments[place].found(0) };
    true
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let Scenario { accounts, faults, rejections, replays, cancels, sweeps, attempts, .. } =
            &self.scenario;
        let Scenario { changes, scans, day, .. } = &self.scenario;
        let payment = || Payment { ahead: *day == Day::Ahead, ..Payment::new(*attempts) };
        vec![World {
            payments: accounts.iter().map(|_| payment()).collect(),
            relay: Relay { next: 0, checkpoint: 0, reached: 0 },
            queue: Vec::new(),
            sent: 0,
            dispatchers: [Dispatcher::IDLE, Dispatcher::IDLE],
            confirmations: Vec::new(),
            confirmer: Confirmer::Idle,
            operator: Operator::Idle,
            budget: Budget {
                faults: *faults,
                rejections: *rejections,
                replays: *replays,
                cancels: *cancels,
                sweeps: *sweeps,
                changes: *changes,
                scans: *scans,
            },
            overtaken: false,
            early: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.candidates(world, actions);
        let Budget { faults, rejections, .. } = world.budget;
        actions.retain(|action| match action {
            Action::Posts(_, PostOutcome::Rejects) => rejections > 0,
            other => faults > 0 || other.kind(world) != Kind::Fault,
        });
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        self.step(last, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(&self.scenario)
    }
}
