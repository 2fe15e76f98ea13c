//! `dueflow payments import`: schedules the payments of a file.

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use shared::aws::Aws;
use shared::config::Common;
use shared::domain::Payment;
use shared::payments::{Inserted, PaymentsTable};

use super::rows::{Line, rows};
use crate::cli::ImportOptions;

/// Rows in one request.
const BATCH: usize = 25;

/// A row that was not scheduled.
#[derive(Debug, Serialize)]
struct Refused {
    line: u64,
    reason: String,
}

/// What became of the rows.
#[derive(Debug, Default, Serialize)]
struct Summary {
    rows: u64,
    scheduled: u64,
    already_scheduled: u64,
    refused: Vec<Refused>,
}

/// The command. Exit status 0 when every row is scheduled, 1 when rows were refused.
pub(crate) async fn import(common: &Common, options: ImportOptions) -> anyhow::Result<ExitCode> {
    let batch = match &options.batch {
        Some(batch) => batch.clone(),
        None => {
            let stem = options.file.file_stem().and_then(|stem| stem.to_str());
            stem.context("the file's name is no text; name the batch with --batch")?.to_owned()
        }
    };
    let aws = Aws::from_environment().await;
    let name = common.names.payments_table();
    let table = PaymentsTable::new(aws.dynamodb("import"), &name, common.due_shards);
    let import = Import { table, batch, json: options.json, occurrences: HashMap::new() };
    let summary = import.run(rows(&options.file)?).await?;
    if options.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        println!(
            "{} rows: {} scheduled, {} already scheduled, {} refused",
            summary.rows,
            summary.scheduled,
            summary.already_scheduled,
            summary.refused.len()
        );
    }
    Ok(if summary.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Import {
    table: PaymentsTable,
    batch: String,
    json: bool,
    /// How many rows of each content there were so far. (Memory grows with the file: 40
    /// bytes a row.)
    occurrences: HashMap<[u8; 32], u32>,
}

impl Import {
    async fn run(
        mut self,
        lines: impl Iterator<Item = anyhow::Result<Line>>,
    ) -> anyhow::Result<Summary> {
        let mut summary = Summary::default();
        let mut open: Vec<(u64, Payment)> = Vec::with_capacity(BATCH);
        for line in lines {
            let line = line.with_context(|| {
                format!("after {} rows; run it again once the file is whole", summary.rows)
            })?;
            summary.rows += 1;
            let number = line.number;
            match self.payment(line) {
                // One request cannot insert an id twice.
                Ok(payment) if open.iter().any(|(_, other)| other.id == payment.id) => {
                    self.schedule(&mut open, &mut summary).await?;
                    open.push((number, payment));
                }
                Ok(payment) => open.push((number, payment)),
                Err(reason) => self.refuse(&mut summary, number, reason),
            }
            if open.len() == BATCH {
                self.schedule(&mut open, &mut summary).await?;
            }
        }
        self.schedule(&mut open, &mut summary).await?;
        Ok(summary)
    }

    fn payment(&mut self, line: Line) -> Result<Payment, String> {
        let row = line.row?;
        let now = Timestamp::now();
        if row.has_id() {
            // It takes no turn among its equals: giving a row an id, or correcting one, must
            // not change the ids of the others.
            return row.payment(&[0; 32], 0, now);
        }
        let digest = row.digest(&self.batch);
        let count = self.occurrences.entry(digest).or_default();
        let payment = row.payment(&digest, *count, now)?;
        *count += 1;
        Ok(payment)
    }

    async fn schedule(
        &self,
        open: &mut Vec<(u64, Payment)>,
        summary: &mut Summary,
    ) -> anyhow::Result<()> {
        if open.is_empty() {
            return Ok(());
        }
        let (numbers, payments): (Vec<u64>, Vec<Payment>) = open.drain(..).unzip();
        let results = self.table.insert(&payments).await.with_context(|| {
            format!("{} payments were scheduled before; run it again to go on", summary.scheduled)
        })?;
        for ((number, payment), result) in numbers.into_iter().zip(&payments).zip(results) {
            match result {
                Inserted::New => summary.scheduled += 1,
                Inserted::AlreadyThere => summary.already_scheduled += 1,
                Inserted::Conflict => {
                    let reason = format!("PaymentID: {} is another payment already", payment.id);
                    self.refuse(summary, number, reason);
                }
            }
        }
        Ok(())
    }

    fn refuse(&self, summary: &mut Summary, line: u64, reason: String) {
        if !self.json {
            eprintln!("line {line}: {reason}");
        }
        summary.refused.push(Refused { line, reason });
    }
}
