//! Inserting payments while everything around goes wrong.

use std::time::Duration;

use domain::{AccountId, Amount, BeneficiaryId, DueDate, Payment, PaymentId};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::payments::InsertResult;
use shared::testing::sample_payment;
use tests::chance::Chance;
use tokio::time::Instant;

use crate::plan::Plan;
use crate::stage::Shared;

/// Inserts every wave at its time, again and again until it is in. Returns how many payments
/// were inserted.
pub(crate) async fn insert(stage: Shared, plan: Plan, started_at: Instant) -> anyhow::Result<u64> {
    let mut chance = Chance::new(plan.seed, 200);
    let mut inserted = 0;
    for wave in &plan.waves {
        tokio::time::sleep_until(started_at + wave.at).await;
        let payments = (0..wave.payments).map(|_| payment(&mut chance, plan.accounts));
        let payments = payments.collect::<anyhow::Result<Vec<_>>>()?;
        loop {
            // The same ids: what an earlier try has inserted is there already.
            match stage.writer.insert(&payments).await {
                Ok(results) => {
                    anyhow::ensure!(
                        !results.contains(&InsertResult::Conflict),
                        "an id was made twice"
                    );
                    inserted += results.len() as u64;
                    break;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
    Ok(inserted)
}

/// Half of the payments leave from the few busy accounts.
pub(crate) fn payment(chance: &mut Chance, accounts: u32) -> anyhow::Result<Payment> {
    let now = Timestamp::now();
    let account = match chance.below(2) {
        0 => chance.below(u64::from(Plan::BUSY.min(accounts))),
        _ => chance.below(u64::from(accounts)),
    };
    Ok(Payment {
        id: PaymentId::generate(),
        account: AccountId::parse(format!("ACC-{account:06}"))?,
        due: DueDate::today(now, &TimeZone::UTC),
        amount: Amount::from_minor_units(i64::try_from(chance.below(1_000_000))? + 1)?,
        currency: "EUR".parse()?,
        beneficiary: BeneficiaryId::parse(format!("BEN-{:05}", chance.below(10_000)))?,
        created_at: now,
        ..sample_payment()
    })
}
