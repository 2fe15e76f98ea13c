use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use domain::{AccountId, PaymentId};

const PARTITIONS: u16 = 7;

fn day() -> DueDate {
    "2026-11-24".parse().unwrap()
}

/// An index in memory.
#[derive(Debug, Default)]
struct Fake {
    /// Sorted by key; `None` for an entry in another status.
    entries: Vec<(u16, String, Option<PaymentRef>)>,
    /// Numbers of the calls that fail.
    failing: Vec<usize>,
    calls: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    longest_page: Mutex<u16>,
    /// Entries that are no payments, in each call.
    unreadable: u64,
}

impl Fake {
    /// So many entries, of which every `nth` is in the status asked for.
    fn new(count: usize, nth: usize) -> Self {
        let mut entries: Vec<_> = (0..count)
            .map(|number| {
                // Accounts whose names differ by what sorts near the separator.
                let account = ["A", "A-1", "A.1", "A0", "B", "a"][number % 6];
                let account = AccountId::parse(account).unwrap();
                let reference = PaymentRef { account, due: day(), id: PaymentId::generate() };
                let key = format!("{}#{}", reference.account, reference.id);
                (reference.id.due_shard(PARTITIONS), key, Some(reference))
            })
            .collect();
        entries.sort_by(|one, other| one.1.cmp(&other.1));
        for (at, entry) in entries.iter_mut().enumerate() {
            entry.2 = entry.2.take().filter(|_| at.is_multiple_of(nth));
        }
        Self { entries, ..Self::default() }
    }

    fn expected(&self) -> Vec<PaymentRef> {
        self.entries.iter().filter_map(|(_, _, reference)| reference.clone()).collect()
    }
}

#[async_trait]
impl IndexReader for Fake {
    fn partitions(&self) -> Range<u16> {
        0..PARTITIONS
    }

    async fn look(
        &self,
        asked: DueDate,
        partition: u16,
        status: Status,
        after: Option<String>,
        most: u16,
    ) -> Result<Found, PaymentsError> {
        assert_eq!((asked, status), (day(), Status::Failed));
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let now = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_once.fetch_max(now, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(10 + number as u64 % 3)).await;
        self.at_once.fetch_sub(1, Ordering::Relaxed);
        if self.failing.contains(&number) {
            return Err(PaymentsError::Unread(1));
        }
        let mut longest = self.longest_page.lock().unwrap();
        *longest = most.max(*longest);
        let mut here = self.entries.iter().filter(|(lies, key, _)| {
            *lies == partition && after.as_ref().is_none_or(|after| key > after)
        });
        let page: Vec<_> = here.by_ref().take(most.into()).collect();
        let last = page.last().filter(|_| here.next().is_some()).map(|(_, key, _)| key.clone());
        let entries = page.into_iter().filter_map(|(_, key, reference)| {
            Some(Entry { key: key.clone(), reference: reference.clone()? })
        });
        Ok(Found { entries: entries.collect(), unreadable: self.unreadable, last })
    }
}

fn scan(index: &Arc<Fake>, after: Option<DueCursor>) -> DueScan {
    let index = Arc::clone(index) as Arc<dyn IndexReader>;
    DueScan::new(index, day(), Status::Failed, after).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_day_comes_whole_and_in_order_however_rare_the_status_is() {
    for (count, nth) in [(5_000, 1), (5_000, 7), (5_000, 2_000), (3, 1), (0, 1)] {
        let index = Arc::new(Fake::new(count, nth));
        let mut scan = scan(&index, None);
        let (mut all, mut last) = (Vec::new(), None);
        while let Some(page) = scan.next(100).await.unwrap() {
            assert!(!page.references.is_empty() && page.references.len() <= 100);
            all.extend(page.references);
            last = Some(page.next);
        }
        assert_eq!(all, index.expected(), "{count} entries");
        // A page is only known to be the last when everything behind it was looked at.
        assert!(count == 0 || nth > 1 || last == Some(None), "{count} entries, {nth}");
        assert!(index.most_at_once.load(Ordering::Relaxed) >= usize::from(PARTITIONS.min(3)));
    }
}

#[tokio::test(start_paused = true)]
async fn every_cursor_goes_on_behind_its_page_also_as_a_text() {
    let index = Arc::new(Fake::new(900, 3));
    let expected = index.expected();
    let (mut after, mut all) = (None, Vec::new());
    // Each page is read by a scan of its own.
    while let Some(page) = scan(&index, after.clone()).next(17).await.unwrap() {
        all.extend(page.references);
        let Some(next) = page.next else { break };
        after = Some(next.to_string().parse().unwrap());
    }
    assert_eq!(all, expected);
}

#[tokio::test(start_paused = true)]
async fn the_first_page_looks_at_little_and_later_ones_at_more() {
    let index = Arc::new(Fake::new(20_000, 1));
    let mut scan = scan(&index, None);
    scan.next(100).await.unwrap();
    assert_eq!(index.calls.load(Ordering::Relaxed), usize::from(PARTITIONS));
    assert_eq!(*index.longest_page.lock().unwrap(), FIRST_PAGE);
    while scan.next(1_000).await.unwrap().is_some() {
        let held: usize = scan.partitions.iter().map(|partition| partition.read.len()).sum();
        assert!(held <= 2 * usize::from(READ_AHEAD), "{held} entries in memory");
    }
    assert_eq!(*index.longest_page.lock().unwrap(), DUE_PAGE);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_far_ahead_is_not_read_on() {
    // All of account A lies in one partition, and all that follows in another.
    let mut index = Fake::new(20_000, 1);
    for (at, (partition, _, _)) in index.entries.iter_mut().enumerate() {
        *partition = u16::from(at >= 10_000);
    }
    let index = Arc::new(index);
    let (mut scan, mut all) = (scan(&index, None), Vec::new());
    while let Some(page) = scan.next(1_000).await.unwrap() {
        all.extend(page.references);
        let held: usize = scan.partitions.iter().map(|partition| partition.read.len()).sum();
        assert!(held <= 4 * usize::from(DUE_PAGE), "{held} entries in memory");
    }
    assert_eq!(all, index.expected());
}

#[tokio::test(start_paused = true)]
async fn entries_that_are_no_payments_are_counted_once() {
    let index = Arc::new(Fake { unreadable: 3, ..Fake::new(5_000, 2) });
    let (mut scan, mut unreadable) = (scan(&index, None), 0);
    while let Some(page) = scan.next(100).await.unwrap() {
        unreadable += page.unreadable;
    }
    assert_eq!(unreadable, 3 * index.calls.load(Ordering::Relaxed) as u64);
}

#[tokio::test(start_paused = true)]
async fn a_scan_that_failed_goes_on_at_the_same_place() {
    let mut index = Fake::new(5_000, 2);
    index.failing = (0..200).filter(|number| number % 3 == 1).collect();
    let index = Arc::new(index);
    let (mut scan, mut all, mut failures) = (scan(&index, None), Vec::new(), 0);
    loop {
        match scan.next(1_000).await {
            Ok(Some(page)) => all.extend(page.references),
            Ok(None) => break,
            Err(_) => failures += 1,
        }
    }
    assert_eq!(all, index.expected());
    assert!(failures > 5, "{failures} failures");
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_pages_ends_at_its_limit_and_with_its_receiver() {
    let index = Arc::new(Fake::new(5_000, 1));
    let mut pages = scan(&index, None).pages(100, Some(250));
    let mut sizes = Vec::new();
    while let Some(page) = pages.recv().await {
        sizes.push(page.unwrap().references.len());
    }
    assert_eq!(sizes, [100, 100, 50]);

    let mut pages = scan(&index, None).pages(10, None);
    pages.recv().await.unwrap().unwrap();
    // Whoever takes no more pages has no more read than wait for it.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = index.calls.load(Ordering::Relaxed);
    drop(pages);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(index.calls.load(Ordering::Relaxed), before);
    assert_eq!(Arc::strong_count(&index), 1, "the task that reads is still there");
}

#[test]
fn a_cursor_of_another_day_or_status_is_refused() {
    let index: Arc<dyn IndexReader> = Arc::new(Fake::default());
    let cursor = DueCursor { day: day(), status: Status::Failed, after: "A#1".to_owned() };
    assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()));
    let scan = |day, status| DueScan::new(Arc::clone(&index), day, status, Some(cursor.clone()));
    assert!(scan(day(), Status::Failed).is_ok());
    for refused in [scan(day().days_before(1), Status::Failed), scan(day(), Status::Pending)] {
        assert!(matches!(refused, Err(CursorError::OtherQuery(_))), "{refused:?}");
    }
}

#[test]
fn nothing_is_given_out_before_every_partition_was_looked_through_up_to_it() {
    let entry = |key: &str| {
        let account = AccountId::parse(key).unwrap();
        let reference = PaymentRef { account, due: day(), id: PaymentId::generate() };
        Entry { key: key.to_owned(), reference }
    };
    let part = |keys: &[&str], frontier| ScannedPartition {
        number: 0,
        read: keys.iter().map(|key| entry(key)).collect(),
        frontier,
        page: FIRST_PAGE,
    };
    let at = |key: &str| Frontier::At(key.to_owned());
    let keys = |taken: Vec<Entry>| taken.into_iter().map(|entry| entry.key).collect::<Vec<_>>();
    let mut partitions = [part(&["a", "d"], Frontier::End), part(&["b"], at("c"))];
    assert_eq!(keys(merge(&mut partitions, 9)), ["a", "b"], "d may have something before it");
    partitions[1].keep(Found { last: Some("e".to_owned()), ..Found::default() }, DUE_PAGE);
    assert_eq!(keys(merge(&mut partitions, 9)), ["d"], "an empty page moves the frontier");
    let mut partitions = [part(&["a"], Frontier::End), part(&[], Frontier::Start)];
    assert_eq!(keys(merge(&mut partitions, 9)), [""; 0]);
}
