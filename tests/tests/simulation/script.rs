//! What happens when: a pure function of the seed.

use std::time::Duration;

use tests::chance::Chance;

use crate::hostile::Deed;

/// Dispatchers, then confirmers.
pub(crate) const DISPATCHERS: usize = 2;
/// All processes.
pub(crate) const PROCESSES: usize = DISPATCHERS + 2;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// So many payments are inserted and queued.
    Insert { payments: u64 },
    /// A payment is inserted and queued, and its owner withdraws it after a while.
    Withdraw { after: Duration },
    /// The relay reads everything again, and queues it again.
    RelayAgain,
    /// A process dies, and another takes its place after a while.
    Kill { process: usize, back_after: Duration },
    /// A process stands still, and goes on after a while.
    Still { process: usize, time: Duration },
    /// A process's wall clock jumps by so many seconds.
    ClockJump { process: usize, seconds: i64 },
    /// A process is told to end, and another takes its place.
    Restart { process: usize },
    /// The transaction service turns everything away for a while.
    Down { time: Duration },
    /// Another program does something to the payment drawn by a number.
    Outsider { deed: Deed, pick: u64 },
}

/// A run.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) events: Vec<(Duration, Event)>,
    pub(crate) others: Others,
    pub(crate) accounts: u64,
    /// Calls in a thousand that go wrong.
    pub(crate) faults: u64,
    /// Payments in a thousand that are rejected.
    pub(crate) rejects: u64,
    /// Answers of the transaction service in a thousand that are spoilt.
    pub(crate) spoilt: u64,
    /// How long the transaction service remembers a key.
    pub(crate) retention: Duration,
}

impl Script {
    /// One account, and nothing happens or goes wrong.
    pub(crate) fn quiet() -> Self {
        let (events, others) = (Vec::new(), Others::Honest);
        Self { events, others, accounts: 1, faults: 0, rejects: 0, spoilt: 0, retention: RETENTION }
    }
}

/// Whether others do what they should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// Only what goes wrong by itself.
    Honest,
    /// A hostile writer, a hostile service and stray messages beside it.
    Hostile,
}

/// How long things go wrong.
pub(crate) const STORM: Duration = Duration::from_secs(900);

const SECOND: Duration = Duration::from_secs(1);

/// How long the transaction service remembers a key, unless others are hostile.
pub(crate) const RETENTION: Duration = Duration::from_secs(24 * 3_600);

/// The run of `seed`.
pub(crate) fn script(seed: u64, others: Others) -> Script {
    let mut chance = Chance::new(seed, 1);
    let mut events = vec![(Duration::ZERO, Event::Insert { payments: 6 + chance.below(12) })];
    for _ in 0..4 + chance.below(10) {
        let at = chance.duration(Duration::ZERO..STORM);
        let process = chance.below(PROCESSES as u64) as usize;
        let event = match chance.below(16) {
            0..4 => Event::Kill { process, back_after: chance.duration(SECOND..90 * SECOND) },
            4..7 => Event::Still { process, time: chance.duration(SECOND..200 * SECOND) },
            7..9 => Event::RelayAgain,
            9..11 => Event::Insert { payments: 1 + chance.below(8) },
            11..13 => Event::Restart { process },
            13 => Event::Down { time: chance.duration(SECOND..120 * SECOND) },
            _ => {
                let hours = i64::try_from(chance.below(60)).unwrap_or_default() - 20;
                Event::ClockJump { process, seconds: hours * 1_800 }
            }
        };
        events.push((at, event));
    }
    // Drawn apart, so that what else happens in a seed is as it was.
    let mut owners = Chance::new(seed, 2);
    for _ in 0..owners.below(5) {
        let at = owners.duration(Duration::ZERO..STORM);
        // A message takes milliseconds to a dispatcher that is there, and minutes to one that
        // must come back first.
        let longest = [SECOND / 50, SECOND, 60 * SECOND][owners.below(3) as usize];
        events.push((at, Event::Withdraw { after: owners.duration(Duration::ZERO..longest) }));
    }
    let (mut spoilt, mut retention) = (0, RETENTION);
    if others == Others::Hostile {
        // Drawn apart for the same reason.
        let mut hostile = Chance::new(seed, 3);
        for _ in 0..1 + hostile.below(8) {
            let at = hostile.duration(SECOND..STORM);
            let deed = Deed::ALL[hostile.below(Deed::ALL.len() as u64) as usize];
            events.push((at, Event::Outsider { deed, pick: hostile.below(1_000) }));
        }
        // A message of tomorrow that comes while a process takes tomorrow for today.
        let jumps = |(at, event): &(Duration, Event)| {
            matches!(event, Event::ClockJump { .. }).then_some(*at)
        };
        for at in events.iter().filter_map(jumps).collect::<Vec<_>>() {
            let at = at + hostile.duration(SECOND..50 * SECOND);
            events.push((at, Event::Outsider { deed: Deed::MessageAhead, pick: 0 }));
        }
        spoilt = [0, 50, 200, 500][hostile.below(4) as usize];
        retention = [RETENTION, 2 * 3_600 * SECOND, 1_200 * SECOND][hostile.below(3) as usize];
    }
    events.sort_by_key(|(at, _)| *at);
    Script {
        events,
        others,
        spoilt,
        retention,
        accounts: 1 + chance.below(5),
        faults: [0, 20, 60, 150, 300][chance.below(5) as usize],
        rejects: [0, 0, 100][chance.below(3) as usize],
    }
}
