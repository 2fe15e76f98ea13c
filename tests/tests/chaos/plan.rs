//! What happens when: a pure function of the seed.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use tests::chance::Chance;
use tests::proxy::{Faults, Shares};

/// Longer than [`VISIBILITY`], so that a frozen worker wakes up as a zombie: its messages
/// have been given to others meanwhile.
const FREEZE: Range<Duration> = Duration::from_millis(6_500)..Duration::from_secs(9);
/// Longer than the ten seconds after which a relay's lease is taken.
const FREEZE_RELAY: Range<Duration> = Duration::from_secs(11)..Duration::from_secs(13);
/// The visibility timeout of the services in chaos.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(6);
/// How long a post stays empty.
const DOWN: Range<Duration> = Duration::ZERO..Duration::from_secs(2);
/// How long a process is left alone between two deeds.
const PEACE: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(6);
/// The same for a relay: nothing flows while both are away.
const PEACE_RELAY: Range<Duration> = Duration::from_secs(4)..Duration::from_secs(14);

/// A process that is to run: a service under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Post {
    pub(crate) service: &'static str,
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

/// One thing done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// When, from the start of the run.
    pub(crate) at: Duration,
    pub(crate) deed: Deed,
}

/// What is done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// kill -9; started again after so long.
    Kill(Duration),
    /// SIGSTOP, and SIGCONT after so long.
    Freeze(Duration),
    /// SIGTERM; started again so long after it has ended.
    Restart(Duration),
}

/// Payments that are inserted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wave {
    pub(crate) at: Duration,
    pub(crate) payments: u32,
}

/// The whole run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// How long things go wrong. After that it is calm.
    pub(crate) length: Duration,
    pub(crate) posts: Vec<Post>,
    pub(crate) waves: Vec<Wave>,
    /// Accounts: the first [`Plan::BUSY`] of them have half of all payments.
    pub(crate) accounts: u32,
    /// In front of `DynamoDB` and SQS.
    pub(crate) aws: Faults,
    /// In front of the transaction service.
    pub(crate) transactions: Faults,
}

impl Plan {
    /// Accounts with many payments.
    pub(crate) const BUSY: u32 = 40;

    /// The run of `seed`: `payments` payments, things going wrong for `length`.
    pub(crate) fn of(seed: u64, length: Duration, payments: u32) -> Self {
        let crews = [
            ("stream-relay", 2, FREEZE_RELAY, PEACE_RELAY),
            ("dispatcher", 3, FREEZE, PEACE),
            ("confirmer", 2, FREEZE, PEACE),
        ];
        let mut posts = Vec::new();
        for (service, count, freeze, peace) in crews {
            for number in 1..=count {
                let mut chance = Chance::new(seed, posts.len() as u64);
                let steps = steps(&mut chance, length, &freeze, &peace);
                posts.push(Post { service, name: format!("{service}-{number}"), steps });
            }
        }
        let mut chance = Chance::new(seed, 100);
        // From one half to three hundredths for each of the eight faults.
        let mut faults = |latest| {
            let share = f64::from(u32::try_from(5 + chance.below(25)).unwrap_or(5)) / 1000.0;
            Faults { seed, shares: Shares::each(share), latest: Duration::from_secs(latest) }
        };
        let (aws, transactions) = (faults(7), faults(6));
        Self {
            seed,
            length,
            posts,
            waves: waves(length, payments),
            accounts: 300,
            aws,
            transactions,
        }
    }
}

fn steps(
    chance: &mut Chance,
    length: Duration,
    freeze: &Range<Duration>,
    peace: &Range<Duration>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = chance.duration(peace.clone());
    while at < length {
        let (deed, takes) = match chance.below(5) {
            0 | 1 => {
                let down = chance.duration(DOWN);
                (Deed::Kill(down), down)
            }
            2 | 3 => {
                let time = chance.duration(freeze.clone());
                (Deed::Freeze(time), time)
            }
            _ => {
                let down = chance.duration(DOWN);
                (Deed::Restart(down), down)
            }
        };
        steps.push(Step { at, deed });
        at += takes + chance.duration(peace.clone());
    }
    steps
}

/// Two waves a second over the first three quarters.
fn waves(length: Duration, payments: u32) -> Vec<Wave> {
    let count = u32::try_from(length.as_secs() * 3 / 2).unwrap_or(1).max(1);
    (0..count)
        .map(|number| Wave {
            at: Duration::from_millis(500) * number,
            payments: payments / count + u32::from(number < payments % count),
        })
        .collect()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, length, posts, waves, accounts, aws, transactions } = self;
        let payments: u32 = waves.iter().map(|wave| wave.payments).sum();
        writeln!(
            f,
            "seed {seed}: {payments} payments of {accounts} accounts in {} waves, {length:?} of \
             faults (each of 8: {} in front of AWS, {} in front of the transaction service)",
            waves.len(),
            aws.shares.unavailable,
            transactions.shares.unavailable,
        )?;
        for post in posts {
            write!(f, "  {:<15}", post.name)?;
            for Step { at, deed } in &post.steps {
                write!(f, " {:.1}s ", at.as_secs_f64())?;
                match deed {
                    Deed::Kill(down) => write!(f, "kill (down {:.1}s)", down.as_secs_f64())?,
                    Deed::Freeze(time) => write!(f, "freeze {:.1}s", time.as_secs_f64())?,
                    Deed::Restart(down) => write!(f, "restart (down {:.1}s)", down.as_secs_f64())?,
                }
                f.write_str(";")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[test]
fn a_seed_repeats_its_plan_and_another_seed_has_another() {
    let length = Duration::from_secs(20);
    assert_eq!(Plan::of(1, length, 1000), Plan::of(1, length, 1000));
    assert_ne!(Plan::of(1, length, 1000), Plan::of(2, length, 1000));
}

#[test]
fn every_payment_of_a_plan_is_in_a_wave_and_everything_happens_to_some_process() {
    let plans = (1..=10).map(|seed| Plan::of(seed, Duration::from_secs(20), 1001));
    let mut deeds = [0, 0, 0];
    for plan in plans {
        assert_eq!(plan.waves.iter().map(|wave| wave.payments).sum::<u32>(), 1001);
        for step in plan.posts.iter().flat_map(|post| &post.steps) {
            match step.deed {
                Deed::Kill(_) => deeds[0] += 1,
                Deed::Freeze(_) => deeds[1] += 1,
                Deed::Restart(_) => deeds[2] += 1,
            }
        }
    }
    assert!(deeds.iter().all(|count| *count > 20), "{deeds:?}");
}
