use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use async_trait::async_trait;
use domain::{Amount, Payment, PaymentId};
use shared::payments::Cursor;
use shared::testing::{sample_payment, scheduled};

use super::*;

const SHARDS: u16 = 4;
const PAGE: usize = 1_000;

fn day() -> DueDate {
    "2026-11-24".parse().unwrap()
}

/// An index in memory, of one day. Each call may fail.
#[derive(Debug)]
struct Index {
    entries: Vec<(String, PaymentRef)>,
    failing: bool,
}

impl Index {
    fn of(accounts: &[(&str, usize)]) -> Arc<Self> {
        let mut entries = Vec::new();
        for (account, payments) in accounts {
            for _ in 0..*payments {
                let account = AccountId::parse(*account).unwrap();
                let (due, id) = (day(), PaymentId::generate());
                entries.push((format!("{account}#{id}"), PaymentRef { account, due, id }));
            }
        }
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        Arc::new(Self { entries, failing: false })
    }

    fn fails(&self) -> Result<(), PaymentsError> {
        if self.failing && fastrand::u8(..) < 80 { Err(PaymentsError::Unread(1)) } else { Ok(()) }
    }
}

#[async_trait]
impl DueTable for Index {
    fn due_shards(&self) -> Range<u16> {
        0..SHARDS
    }

    async fn due_page(
        &self,
        _: DueDate,
        shard: u16,
        _: Status,
        cursor: Option<Cursor>,
    ) -> Result<(Vec<PaymentRef>, Option<Cursor>), PaymentsError> {
        self.fails()?;
        let after = cursor.as_ref().and_then(Cursor::place).unwrap_or_default();
        let from = self.entries.partition_point(|(key, _)| key.as_str() <= after);
        let here = self.entries[from..].iter().map(|(_, reference)| reference);
        let mut here = here.filter(|reference| reference.id.due_shard(SHARDS) == shard);
        let page: Vec<_> = here.by_ref().take(PAGE).cloned().collect();
        let next = here.next().and(page.last()).map(Cursor::after);
        Ok((page, next))
    }

    async fn days_page(
        &self,
        _: Status,
        _: Option<Cursor>,
    ) -> Result<(BTreeSet<DueDate>, Option<Cursor>), PaymentsError> {
        Ok((BTreeSet::from([day()]), None))
    }

    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError> {
        self.fails()?;
        let stored = |reference: &PaymentRef| {
            scheduled(Payment {
                id: reference.id,
                account: reference.account.clone(),
                due: reference.due,
                amount: Amount::from_minor_units(1).unwrap(),
                created_at: "2026-11-23T01:00:00Z".parse().unwrap(),
                ..sample_payment()
            })
        };
        Ok(references.iter().map(|r| (r.clone(), Ok(stored(r)))).collect())
    }
}

/// Everything, with a process that dies after each batch with this chance and goes on at the
/// place that was written down.
async fn read(index: &Arc<Index>, deaths: u8) -> Vec<PaymentRef> {
    let table = || Arc::clone(index) as Arc<dyn DueTable>;
    let mut reading = InterleavedDay::new(table(), day());
    let mut all = Vec::new();
    loop {
        match reading.next().await {
            Ok(Some(found)) => all.extend(found.into_iter().map(|(reference, _)| reference)),
            Ok(None) => return all,
            Err(_) => continue,
        }
        if fastrand::u8(..) < deaths {
            reading = InterleavedDay::behind(table(), day(), &reading.place());
        }
    }
}

/// Each payment once, and those of an account in the order of their ids.
fn assert_whole_and_in_order(all: &[PaymentRef], index: &Index) {
    let ids: HashSet<_> = all.iter().map(|reference| reference.id).collect();
    assert_eq!((all.len(), ids.len()), (index.entries.len(), index.entries.len()));
    let mut last: HashMap<&AccountId, PaymentId> = HashMap::new();
    for reference in all {
        if let Some(before) = last.insert(&reference.account, reference.id) {
            assert!(before < reference.id, "{} was overtaken", reference.id);
        }
    }
}

#[tokio::test]
async fn no_account_is_queued_whole_before_those_behind_it() {
    let accounts = [("A", 150_000), ("A-1", 700), ("B", 3_000), ("C", 1), ("D", 20_000), ("E", 9)];
    let index = Index::of(&accounts);
    let all = read(&index, 0).await;
    assert_whole_and_in_order(&all, &index);
    for (account, _) in accounts {
        let first = all.iter().position(|r| r.account.as_str() == account).unwrap();
        assert!(first < 6_000, "{account} begins behind {first} others");
    }
    // While two have more, they take turns.
    let of_d = all.iter().rposition(|r| r.account.as_str() == "D").unwrap();
    assert!(of_d < 50_000, "D ends behind {of_d}");
}

#[tokio::test]
async fn more_accounts_than_may_be_put_off_still_take_turns_and_none_is_left_out() {
    let names: Vec<_> = (0..MAX_DEFERRED + 20).map(|number| format!("A{number:03}")).collect();
    let accounts: Vec<_> = names.iter().map(|name| (name.as_str(), 2_100)).collect();
    let index = Index::of(&accounts);
    let all = read(&index, 0).await;
    assert_whole_and_in_order(&all, &index);
    let window: HashSet<_> = all[..120_000].iter().map(|reference| &reference.account).collect();
    assert!(window.len() >= MAX_DEFERRED, "{} accounts can be seen", window.len());
}

#[tokio::test]
async fn a_crash_after_any_batch_leaves_nothing_out_and_reads_nothing_twice() {
    for seed in 0..20 {
        fastrand::seed(seed);
        let mut index = Index::of(&[("A", 6_000), ("B", 10), ("C", 2_999), ("D", 1_000), ("E", 5)]);
        Arc::get_mut(&mut index).unwrap().failing = true;
        let all = read(&index, 128).await;
        assert_whole_and_in_order(&all, &index);
    }
}

#[tokio::test]
async fn a_day_with_nothing_ends_at_once() {
    assert!(read(&Index::of(&[]), 0).await.is_empty());
}

#[test]
fn a_place_reads_back_and_one_of_another_form_begins_again() {
    let id = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
    for text in [
        "#".to_owned(),
        "$".to_owned(),
        format!("ACC-1#{id}"),
        format!("ACC-1#|ACC-1#{id}|A.2_x#{id}"),
        format!("$|ACC-1#{id}"),
    ] {
        let place = DayCursor::read(&text, day()).unwrap();
        assert_eq!(place.to_string(), text);
    }
    for other in ["", "ACC-1", "ACC-1#x", "$|x", "a b#", "2026-11-24T10:00:00Z"] {
        assert_eq!(DayCursor::read(other, day()), None, "{other}");
    }
}

#[tokio::test]
async fn the_place_of_a_hundred_accounts_fits_into_the_item_of_a_lease() {
    let account = AccountId::parse("A".repeat(64)).unwrap();
    let last = PaymentRef { account, due: day(), id: PaymentId::generate() };
    let deferred = std::iter::repeat_n(last.clone(), MAX_DEFERRED).collect();
    let place = DayCursor { at: MainCursor::After(last), deferred };
    assert!(place.to_string().len() < 16_000);
}
