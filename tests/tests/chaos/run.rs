//! One seed from start to verdict.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use local::transactions::Faults as TransactionFaults;
use tests::history::{Expect, Findings, check};
use tests::proxy::Counts;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::crew::{Deeds, man};
use crate::plan::{Plan, VISIBILITY};
use crate::stage::{Stage, stop};
use crate::waves::insert;

/// How long everything may take to end once it is calm. A payment that failed a few times
/// waits for half a minute, and the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a run went.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) deeds: Deeds,
    pub(crate) faults: Counts,
    pub(crate) findings: Findings,
    /// What else is wrong: a service that did not end in order.
    pub(crate) complaint: Option<String>,
    /// Payments that had ended when the last fault was over.
    pub(crate) ended_in_storm: u64,
    /// From the last fault until everything had ended.
    pub(crate) recovery: Duration,
    pub(crate) took: Duration,
    /// Databases, journal and logs, if something is wrong.
    pub(crate) folder: Option<PathBuf>,
}

impl Report {
    pub(crate) fn clean(&self) -> bool {
        self.findings.clean() && self.complaint.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Deeds { kills, freezes, restarts, deaths } = self.deeds;
        write!(
            f,
            "seed {}: {} payments ({} ended in the storm), {kills} kills, {freezes} freezes, {restarts} restarts, \
             {deaths} deaths, {} faults, {} violations, calm after {:.1} s, {:.1} s in all",
            self.seed,
            self.findings.balance.inserted,
            self.ended_in_storm,
            self.faults.injected(),
            self.findings.total(),
            self.recovery.as_secs_f64(),
            self.took.as_secs_f64(),
        )?;
        if !self.clean() {
            write!(f, "\n{}\n{}", self.faults, self.findings)?;
            if let Some(complaint) = &self.complaint {
                write!(f, "\n{complaint}")?;
            }
            if let Some(folder) = &self.folder {
                write!(f, "\nkept in {}", folder.display())?;
            }
        }
        Ok(())
    }
}

/// What the transaction service itself does wrong, in the storm and in the calm: what it
/// rejects it always rejects.
fn rejecting(seed: u64, lose_answers: f64) -> TransactionFaults {
    let latency = Duration::from_millis(2);
    TransactionFaults { reject: 0.01, lose_answers, latency, seed, ..TransactionFaults::default() }
}

/// Carries out a plan and judges what it left.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<Report> {
    let began = Instant::now();
    let stage = Arc::new(Stage::set(rejecting(plan.seed, 0.02), VISIBILITY).await?);
    stage.dynamodb.set_faults(plan.aws);
    stage.sqs.set_faults(plan.aws);
    stage.transactions.set_faults(plan.transactions);
    let started_at = Instant::now();
    let mut crew = JoinSet::new();
    for post in &plan.posts {
        crew.spawn(man(Arc::clone(&stage), post.clone(), started_at));
    }
    let writer = tokio::spawn(insert(Arc::clone(&stage), plan.clone(), started_at));
    tokio::time::sleep_until(started_at + plan.length).await;
    stage.calm();
    stage.world.local.transactions.set_faults(rejecting(plan.seed, 0.0));
    let calm_at = Instant::now();
    let open_then = stage.open().await? as u64;
    let inserted = writer.await.context("the writer panicked")??;
    let mut deeds = Deeds::default();
    let mut processes = Vec::new();
    while let Some(manned) = crew.join_next().await {
        let (process, done) = manned.context("a post panicked")??;
        deeds.add(done);
        processes.push(process);
    }
    stage.ended_within(PATIENCE).await?;
    let recovery = calm_at.elapsed();
    let complaint = stop(processes).await.err().map(|error| error.to_string());
    let evidence = stage.evidence(inserted).await?;
    let findings = check(&evidence, Expect::Ended);
    let faults = stage.counts();
    let (seed, took) = (plan.seed, began.elapsed());
    let ended_in_storm = inserted.saturating_sub(open_then);
    let mut report = Report {
        seed,
        deeds,
        faults,
        findings,
        complaint,
        ended_in_storm,
        recovery,
        took,
        folder: None,
    };
    let mut stage = Arc::into_inner(stage).context("somebody still holds the stage")?;
    if !report.clean() {
        report.folder = stage.keep();
    }
    Ok(report)
}
