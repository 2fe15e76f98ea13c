//! Partitions accounts over several requests without changing the order within an account:
//! pure.

use domain::{Payment, fnv1a};
use shared::queue::{Dispatch, OutgoingMessage};

/// A payment that is to be queued, and for which dispatch.
#[derive(Debug, Clone)]
pub(crate) struct PaymentToQueue {
    pub(crate) payment: Payment,
    pub(crate) dispatch: Dispatch,
}

impl PaymentToQueue {
    /// One that no message has carried yet.
    pub(crate) fn first(payment: Payment) -> Self {
        Self { payment, dispatch: Dispatch::First }
    }
}

/// Spreads payments over `partitions` lists. All payments of an account are in one list, in the
/// order of due date and id (INV-5): statements of one batch insert may reach the stream in
/// any order. Lists can be sent at the same time.
pub(crate) fn spread(mut due: Vec<PaymentToQueue>, partitions: usize) -> Vec<Vec<OutgoingMessage>> {
    due.sort_unstable_by_key(|due| (due.payment.due, due.payment.id));
    let mut lists = vec![Vec::new(); partitions];
    for PaymentToQueue { payment, dispatch } in due {
        let hash = fnv1a(payment.account.as_str().as_bytes()) % partitions as u64;
        lists[usize::try_from(hash).unwrap_or_default()].push(dispatch.message(&payment));
    }
    lists.retain(|list| !list.is_empty());
    lists
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AccountId, Amount, PaymentId};
    use shared::testing::sample_payment;

    fn payment(account: u32) -> Payment {
        Payment {
            id: PaymentId::generate(),
            account: AccountId::parse(format!("ACC-{account}")).unwrap(),
            due: "2026-11-23".parse().unwrap(),
            amount: Amount::from_minor_units(1).unwrap(),
            created_at: "2026-11-23T01:00:00Z".parse().unwrap(),
            ..sample_payment()
        }
    }

    #[test]
    fn an_account_stays_in_one_partition_in_the_order_of_its_ids() {
        let payments: Vec<_> = (0..1_000).map(|n| payment(n % 37)).collect();
        let mut shuffled = payments.clone();
        shuffled.sort_by_key(|payment| fnv1a(payment.id.to_string().as_bytes()));
        let partitions = spread(shuffled.into_iter().map(PaymentToQueue::first).collect(), 4);
        assert_eq!(partitions.iter().map(Vec::len).sum::<usize>(), 1_000);
        for account in 0..37 {
            let group = format!("ACC-{account}");
            let holding: Vec<_> = partitions
                .iter()
                .filter(|partition| partition.iter().any(|m| m.group == group))
                .collect();
            assert_eq!(holding.len(), 1, "{group} is in {} partitions", holding.len());
            let sent = holding[0].iter().filter(|m| m.group == group).map(|m| &m.deduplication);
            let given = payments.iter().filter(|p| p.account.as_str() == group);
            assert!(
                sent.eq(given.map(|p| format!("{}-{}", p.due, p.id)).collect::<Vec<_>>().iter())
            );
        }
    }

    #[test]
    fn an_overdue_payment_comes_before_one_of_today_whatever_their_ids() {
        let today = payment(1);
        let overdue = Payment { due: "2026-11-22".parse().unwrap(), ..payment(1) };
        assert!(today.id < overdue.id);
        let partitions =
            spread([&today, &overdue].map(Clone::clone).map(PaymentToQueue::first).into(), 4);
        let sent: Vec<_> =
            partitions.concat().into_iter().map(|message| message.deduplication).collect();
        assert_eq!(sent, [&overdue, &today].map(|p| format!("{}-{}", p.due, p.id)));
    }
}
