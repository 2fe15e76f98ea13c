//! The accounts with the fewest payments that wait, as the index tells: pure.
//!
//! The number of messages says what all accounts have together, and not which. So one account
//! that stands still with many messages could hide that others have none. Those with the fewest
//! payments are therefore queued again regardless of the number, up to [`FEW`] payments that wait
//! in spite of it: then so many messages are doubled at most.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::{AccountId, PaymentId, PaymentRef, fnv1a};

use crate::sweeps::eligibility::FEW;

/// Most references in memory, with about 150 bytes each.
const MOST: usize = 20_000;

/// Gathers references of the index, in any order, and keeps those of accounts with few. When
/// there are too many to keep, only every other account is kept, then every fourth, and so
/// on; `turn` says which, so that every account has its turn.
#[derive(Debug)]
pub(super) struct SmallestAccounts {
    accounts: HashMap<AccountId, AccountSize>,
    kept: usize,
    turn: u64,
    /// Of so many accounts one is kept.
    share: u64,
}

#[derive(Debug)]
enum AccountSize {
    Small(Vec<PaymentRef>),
    /// It has more than [`FEW`]: the number of messages decides.
    Large,
}

impl SmallestAccounts {
    pub(super) fn new(turn: u64) -> Self {
        Self { accounts: HashMap::new(), kept: 0, turn, share: 1 }
    }

    /// Takes an entry in.
    pub(super) fn add(&mut self, reference: PaymentRef) {
        if !is_its_turn(&reference.account, self.share, self.turn) {
            return;
        }
        let account = self
            .accounts
            .entry(reference.account.clone())
            .or_insert_with(|| AccountSize::Small(Vec::new()));
        match account {
            AccountSize::Large => {}
            AccountSize::Small(payments) if payments.len() as u64 >= FEW => {
                self.kept -= payments.len();
                *account = AccountSize::Large;
            }
            AccountSize::Small(payments) => {
                payments.push(reference);
                self.kept += 1;
            }
        }
        while self.kept > MOST || self.accounts.len() > MOST {
            self.share *= 2;
            let (share, turn) = (self.share, self.turn);
            self.accounts.retain(|account, _| is_its_turn(account, share, turn));
            let payments = |account: &AccountSize| match account {
                AccountSize::Small(payments) => payments.len(),
                AccountSize::Large => 0,
            };
            self.kept = self.accounts.values().map(payments).sum();
        }
    }

    /// Whole accounts, those with the fewest payments first, less what was `tried` before, as
    /// long as all of them together are at most `room`. In the order of day and id.
    pub(super) fn choose(self, tried: &HashSet<PaymentId>, room: usize) -> Vec<PaymentRef> {
        let mut by_size: BTreeMap<(usize, AccountId), Vec<PaymentRef>> = BTreeMap::new();
        for (account, payments) in self.accounts {
            let AccountSize::Small(mut payments) = payments else { continue };
            let size = payments.len();
            payments.retain(|reference| !tried.contains(&reference.id));
            if !payments.is_empty() {
                by_size.insert((size, account), payments);
            }
        }
        let mut chosen = Vec::new();
        for payments in by_size.into_values() {
            if chosen.len() + payments.len() > room {
                break;
            }
            chosen.extend(payments);
        }
        chosen.sort_unstable_by_key(|reference| (reference.due, reference.id));
        chosen
    }
}

fn is_its_turn(account: &AccountId, share: u64, turn: u64) -> bool {
    fnv1a(account.as_str().as_bytes()) % share == turn % share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(account: &str) -> PaymentRef {
        let account = AccountId::parse(account).unwrap();
        PaymentRef { account, due: "2026-11-24".parse().unwrap(), id: PaymentId::generate() }
    }

    fn gathered(accounts: &[(&str, usize)]) -> SmallestAccounts {
        let mut smallest = SmallestAccounts::new(0);
        for (account, payments) in accounts {
            (0..*payments).for_each(|_| smallest.add(reference(account)));
        }
        smallest
    }

    #[test]
    fn the_lightest_accounts_come_first_and_none_in_part() {
        let accounts = [("A", 1_500), ("B", 30), ("C", 2), ("D", 1)];
        let chosen = |room| gathered(&accounts).choose(&HashSet::new(), room);
        assert_eq!(chosen(1_000).len(), 33, "A is too heavy");
        assert_eq!(chosen(32).len(), 3, "B does not fit");
        assert_eq!(chosen(0).len(), 0);
        assert!(chosen(1_000).is_sorted_by_key(|reference| (reference.due, reference.id)));
    }

    #[test]
    fn what_was_tried_is_not_chosen_again() {
        let chosen = gathered(&[("A", 3), ("B", 2)]).choose(&HashSet::new(), 10);
        let mut again = SmallestAccounts::new(0);
        chosen.iter().for_each(|reference| again.add(reference.clone()));
        again.add(reference("C"));
        let tried = chosen.iter().map(|reference| reference.id).collect();
        let chosen = again.choose(&tried, 10);
        assert_eq!(chosen.len(), 1);
        assert_eq!(chosen[0].account.as_str(), "C");
    }

    #[test]
    fn memory_is_bounded_and_every_account_has_its_turn() {
        let accounts: Vec<_> = (0..3 * MOST).map(|n| reference(&format!("ACC-{n}"))).collect();
        let mut met = HashSet::new();
        for turn in 0..4 {
            let mut smallest = SmallestAccounts::new(turn);
            for account in &accounts {
                smallest.add(account.clone());
                assert!(smallest.kept <= MOST && smallest.accounts.len() <= MOST);
            }
            assert_eq!(smallest.share, 4);
            met.extend(smallest.accounts.into_keys());
        }
        assert_eq!(met.len(), accounts.len());
    }
}
