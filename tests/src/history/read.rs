//! Reading all the evidence of a run in a local world.

use std::collections::HashSet;

use anyhow::Context;
use demo::local_world::World;
use jiff::Timestamp;
use local::transactions::{Journal, JournalEntry};
use shared::payments::{PaymentsTable, StoredPayment};

use super::evidence::{Evidence, Settled};
use super::{Queues, read_stream};

/// Reads what a run of `inserted` payments left in `world`. No service may run, and no
/// message may be in flight. Nothing is taken away.
///
/// # Errors
/// What could not be read.
pub async fn read(world: &World, inserted: u64) -> anyhow::Result<Evidence> {
    let name = world.names.payments_table();
    let table = PaymentsTable::new(world.aws.dynamodb("judge"), &name, 16);
    let journal = Journal::read(world.local.journal())
        .map(|entry| Ok(settled(entry?)))
        .collect::<anyhow::Result<Vec<_>>>()
        .context("reading the journal")?;
    let endpoint = world.local.dynamodb.endpoint();
    let stream = read_stream(&world.aws, &endpoint, &name).await.context("reading the stream")?;
    let queues = Queues::new(&world.aws);
    let mut queued = HashSet::new();
    for queue in [world.names.payments_queue(), world.names.confirmations_queue()] {
        queued.extend(queues.payments(&queue).await?);
    }
    Ok(Evidence {
        inserted,
        journal,
        table: scan(&table).await.context("scanning the table")?,
        stream,
        letters: queues.letters(&world.names.dead_letter_queue()).await?,
        queued,
        ..Evidence::default()
    })
}

async fn scan(table: &PaymentsTable) -> anyhow::Result<Vec<StoredPayment>> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let (page, next) = table.scan_page(cursor).await?;
        all.extend(page);
        match next {
            Some(next) => cursor = Some(next),
            None => return Ok(all),
        }
    }
}

fn settled(entry: JournalEntry) -> Settled {
    Settled {
        key: entry.idempotency_key,
        transaction_id: entry.transaction_id.to_string(),
        account: entry.account_id,
        beneficiary: entry.beneficiary_id,
        amount: entry.amount,
        currency: entry.currency,
        at: Timestamp::from_millisecond(entry.settled_at.as_millisecond()).ok(),
    }
}
