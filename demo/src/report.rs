//! The report of a demo, for people and for programs.

use std::fmt;

use domain::Status;
use serde::Serialize;
use shared::telemetry::Samples;
use shared::telemetry::calls::{READ_UNITS, SQS_REQUESTS, WRITE_UNITS};

use super::reconcile::Books;
use super::timing::{PendingTiming, Timing};
use crate::local_world::Usage;

/// What one process used.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessReport {
    /// Its name.
    pub name: String,
    /// CPU seconds, user and system.
    pub cpu_seconds: f64,
    /// CPU seconds per 1,000 payments.
    pub cpu_seconds_per_1000: f64,
    /// Most memory held, in MiB.
    pub peak_memory_mib: f64,
}

impl ProcessReport {
    pub(super) fn new(name: &str, usage: Usage, payments: u64) -> Self {
        let cpu_seconds = usage.cpu.as_secs_f64();
        Self {
            name: name.to_owned(),
            cpu_seconds,
            cpu_seconds_per_1000: cpu_seconds * 1000.0 / payments.max(1) as f64,
            peak_memory_mib: usage.peak_memory as f64 / (1024.0 * 1024.0),
        }
    }
}

/// What the bank pays AWS for, per payment.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Cost {
    /// Write units from insert to the end, table and index (ReturnConsumedCapacity).
    pub write_units_per_payment: f64,
    /// Read units.
    pub read_units_per_payment: f64,
    /// Requests to SQS, over all queues.
    pub sqs_calls_per_payment: f64,
}

impl Cost {
    pub(super) fn new(inserts: &Samples, services: &[Samples], payments: u64) -> Self {
        let sum = |name: &str| -> f64 {
            services.iter().chain([inserts]).map(|samples| samples.sum(name)).sum()
        };
        // An empty sum of floats is -0.
        let per_payment = |total: f64| total.abs() / payments.max(1) as f64;
        Self {
            write_units_per_payment: per_payment(sum(WRITE_UNITS.name)),
            read_units_per_payment: per_payment(sum(READ_UNITS.name)),
            sqs_calls_per_payment: per_payment(sum(SQS_REQUESTS.name)),
        }
    }
}

/// Everything a run showed.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Payments scheduled.
    pub payments: u64,
    /// Accounts they left from.
    pub accounts: u32,
    /// Whether everything was scheduled before the services started.
    pub backlog: bool,
    /// Seconds that scheduling took.
    pub scheduling_seconds: f64,
    /// Speed.
    pub timing: Timing,
    /// Units and calls.
    pub cost: Cost,
    /// What each process used; the demo itself is `DynamoDB`, SQS and the transaction service.
    pub processes: Vec<ProcessReport>,
    /// The comparison with the journal.
    pub books: Books,
    /// Whether the books balance and every service ended in order.
    pub balanced: bool,
    /// What else went wrong.
    pub problems: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timing, cost, books, .. } = self;
        let statuses = Status::ALL.iter().filter_map(|status| {
            Some(format!("{} {status}", books.by_status.get(status.as_str())?))
        });
        writeln!(
            f,
            "{} payments of {} accounts: {}",
            self.payments,
            self.accounts,
            statuses.collect::<Vec<_>>().join(", ")
        )?;
        writeln!(
            f,
            "speed      {:.0} payments/s over {:.1} s (scheduling took {:.1} s); first tenth {:.2} s, last tenth {:.2} s",
            timing.payments_per_second,
            timing.seconds,
            self.scheduling_seconds,
            timing.tenths_seconds[0],
            timing.tenths_seconds[9],
        )?;
        writeln!(
            f,
            "time       from insertion to PROCESSED: p50 {} ms, p95 {} ms, p99 {} ms",
            timing.p50_ms, timing.p95_ms, timing.p99_ms
        )?;
        let PendingTiming { p50_ms, p95_ms, p99_ms, most } = timing.pending;
        writeln!(
            f,
            "pending    from claim to PROCESSED: p50 {p50_ms} ms, p95 {p95_ms} ms, p99 {p99_ms} ms; {most} at the same time at most",
        )?;
        writeln!(
            f,
            "cost       {:.2} write units, {:.2} read units, {:.2} SQS calls per payment",
            cost.write_units_per_payment, cost.read_units_per_payment, cost.sqs_calls_per_payment
        )?;
        for process in &self.processes {
            writeln!(f, "{process}")?;
        }
        writeln!(
            f,
            "books      settled exactly once {}, settled twice {}, lost {}, amounts that differ {}, settled but not PROCESSED {}, settled but never scheduled {}",
            books.settled_once,
            books.settled_twice,
            books.lost,
            books.amounts_differ,
            books.settled_but_not_processed,
            books.unknown_settlements,
        )?;
        let failed = books.by_status.get(Status::Failed.as_str()).copied().unwrap_or_default();
        if failed > 0 || books.dead_letters > 0 {
            writeln!(
                f,
                "failed     {failed} ({:.2} %) are FAILED; {} payments are in the dead-letter queue, {} FAILED ones are not",
                failed as f64 * 100.0 / self.payments.max(1) as f64,
                books.dead_letters,
                books.failed_without_letter,
            )?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM    {problem}")?;
        }
        f.write_str(if self.balanced { "The books balance." } else { "THE BOOKS DO NOT BALANCE." })
    }
}

impl fmt::Display for ProcessReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "process    {:<22} {:>7.3} CPU s per 1,000 payments, {:>6.1} MiB at most",
            self.name, self.cpu_seconds_per_1000, self.peak_memory_mib
        )
    }
}
