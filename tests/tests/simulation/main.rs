//! The simulation: the real dispatcher and confirmer over a queue, a table and a transaction
//! service that live in memory, under virtual time, with everything that can go wrong drawn
//! from a seed. It reaches what processes cannot be brought to at will: a visibility timeout
//! that ends in the middle of a call, a conditional write that was applied and timed out, a
//! message that comes twice long after any deduplication, a clock that jumps, a worker that
//! stands still and wakes as a zombie.
//!
//! | file | idea |
//! |---|---|
//! | `life` | one life of a process: it runs, stands still, or is dead |
//! | `faults` | what goes wrong with a call |
//! | `queue` | SQS FIFO: the engine of crate `local`, behind the services' own port |
//! | `table` | the payments table: conditional writes in memory |
//! | `service` | the transaction service: keys, a journal, rejections |
//! | `world` | all of it together, and the processes |
//! | `script` | what happens when: drawn from the seed |
//! | `run` | one seed, from the first insert to the verdict |
//! | `bugs` | planted bugs that the verdict must find |
//! | `sight` | a payment of a day long past |
//! | `order` | what one failure does to its account and to others |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bugs;
mod faults;
mod life;
mod order;
mod queue;
mod run;
mod script;
mod service;
mod sight;
mod table;
mod world;

use std::time::Instant;

use run::{Outcome, run};

/// Seeds that every run of the tests goes through; `DUEFLOW_SIMULATION_SEEDS=FROM..TO` goes
/// through others.
const SEEDS: std::ops::Range<u64> = 0..400;

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("DUEFLOW_SIMULATION_SEEDS") else { return SEEDS };
    let (from, to) = text.split_once("..").expect("DUEFLOW_SIMULATION_SEEDS=FROM..TO");
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn whatever_happens_every_payment_is_settled_at_most_once_and_none_is_lost() {
    let began = Instant::now();
    let mut total = Outcome::default();
    let seeds = seeds();
    let halves = 2;
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..halves)
            .map(|half| {
                let seeds = seeds.clone().filter(move |seed| seed % halves == half);
                scope.spawn(move || {
                    let mut sum = Outcome::default();
                    for seed in seeds {
                        sum += run(seed, bugs::Bug::None);
                    }
                    sum
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    for outcome in outcomes {
        total += outcome;
    }
    println!("{} seeds in {:?}: {total}", seeds.end - seeds.start, began.elapsed());
    assert!(total.violations.is_empty(), "{:#?}", total.violations);
    assert!(seeds != SEEDS || total.cancelled > 100, "{} payments CANCELLED", total.cancelled);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 17] {
        assert_eq!(run(seed, bugs::Bug::None).trace, run(seed, bugs::Bug::None).trace, "{seed}");
    }
}

/// Runs seeds with a planted bug until the verdict notices it.
fn is_found(bug: bugs::Bug) {
    let found = (0..200).find(|seed| !run(*seed, bug).violations.is_empty());
    assert!(found.is_some(), "200 seeds did not find {bug:?}");
    println!("{bug:?} was found by seed {found:?}");
}

#[test]
fn acknowledging_before_the_settlement_is_recorded_is_found() {
    is_found(bugs::Bug::AcknowledgeFirst);
}

#[test]
fn the_attempt_number_in_the_key_is_found() {
    is_found(bugs::Bug::AttemptInTheKey);
}

#[test]
fn a_claim_without_condition_is_found() {
    is_found(bugs::Bug::UnconditionalClaim);
}

#[test]
fn a_group_whose_rest_overtakes_is_found() {
    is_found(bugs::Bug::RestOvertakes);
}
