//! When the answers of the transaction service call for a stop: pure.
//!
//! A service that is down fails nothing: its payments stay PENDING, and the circuit breaker
//! waits for it. A service that refuses every payment is believed, and fails them all. So
//! refusals are counted, in a row and as a share of the last answers.
//!
//! - An answer **out of the contract** says nothing of a payment, only that what answered may
//!   not be the transaction service. A few of them are enough.
//! - A **rejection** within the contract is about its payment, as a rule. Accounts are counted
//!   and not payments, so that one account without funds stops nobody. Rejections for
//!   different reasons count together as well, against twice the number. Where there are
//!   fewer accounts than that, payments in a row count, if they are of three accounts at least.
//!
//! Only a payment that was taken ends a row. No time is looked at, so no clock can be wrong.

use std::collections::{HashMap, HashSet, VecDeque};

use super::StopCause;
use domain::AccountId;

/// How many accounts make a stop if their payments are rejected for different reasons: so many
/// times as many as for the same reason.
const ANY_REASON: usize = 2;

/// With so few accounts nothing tells a broken service from accounts without funds.
const FEW_ACCOUNTS: usize = 3;

/// How many payments in a row make a stop where there are fewer accounts than it takes: so many
/// times as many.
const PAYMENTS: usize = 10;

/// Longest reason that is told apart from others, in bytes.
const MAX_CODE_BYTES: usize = 64;

/// When dispatching stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopLimits {
    /// Accounts whose payments are rejected for the same reason, in a row.
    pub rejected_accounts: usize,
    /// Answers out of the contract, in a row.
    pub out_of_contract: usize,
    /// As many, not in a row, stop it if they are this share of the last answers, in percent.
    pub share_percent: usize,
    /// How many last answers that share is of.
    pub window: usize,
}

impl StopLimits {
    /// The most that has to lie in the window for any share of it to count.
    pub(super) fn most_counted(&self) -> usize {
        self.rejected_accounts.saturating_mul(ANY_REASON).max(self.out_of_contract)
    }
}

/// What one answer of the transaction service shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObservedAnswer<'a> {
    /// It takes payments: one was settled, or taken for later settlement.
    Taken(&'a AccountId),
    /// It rejects a payment of this account, as the contract has it.
    Rejected {
        /// The account.
        account: &'a AccountId,
        /// The reason, as a code.
        code: &'a str,
    },
    /// A whole answer that the contract does not know.
    OutOfContract {
        /// The account of the payment that it was given for.
        account: &'a AccountId,
        /// What was seen.
        words: &'a str,
    },
}

/// Why dispatching has to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopTrigger {
    /// The kind.
    pub cause: StopCause,
    /// In words.
    pub reason: String,
    /// The accounts, or the answers, that were counted.
    pub count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum RecordedAnswer {
    Taken,
    Rejected(String),
    OutOfContract,
}

/// The refusals so far.
#[derive(Debug, Clone)]
pub struct RefusalTracker {
    limits: StopLimits,
    /// Accounts rejected since a payment was taken, with the last reason of each.
    row: HashMap<AccountId, String>,
    /// Payments rejected since then.
    row_payments: usize,
    /// Answers out of the contract since a payment was taken.
    strange: usize,
    /// The last answers.
    window: VecDeque<(AccountId, RecordedAnswer)>,
}

impl RefusalTracker {
    /// None so far.
    #[must_use]
    pub fn new(limits: StopLimits) -> Self {
        let window = VecDeque::with_capacity(limits.window);
        Self { limits, row: HashMap::new(), row_payments: 0, strange: 0, window }
    }

    /// Begins anew.
    pub fn forget(&mut self) {
        *self = Self::new(self.limits);
    }

    /// Notes an answer; whether dispatching has to stop because of it.
    pub fn note(&mut self, answer: ObservedAnswer<'_>) -> Option<StopTrigger> {
        match answer {
            ObservedAnswer::Taken(account) => {
                self.row.clear();
                self.row_payments = 0;
                self.strange = 0;
                self.push(account, RecordedAnswer::Taken);
                None
            }
            ObservedAnswer::Rejected { account, code } => {
                let code = code[..code.floor_char_boundary(MAX_CODE_BYTES)].to_owned();
                self.push(account, RecordedAnswer::Rejected(code.clone()));
                self.row.insert(account.clone(), code.clone());
                self.row_payments += 1;
                self.rejected_in_a_row(&code).or_else(|| self.rejected_share(&code))
            }
            ObservedAnswer::OutOfContract { account, words } => {
                self.push(account, RecordedAnswer::OutOfContract);
                self.strange += 1;
                self.out_of_contract(words)
            }
        }
    }

    fn push(&mut self, account: &AccountId, seen: RecordedAnswer) {
        if self.window.len() >= self.limits.window {
            self.window.pop_front();
        }
        self.window.push_back((account.clone(), seen));
    }

    fn rejected_in_a_row(&self, code: &str) -> Option<StopTrigger> {
        let (enough, any) = self.enough();
        let same = self.row.values().filter(|other| *other == code).count();
        if same >= enough {
            let reason = format!("payments of {same} accounts in a row were rejected with {code}");
            return Some(rejected(reason, same));
        }
        let all = self.row.len();
        let payments = self.row_payments;
        if all >= FEW_ACCOUNTS && payments >= enough.saturating_mul(PAYMENTS) {
            let reason = format!(
                "{payments} payments of {all} accounts in a row were rejected, the last with {code}"
            );
            return Some(rejected(reason, all));
        }
        (all >= any).then(|| {
            let reason = format!(
                "payments of {all} accounts in a row were rejected for different reasons, the \
                 last with {code}"
            );
            rejected(reason, all)
        })
    }

    /// The accounts that were rejected among those of the last answers.
    fn rejected_share(&self, code: &str) -> Option<StopTrigger> {
        let (enough, any) = self.enough();
        let accounts = self.window.iter().map(|(account, _)| account);
        let accounts = accounts.collect::<HashSet<_>>().len();
        let count = |counts: &dyn Fn(&str) -> bool| {
            let rejected = self.window.iter().filter_map(|(account, seen)| match seen {
                RecordedAnswer::Rejected(code) if counts(code) => Some(account),
                RecordedAnswer::Taken
                | RecordedAnswer::Rejected(_)
                | RecordedAnswer::OutOfContract => None,
            });
            rejected.collect::<HashSet<_>>().len()
        };
        let of = |rejected: usize, for_what: String| {
            let reason = format!(
                "payments of {rejected} of the last {accounts} accounts were rejected {for_what}"
            );
            self.is_share(rejected, accounts).then(|| self::rejected(reason, rejected))
        };
        let same = count(&|other| other == code);
        if same >= enough
            && let Some(trip) = of(same, format!("with {code}"))
        {
            return Some(trip);
        }
        let all = count(&|_| true);
        let last = format!("for different reasons, the last with {code}");
        (all >= any).then(|| of(all, last)).flatten()
    }

    fn out_of_contract(&self, words: &str) -> Option<StopTrigger> {
        let enough = self.limits.out_of_contract;
        let all = self.window.len();
        let strange =
            self.window.iter().filter(|(_, seen)| *seen == RecordedAnswer::OutOfContract).count();
        let (count, of) = if self.strange >= enough {
            (self.strange, format!("{} answers in a row were", self.strange))
        } else if strange >= enough && self.is_share(strange, all) {
            (strange, format!("{strange} of the last {all} answers were"))
        } else {
            return None;
        };
        let reason = format!(
            "{of} out of the contract, so what answers may not be the transaction service; the \
             last: {words}"
        );
        Some(StopTrigger { cause: StopCause::OutOfContract, reason, count: number(count) })
    }

    /// Accounts that are enough for the same reason, and for any.
    fn enough(&self) -> (usize, usize) {
        let same = self.limits.rejected_accounts;
        (same, same.saturating_mul(ANY_REASON))
    }

    fn is_share(&self, part: usize, whole: usize) -> bool {
        part.saturating_mul(100) >= whole.saturating_mul(self.limits.share_percent)
    }
}

fn rejected(reason: String, accounts: usize) -> StopTrigger {
    StopTrigger { cause: StopCause::Rejected, reason, count: number(accounts) }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StopLimits =
        StopLimits { rejected_accounts: 20, out_of_contract: 5, share_percent: 50, window: 200 };

    fn account(number: usize) -> AccountId {
        AccountId::parse(format!("ACC-{number}")).unwrap()
    }

    fn refusals() -> RefusalTracker {
        RefusalTracker::new(LIMITS)
    }

    fn reject(refusals: &mut RefusalTracker, number: usize, code: &str) -> Option<StopTrigger> {
        refusals.note(ObservedAnswer::Rejected { account: &account(number), code })
    }

    fn take(refusals: &mut RefusalTracker, number: usize) {
        assert_eq!(refusals.note(ObservedAnswer::Taken(&account(number))), None);
    }

    fn strange(refusals: &mut RefusalTracker, number: usize) -> Option<StopTrigger> {
        refusals.note(ObservedAnswer::OutOfContract { account: &account(number), words: "400" })
    }

    /// The first of `answers` that stops, counted from 1.
    fn stops_at(
        mut answers: impl Iterator<Item = Option<StopTrigger>>,
    ) -> Option<(usize, StopTrigger)> {
        let mut count = 0;
        let trip = answers.find_map(|trip| {
            count += 1;
            trip
        })?;
        Some((count, trip))
    }

    #[test]
    fn the_same_rejection_of_twenty_accounts_in_a_row_stops_and_nineteen_do_not() {
        let mut refusals = refusals();
        let (count, trip) =
            stops_at((0..5_000).map(|n| reject(&mut refusals, n, "422 limit"))).unwrap();
        assert_eq!((count, trip.count, trip.cause), (20, 20, StopCause::Rejected));
        assert!(trip.reason.contains("422 limit"), "{}", trip.reason);
    }

    #[test]
    fn one_account_without_funds_stops_nobody() {
        let mut refusals = refusals();
        assert_eq!(stops_at((0..5_000).map(|_| reject(&mut refusals, 1, "422 no_funds"))), None);
        // Nor do a few of them among payments that are taken.
        let mixed = (0..5_000).map(|n| {
            if n % 2 == 0 {
                take(&mut refusals, n);
                return None;
            }
            reject(&mut refusals, n % 19, "422 no_funds")
        });
        assert_eq!(stops_at(mixed), None);
    }

    #[test]
    fn a_bank_of_few_accounts_is_stopped_by_payments_and_two_accounts_without_funds_are_not() {
        let mut refusals = refusals();
        let two = (0..5_000).map(|n| reject(&mut refusals, n % 2, "422 no_funds"));
        assert_eq!(stops_at(two), None);
        refusals.forget();
        let three = (0..5_000).map(|n| reject(&mut refusals, n % 3, "422 limit"));
        assert_eq!(stops_at(three).unwrap().0, 200);
    }

    #[test]
    fn a_payment_that_is_taken_ends_the_row() {
        let mut refusals = refusals();
        // Most are taken, so that it is no share either.
        let answers = (0..1_000).map(|n| {
            (0..3).for_each(|more| take(&mut refusals, 10_000 + 3 * n + more));
            reject(&mut refusals, n, "422 limit")
        });
        assert_eq!(stops_at(answers), None);
        let row = (0..18).map(|n| reject(&mut refusals, 50_000 + n, "422 limit"));
        assert_eq!(stops_at(row), None);
    }

    #[test]
    fn a_service_that_takes_every_third_payment_is_stopped_by_the_share() {
        let mut refusals = refusals();
        let answers = (0..1_000).map(|n| {
            if n % 3 == 0 {
                take(&mut refusals, n);
                return None;
            }
            reject(&mut refusals, n, "422 limit")
        });
        let (_, trip) = stops_at(answers).unwrap();
        assert_eq!(trip.count, 20, "{trip:?}");
    }

    #[test]
    fn reasons_that_alternate_stop_at_twice_the_number() {
        let mut refusals = refusals();
        let answers = (0..1_000).map(|n| reject(&mut refusals, n, &format!("422 code-{n}")));
        assert_eq!(stops_at(answers).unwrap().0, 40);
        // Also when one in three is taken.
        refusals.forget();
        let answers = (0..1_000).map(|n| {
            if n % 3 == 0 {
                take(&mut refusals, n);
                return None;
            }
            reject(&mut refusals, n, &format!("422 code-{n}"))
        });
        assert_eq!(stops_at(answers).unwrap().1.count, 40);
    }

    #[test]
    fn five_answers_out_of_the_contract_stop_whosever_payments_they_are_for() {
        let mut refusals = refusals();
        let (count, trip) = stops_at((0..100).map(|_| strange(&mut refusals, 1))).unwrap();
        assert_eq!((count, trip.cause), (5, StopCause::OutOfContract));
    }

    #[test]
    fn answers_out_of_the_contract_between_rejections_within_it_stop_too() {
        let mut refusals = refusals();
        let answers = (0..100).map(|n| match n % 2 {
            0 => reject(&mut refusals, 1, "422 limit"),
            _ => strange(&mut refusals, 2),
        });
        assert_eq!(stops_at(answers).unwrap().0, 10);
    }

    #[test]
    fn a_gateway_that_answers_every_second_payment_itself_is_stopped_by_the_share() {
        let mut refusals = refusals();
        let answers = (0..100).map(|n| {
            if n % 2 == 0 {
                take(&mut refusals, n);
                return None;
            }
            strange(&mut refusals, n)
        });
        assert_eq!(stops_at(answers).unwrap().0, 10);
    }

    #[test]
    fn a_rare_strange_answer_stops_nobody_however_long_it_goes_on() {
        let mut refusals = refusals();
        let answers = (0..10_000).map(|n| {
            if n % 4 != 0 {
                take(&mut refusals, n);
                return None;
            }
            strange(&mut refusals, n)
        });
        assert_eq!(stops_at(answers), None);
    }

    #[test]
    fn what_is_kept_has_a_bound_whatever_comes() {
        let mut refusals = refusals();
        let long = "é".repeat(5_000);
        for n in 0..5_000 {
            let _ = reject(&mut refusals, n % 2, &format!("{n}-{long}"));
        }
        assert!(refusals.row.len() <= 2 && refusals.window.len() <= LIMITS.window);
        assert!(refusals.row.values().all(|code| code.len() <= MAX_CODE_BYTES));
    }
}
