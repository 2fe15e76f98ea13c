//! Counting payments by the index `due`: its partitions side by side, each up to a bound.

use std::future::Future;
use std::sync::Arc;

use domain::{AccountId, DueDate, Status};
use shared::payments::{DueTable, PaymentsError, PaymentsTable};
use tokio::task::JoinSet;

/// Partitions counted at the same time.
const PARALLEL: usize = 16;

/// Most pages of 4,000 entries that are counted in one partition of the batch's day.
const BATCH_PAGES: usize = 200;

/// Pages of 1,000 references that are read to find the largest account.
const SAMPLE_PAGES: usize = 200;

/// How many there are, or at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PaymentCount {
    /// So many were counted.
    pub(super) payments: u64,
    /// Of how many partitions not all was counted, because there is too much.
    pub(super) cut: usize,
}

impl PaymentCount {
    /// The sum of several.
    pub(super) fn sum(all: &[Self]) -> Self {
        all.iter().fold(Self::default(), |sum, one| Self {
            payments: sum.payments + one.payments,
            cut: sum.cut + one.cut,
        })
    }
}

/// The batch, as far as it is scheduled.
#[derive(Debug)]
pub(super) struct ScheduledBatch {
    /// Its day.
    pub(super) day: DueDate,
    /// SCHEDULED payments of each partition of the index.
    pub(super) partitions: Vec<PaymentCount>,
    /// The account that has the most of them, and how many.
    pub(super) largest: Option<(AccountId, u64)>,
}

/// Counts payments.
#[derive(Debug, Clone)]
pub(super) struct Counter(pub(super) Arc<PaymentsTable>);

impl Counter {
    /// Counts the payments of `days` in one of `statuses`: one figure for each partition of
    /// each day, in no order. Of each at most so many pages of 4,000 entries are read.
    pub(super) async fn count(
        &self,
        days: impl IntoIterator<Item = DueDate>,
        statuses: &'static [Status],
        pages: usize,
    ) -> Result<Vec<PaymentCount>, PaymentsError> {
        let shards = self.0.due_shards();
        let places = days.into_iter().flat_map(|day| shards.clone().map(move |shard| (day, shard)));
        let jobs = places.map(|place| self.clone().partition(place, None, statuses, pages));
        side_by_side(jobs).await
    }

    /// Counts the SCHEDULED payments of the day of `days`, of which there must be one, that
    /// has the most.
    pub(super) async fn batch(
        &self,
        days: impl IntoIterator<Item = DueDate>,
    ) -> Result<ScheduledBatch, PaymentsError> {
        let mut all = Vec::new();
        for day in days {
            let partitions = self.count([day], &[Status::Scheduled], BATCH_PAGES).await?;
            all.push(ScheduledBatch { day, partitions, largest: None });
        }
        let payments = |batch: &ScheduledBatch| PaymentCount::sum(&batch.partitions).payments;
        // Of equals the first: nothing is scheduled, or one day is as good as the other.
        let mut batch = all
            .into_iter()
            .reduce(|one, other| if payments(&other) > payments(&one) { other } else { one })
            .unwrap_or_else(|| unreachable!("there is a day"));
        if let Some(account) = self.largest_account(batch.day).await? {
            let jobs = self.0.due_shards().map(|shard| {
                let (counter, account) = (self.clone(), Some(account.clone()));
                counter.partition((batch.day, shard), account, &[Status::Scheduled], BATCH_PAGES)
            });
            let counted = PaymentCount::sum(&side_by_side(jobs).await?);
            batch.largest = Some((account, counted.payments));
        }
        Ok(batch)
    }

    async fn partition(
        self,
        place: (DueDate, u16),
        account: Option<AccountId>,
        statuses: &'static [Status],
        pages: usize,
    ) -> Result<PaymentCount, PaymentsError> {
        let mut counted = PaymentCount::default();
        let mut cursor = None;
        for _ in 0..pages {
            let page = self.0.count_page(place, account.as_ref(), statuses, cursor).await?;
            counted.payments += page.0;
            cursor = page.1;
            if cursor.is_none() {
                return Ok(counted);
            }
        }
        counted.cut = 1;
        Ok(counted)
    }

    /// The account with the most SCHEDULED payments in the first partition of `day`. Payments
    /// lie in partitions by their own ids, so that every account has its share in each.
    async fn largest_account(&self, day: DueDate) -> Result<Option<AccountId>, PaymentsError> {
        let mut longest = AccountRun::default();
        let mut current = AccountRun::default();
        let mut cursor = None;
        for _ in 0..SAMPLE_PAGES {
            let (page, next) = self.0.due_page(day, 0, Status::Scheduled, cursor).await?;
            for reference in page {
                current.take(reference.account, &mut longest);
            }
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(if current.length > longest.length { current.account } else { longest.account })
    }
}

/// Payments of one account that lie side by side: the index is sorted by account.
#[derive(Debug, Default)]
struct AccountRun {
    account: Option<AccountId>,
    length: u64,
}

impl AccountRun {
    /// Takes the next entry in, and keeps the longest of the runs that have ended.
    fn take(&mut self, account: AccountId, longest: &mut Self) {
        if self.account.as_ref() == Some(&account) {
            self.length += 1;
            return;
        }
        let ended = std::mem::replace(self, Self { account: Some(account), length: 1 });
        if ended.length > longest.length {
            *longest = ended;
        }
    }
}

/// Runs all jobs, [`PARALLEL`] at a time, and ends with the first error.
async fn side_by_side<T, F>(mut jobs: impl Iterator<Item = F>) -> Result<Vec<T>, PaymentsError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, PaymentsError>> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut results = Vec::new();
    loop {
        while running.len() < PARALLEL {
            let Some(job) = jobs.next() else { break };
            running.spawn(job);
        }
        match running.join_next().await {
            Some(ended) => results.push(ended.map_err(PaymentsError::DueTask)??),
            None => return Ok(results),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_run_of_an_account_is_found_wherever_it_lies() {
        for (accounts, longest_one, length) in
            [("AAB", "A", 2), ("ABBBCC", "B", 3), ("ABCCCC", "C", 4), ("A", "A", 1)]
        {
            let (mut longest, mut current) = (AccountRun::default(), AccountRun::default());
            for account in accounts.chars() {
                current.take(AccountId::parse(account.to_string()).unwrap(), &mut longest);
            }
            let found = if current.length > longest.length { current } else { longest };
            assert_eq!(found.account.unwrap().to_string(), longest_one, "{accounts}");
            assert_eq!(found.length, length, "{accounts}");
        }
    }
}
