//! All payments of one day in one status, in the order of account and payment id, page by
//! page, in constant memory, from any place on.
//!
//! Each partition of the index is sorted, and all of them are read side by side. How far a
//! partition was looked through is its frontier, also where nothing was in the status: what
//! lies up to the least frontier is complete and is given out. So one place in the order says
//! where all partitions stand, and is the cursor, whatever the number of partitions.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::cursor::{self, CursorError};
use super::due_query::DUE_PAGE;
use super::error::PaymentsError;
use domain::{DueDate, PaymentRef, Status};

/// Entries that the first page of a partition looks at, so that the first payments are there
/// at once; each later page looks at twice as many, up to the most.
const FIRST_PAGE: u16 = 64;

/// Entries in memory that are read and not given out, in all partitions together: about 300
/// bytes each.
const READ_AHEAD: u16 = 16_000;

/// Pages that wait between the task that reads and whoever takes them.
const WAITING_PAGES: usize = 2;

/// Name of the query in its cursors.
const KIND: &str = "due";

/// Where a page of a day's payments starts. `Display` and `FromStr` turn it into a text and
/// back; the text is opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCursor {
    day: DueDate,
    status: Status,
    /// Sort key of the index, behind which it goes on in every partition.
    after: String,
}

impl fmt::Display for DueCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&cursor::seal(
            KIND,
            &[&self.day.to_string(), self.status.as_str(), &self.after],
        ))
    }
}

impl FromStr for DueCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let [day, status, after] = cursor::open(KIND, text)?;
        let day = day.parse().map_err(|_| CursorError::Unreadable)?;
        let status = status.parse().map_err(|_| CursorError::Unreadable)?;
        Ok(Self { day, status, after })
    }
}

/// One page of a day's payments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePage {
    /// In the order of account and payment id.
    pub references: Vec<PaymentRef>,
    /// Entries of the index that were met since the last page and are no payments'.
    pub unreadable: u64,
    /// Where the next page starts; `None` when nothing follows.
    pub next: Option<DueCursor>,
}

/// What one call found in a partition, in the order of the index's sort key.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) unreadable: u64,
    /// Sort key of what was looked at last; `None` at the partition's end.
    pub(super) last: Option<String>,
}

/// A payment of the index.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Sort key of the index.
    pub(super) key: String,
    pub(super) reference: PaymentRef,
}

/// The index, partition by partition.
#[async_trait]
pub(super) trait IndexReader: fmt::Debug + Send + Sync {
    fn partitions(&self) -> Range<u16>;

    /// What lies behind the sort key `after`, of at most `most` entries looked at.
    async fn look(
        &self,
        day: DueDate,
        partition: u16,
        status: Status,
        after: Option<String>,
        most: u16,
    ) -> Result<Found, PaymentsError>;
}

/// Reads the payments of one day that are in one status. The index follows the table, so a
/// payment may have moved on since, and one that was inserted in the last second be missing.
#[derive(Debug)]
pub struct DueScan {
    index: Arc<dyn IndexReader>,
    day: DueDate,
    status: Status,
    partitions: Vec<ScannedPartition>,
    unreadable: u64,
    most: u16,
}

/// One partition of the day.
#[derive(Debug)]
struct ScannedPartition {
    number: u16,
    /// Read and not given out.
    read: VecDeque<Entry>,
    frontier: Frontier,
    /// Entries that its next page looks at.
    page: u16,
}

/// How far a partition was looked through. The order is that of the index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Frontier {
    /// Nothing of it.
    Start,
    /// Up to this sort key, which is included.
    At(String),
    /// All of it.
    End,
}

impl DueScan {
    pub(super) fn new(
        index: Arc<dyn IndexReader>,
        day: DueDate,
        status: Status,
        after: Option<DueCursor>,
    ) -> Result<Self, CursorError> {
        if let Some(cursor) = after.as_ref().filter(|c| (c.day, c.status) != (day, status)) {
            let DueCursor { day, status, .. } = cursor;
            return Err(CursorError::OtherQuery(format!("{status} on {day}")));
        }
        let frontier = after.map_or(Frontier::Start, |cursor| Frontier::At(cursor.after));
        let partitions = index.partitions();
        let most = (READ_AHEAD / u16::max(1, partitions.end)).clamp(FIRST_PAGE, DUE_PAGE);
        let partition = |number| ScannedPartition {
            number,
            read: VecDeque::new(),
            frontier: frontier.clone(),
            page: FIRST_PAGE,
        };
        let partitions = partitions.map(partition).collect();
        Ok(Self { index, day, status, partitions, unreadable: 0, most })
    }

    /// The next payments, at least one and at most `most`; `None` after the last.
    ///
    /// After an error, and when the call is abandoned, the next call goes on at the same
    /// place.
    ///
    /// # Errors
    /// [`PaymentsError`] when a call fails.
    pub async fn next(&mut self, most: usize) -> Result<Option<DuePage>, PaymentsError> {
        loop {
            let taken = merge(&mut self.partitions, most.max(1));
            if let Some(last) = taken.last() {
                let ended = self.partitions.iter().all(ScannedPartition::has_ended);
                let (day, status) = (self.day, self.status);
                let next = (!ended).then(|| DueCursor { day, status, after: last.key.clone() });
                let references = taken.into_iter().map(|entry| entry.reference).collect();
                let unreadable = std::mem::take(&mut self.unreadable);
                return Ok(Some(DuePage { references, unreadable, next }));
            }
            if self.partitions.iter().all(ScannedPartition::has_ended) {
                let unreadable = std::mem::take(&mut self.unreadable);
                let page = DuePage { references: Vec::new(), unreadable, next: None };
                // What is no payment is told even if no payment comes with it.
                return Ok((unreadable > 0).then_some(page));
            }
            self.read_on().await?;
        }
    }

    /// The same as a stream: pages of at most `page` payments, `limit` payments in all. A task
    /// reads ahead by a few pages and ends when the receiver is dropped. An error ends it.
    #[must_use]
    pub fn pages(
        mut self,
        page: usize,
        limit: Option<u64>,
    ) -> mpsc::Receiver<Result<DuePage, PaymentsError>> {
        let (pages, reading) = mpsc::channel(WAITING_PAGES);
        tokio::spawn(async move {
            let mut left = limit.unwrap_or(u64::MAX);
            while left > 0 {
                let most = usize::try_from(left).map_or(page, |left| left.min(page));
                let Some(next) = self.next(most).await.transpose() else { return };
                let ends = next.is_err();
                if let Ok(page) = &next {
                    left = left.saturating_sub(page.references.len() as u64);
                }
                if pages.send(next).await.is_err() || ends {
                    return;
                }
            }
        });
        reading
    }

    /// Reads a page of each partition that holds little, all at the same time. The one with
    /// the least frontier is always among them. What was read is kept when another call fails.
    async fn read_on(&mut self) -> Result<(), PaymentsError> {
        let mut reading = JoinSet::new();
        for (place, partition) in self.partitions.iter().enumerate() {
            let after = match &partition.frontier {
                _ if partition.read.len() >= usize::from(partition.page) => continue,
                Frontier::End => continue,
                Frontier::Start => None,
                Frontier::At(key) => Some(key.clone()),
            };
            let (number, most) = (partition.number, partition.page);
            let (index, day, status) = (Arc::clone(&self.index), self.day, self.status);
            reading
                .spawn(async move { (place, index.look(day, number, status, after, most).await) });
        }
        let mut all = Ok(());
        while let Some(ended) = reading.join_next().await {
            match ended {
                Ok((place, Ok(found))) => {
                    self.unreadable += found.unreadable;
                    self.partitions[place].keep(found, self.most);
                }
                Ok((_, Err(error))) => all = Err(error),
                Err(panicked) => all = Err(PaymentsError::DueTask(panicked)),
            }
        }
        all
    }
}

impl ScannedPartition {
    fn keep(&mut self, found: Found, most: u16) {
        self.read.extend(found.entries);
        self.frontier = found.last.map_or(Frontier::End, Frontier::At);
        self.page = self.page.saturating_mul(2).min(most);
    }

    fn has_ended(&self) -> bool {
        self.read.is_empty() && self.frontier == Frontier::End
    }

    fn head(&self) -> Option<&str> {
        self.read.front().map(|entry| entry.key.as_str())
    }
}

/// Takes what comes next in the whole day, up to the least frontier and at most `most`: pure.
fn merge(partitions: &mut [ScannedPartition], most: usize) -> Vec<Entry> {
    let Some(known) = partitions.iter().map(|partition| partition.frontier.clone()).min() else {
        return Vec::new();
    };
    let mut taken = Vec::new();
    while taken.len() < most {
        let holding = partitions.iter_mut().filter(|partition| partition.head().is_some());
        let Some(least) = holding.min_by(|one, other| one.head().cmp(&other.head())) else { break };
        let is_known = match (&known, least.head()) {
            (Frontier::End, _) => true,
            (Frontier::At(known), Some(head)) => head <= known.as_str(),
            (Frontier::At(_), None) | (Frontier::Start, _) => false,
        };
        if !is_known {
            break;
        }
        taken.extend(least.read.pop_front());
    }
    taken
}

#[cfg(test)]
#[path = "due_scan_tests.rs"]
mod tests;
