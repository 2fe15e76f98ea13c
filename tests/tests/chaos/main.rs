//! Chaos: real processes that are killed, frozen and restarted at the same time, over proxies
//! that make the outside world fail. A history checker judges what they leave.
//!
//! Everything a run does follows from its seed. `CHAOS_SEED=N` runs one seed; `just chaos
//! SECONDS` runs seed after seed. (The names do not begin with `DUEFLOW_`: the services would
//! take them for settings of theirs that they do not know.)

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crew;
mod judges;
mod plan;
mod run;
mod stage;
mod waves;

use std::time::{Duration, Instant};

use plan::Plan;
use run::{Report, run};

/// How long things go wrong in one run.
const STORM: Duration = Duration::from_secs(20);
/// Payments of one run.
const PAYMENTS: u32 = 1_500;

async fn judged(seed: u64) -> Report {
    let plan = Plan::of(seed, STORM, PAYMENTS);
    eprint!("{plan}");
    let report = Box::pin(run(&plan)).await.unwrap();
    eprintln!("{report}");
    report
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_paid_twice_or_out_of_order_whatever_crashes() {
    let seeds = setting("CHAOS_SEED").map_or(vec![1, 2, 3], |seed| vec![seed]);
    for seed in seeds {
        let report = judged(seed).await;
        assert!(report.clean(), "CHAOS_SEED={seed} repeats this run\n{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs as long as it is told: just chaos SECONDS"]
async fn chaos_for_as_long_as_asked() {
    let length = Duration::from_secs(setting("CHAOS_SECONDS").unwrap_or(60));
    let first = setting("CHAOS_SEED").unwrap_or(1_000);
    let started_at = Instant::now();
    let mut dirty = Vec::new();
    let (mut seeds, mut payments, mut faults, mut violations) = (0_u64, 0, 0, 0);
    let mut deeds = crew::Deeds::default();
    while started_at.elapsed() < length {
        let report = judged(first + seeds).await;
        seeds += 1;
        payments += report.findings.balance.inserted;
        faults += report.faults.injected();
        violations += report.findings.total();
        deeds.add(report.deeds);
        if !report.clean() {
            dirty.push(report.seed);
        }
    }
    let crew::Deeds { kills, freezes, restarts, deaths } = deeds;
    eprintln!(
        "{seeds} seeds, {payments} payments, {kills} kills, {freezes} freezes, {restarts} \
         restarts, {deaths} deaths, {faults} faults, {violations} violations"
    );
    assert!(dirty.is_empty(), "seeds that found something: {dirty:?}");
}
