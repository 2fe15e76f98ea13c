//! One seed, from the first insert to the verdict.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use domain::{PaymentRef, Status};
use tests::history::{Change, Expect, Settled, check};
use tokio::time::{Instant, sleep, sleep_until};

use crate::bugs::Bug;
use crate::hostile::Unread;
use crate::life::State;
use crate::script::{Event, Others, PROCESSES, STORM, Script, script};
use crate::world::{Down, Process, World};

/// How long everything may take to end once nothing goes wrong any more. The longest pause
/// before a payment is delivered again is five minutes, and one may wait for several others.
const PATIENCE: Duration = Duration::from_secs(4 * 3_600);

/// How often a process holds its clock against the table's.
const AGREEMENT: Duration = Duration::from_secs(60);

/// Time between two scans for lost messages.
const SCANS: Duration = Duration::from_secs(900);

/// What came of one or more seeds.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) payments: u64,
    pub(crate) events: usize,
    pub(crate) failed: usize,
    pub(crate) cancelled: usize,
    pub(crate) violations: Vec<String>,
    /// What happened to the money, in order.
    pub(crate) trace: (Vec<Settled>, Vec<Change>),
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.payments += other.payments;
        self.events += other.events;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.violations.extend(other.violations);
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { payments, events, failed, cancelled, violations, .. } = self;
        write!(
            f,
            "{payments} payments, {events} kills, stops, jumps and outages, {failed} payments FAILED, {cancelled} CANCELLED, {} seeds with violations",
            violations.len()
        )
    }
}

/// Runs the world of `seed`, under virtual time, on a thread of its own.
pub(crate) fn run(seed: u64, bug: Bug) -> Outcome {
    run_among(Others::Honest, seed, bug)
}

/// The same among others.
pub(crate) fn run_among(others: Others, seed: u64, bug: Bug) -> Outcome {
    fastrand::seed(seed);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap();
    let outcome = runtime.block_on(play(others, seed, bug));
    runtime.shutdown_background();
    outcome
}

async fn play(others: Others, seed: u64, bug: Bug) -> Outcome {
    let script = script(seed, others);
    let mut world = World::new(seed, script.clone(), bug);
    world.have_stops_removed();
    let mut processes: Vec<Process> = (0..PROCESSES).map(|index| world.start(index)).collect();
    let began = Instant::now();
    let mut due: Vec<(Instant, Due)> = Vec::new();
    for (at, event) in &script.events {
        due.push((began + *at, Due::Event(*event)));
    }
    due.push((began + STORM, Due::Calm));
    while !due.is_empty() {
        due.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let Some((at, next)) = due.pop() else { break };
        sleep_until(at).await;
        happen(next, &mut world, &mut processes, &mut due);
    }
    let calm = Instant::now();
    let mut scans = 0;
    while !world.has_ended() && calm.elapsed() < PATIENCE {
        sleep(Duration::from_secs(5)).await;
        if calm.elapsed() >= SCANS * (scans + 1) {
            world.scan(u64::from(scans));
            scans += 1;
        }
    }
    // What is under way arrives, and letters are written.
    sleep(Duration::from_secs(600)).await;
    processes.iter().for_each(Process::kill);
    judge(seed, &script, &world)
}

/// What is due at some time.
#[derive(Debug, Clone)]
enum Due {
    Event(Event),
    /// A payment's owner withdraws it.
    Cancel(PaymentRef),
    /// The relay reads what another program wrote.
    RelayReads(Box<Unread>),
    /// A process holds its clock against the table's.
    ClockFound(usize),
    Start(usize),
    Wake(usize),
    ServiceUp,
    /// Nothing goes wrong from here on.
    Calm,
}

fn happen(due: Due, world: &mut World, processes: &mut [Process], later: &mut Vec<(Instant, Due)>) {
    let now = Instant::now();
    match due {
        Due::Event(Event::Insert { payments }) => world.insert(payments),
        Due::Event(Event::Withdraw { after }) => {
            let payment = world.insert_of_any().reference();
            later.push((now + after, Due::Cancel(payment)));
        }
        Due::Event(Event::RelayAgain) => world.relay_again(),
        Due::Event(Event::Kill { process, back_after }) => {
            processes[process].kill();
            later.push((now + back_after, Due::Start(process)));
        }
        Due::Event(Event::Still { process, time }) => {
            processes[process].life.set(State::Still);
            later.push((now + time, Due::Wake(process)));
        }
        Due::Event(Event::ClockJump { process, seconds }) if world.is_hostile() => {
            // Up to two days ahead, and more than a day back.
            processes[process].live_at(3 * seconds);
            later.push((now + AGREEMENT, Due::ClockFound(process)));
        }
        Due::Event(Event::ClockJump { process, seconds }) => processes[process].jump(seconds),
        // Whoever finds its clock wrong ends, and what takes its place has the right one.
        Due::ClockFound(process) => {
            processes[process].kill();
            processes[process] = world.start(process);
        }
        Due::Event(Event::Restart { process }) => {
            // The old one drains while the new one works.
            processes[process].end();
            processes[process] = world.start(process);
        }
        Due::Event(Event::Down { time }) => {
            world.service_down(Down::Yes);
            later.push((now + time, Due::ServiceUp));
        }
        Due::Event(Event::Outsider { deed, pick }) => {
            if let Some(unread) = world.outsider(deed, pick) {
                later.push((
                    now + Duration::from_secs(1 + pick % 20),
                    Due::RelayReads(Box::new(unread)),
                ));
            }
        }
        Due::RelayReads(unread) => world.relay_reads(*unread),
        Due::Cancel(payment) => world.cancel(&payment),
        Due::Start(process) => {
            if processes[process].life.is_dead() {
                processes[process] = world.start(process);
            }
        }
        Due::Wake(process) => processes[process].life.set(State::Running),
        Due::ServiceUp => world.service_down(Down::No),
        Due::Calm => {
            world.faults.end();
            processes.iter().for_each(Process::set_right);
        }
    }
}

fn judge(seed: u64, script: &Script, world: &World) -> Outcome {
    let evidence = world.evidence();
    let findings = check(&evidence, Expect::Ended);
    let violations =
        if findings.clean() { Vec::new() } else { vec![format!("seed {seed}: {findings}")] };
    let in_status = |status| evidence.table.iter().filter(move |stored| stored.status == status);
    Outcome {
        payments: evidence.inserted,
        events: script.events.len(),
        failed: evidence.table.iter().filter(|stored| stored.failure.is_some()).count(),
        cancelled: in_status(Status::Cancelled).count(),
        violations,
        trace: (evidence.journal, evidence.stream),
    }
}
