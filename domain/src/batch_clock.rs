//! The clock of a day's batch: from counts of its payments, how fast they end, when the last one
//! will have ended, and how much time is left then. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{DueDate, Status};

/// Farthest ahead that an end is forecast; so far too when nothing moves.
pub const FARTHEST_FORECAST: Duration = Duration::from_secs(24 * 3600);

/// Measurements that are kept: far more than a rate needs.
const KEPT: usize = 64;

/// How many payments are in each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCounts([u64; 5]);

impl StatusCounts {
    /// Every status, in the order of the counts.
    pub const STATUSES: [Status; 5] =
        [Status::Scheduled, Status::Pending, Status::Processed, Status::Failed, Status::Cancelled];

    /// Counts, in the order of [`Self::STATUSES`].
    #[must_use]
    pub const fn new(counts: [u64; 5]) -> Self {
        Self(counts)
    }

    /// Adds payments.
    pub fn add(&mut self, status: Status, payments: u64) {
        let count = &mut self.0[place(status)];
        *count = count.saturating_add(payments);
    }

    /// Adds all of another.
    pub fn add_all(&mut self, other: Self) {
        Self::STATUSES.into_iter().for_each(|status| self.add(status, other.of(status)));
    }

    /// How many are in `status`.
    #[must_use]
    pub const fn of(&self, status: Status) -> u64 {
        self.0[place(status)]
    }

    /// Payments that have not ended: SCHEDULED or PENDING.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.of(Status::Scheduled).saturating_add(self.of(Status::Pending))
    }

    /// All payments.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Payments that have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.all().saturating_sub(self.open())
    }
}

const fn place(status: Status) -> usize {
    match status {
        Status::Scheduled => 0,
        Status::Pending => 1,
        Status::Processed => 2,
        Status::Failed => 3,
        Status::Cancelled => 4,
    }
}

/// The payments of a day at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchMeasurement {
    /// On which day they are due.
    pub day: DueDate,
    /// When they were counted.
    pub at: Timestamp,
    /// How many there were.
    pub counts: StatusCounts,
}

/// What a batch is held to.
#[derive(Debug, Clone, Copy)]
pub struct BatchTerms {
    /// When the day was opened, or will be.
    pub opened_at: Timestamp,
    /// How long the batch may take from then on, or from the last insert if that is later.
    pub limit: Duration,
    /// Over how long the rate is measured.
    pub window: Duration,
}

/// What is known of a day's batch. What is not known is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchReading {
    /// The counts it is from.
    pub measured: BatchMeasurement,
    /// Payments that end in a second, over the last window. Unknown before two measurements of an
    /// open day have met open payments.
    pub rate: Option<f64>,
    /// The rate at which the deadline is met; 0 when nothing is open, unknown when it has passed.
    pub required_rate: Option<f64>,
    /// When the last payment ends, at most [`FARTHEST_FORECAST`] ahead; when it ended, if nothing
    /// is open.
    pub finish: Option<Timestamp>,
    /// When it should have ended. Unknown while there are no payments.
    pub deadline: Option<Timestamp>,
}

impl BatchReading {
    /// Seconds from the forecast to the deadline; negative when the deadline will be missed.
    #[must_use]
    pub fn reserve(&self) -> Option<f64> {
        Some(self.deadline?.duration_since(self.finish?).as_secs_f64())
    }
}

/// The measurements of one day so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchClock {
    /// The oldest first, each later than the one before.
    measured: Vec<BatchMeasurement>,
    /// When more payments were counted than before.
    grew_at: Option<Timestamp>,
    /// Since when nothing is open.
    ended_at: Option<Timestamp>,
}

impl BatchClock {
    /// Goes on where another process has left off, at its last measurement.
    #[must_use]
    pub fn resumed(last: BatchMeasurement, grew_at: Option<Timestamp>) -> Self {
        let ended_at = (last.counts.open() == 0).then_some(last.at);
        Self { measured: vec![last], grew_at, ended_at }
    }

    /// The last measurement.
    #[must_use]
    pub fn last(&self) -> Option<&BatchMeasurement> {
        self.measured.last()
    }

    /// When payments were last seen to have been inserted.
    #[must_use]
    pub fn grew_at(&self) -> Option<Timestamp> {
        self.grew_at
    }

    /// Takes a measurement in. One of another day begins anew; measurements that a clock has
    /// dated later than this one are forgotten.
    pub fn note(&mut self, new: BatchMeasurement) {
        if self.last().is_some_and(|last| last.day != new.day) {
            *self = Self::default();
        }
        let before = self.last().map_or(0, |last| last.counts.all());
        let grew = new.counts.all() > before;
        self.grew_at = if grew { Some(new.at) } else { self.grew_at.map(|at| at.min(new.at)) };
        let ended_before = self.ended_at.filter(|_| !grew);
        self.ended_at =
            (new.counts.open() == 0).then(|| ended_before.map_or(new.at, |at| at.min(new.at)));
        self.measured.retain(|before| before.at < new.at);
        self.measured.push(new);
        let surplus = self.measured.len().saturating_sub(KEPT);
        self.measured.drain(..surplus);
    }

    /// What the measurements say; `None` before the first.
    #[must_use]
    pub fn read(&self, terms: BatchTerms) -> Option<BatchReading> {
        let last = *self.last()?;
        let open = last.counts.open();
        let grew_at = self.grew_at.filter(|_| last.counts.all() > 0);
        let deadline = grew_at.map(|grew_at| later(grew_at.max(terms.opened_at), terms.limit));
        let rate = self.rate(terms);
        let finish = match (open, rate) {
            (0, _) => self.ended_at.filter(|_| last.counts.all() > 0),
            (_, None) => None,
            (_, Some(rate)) => {
                let farthest = FARTHEST_FORECAST.as_secs_f64();
                // A rate of 0 makes it infinite, and the farthest is the smaller one.
                let seconds = (open as f64 / rate).min(farthest);
                Some(later(last.at, Duration::from_secs_f64(seconds)))
            }
        };
        let left = deadline.map(|deadline| deadline.duration_since(last.at).as_secs_f64());
        let required_rate = match open {
            0 => Some(0.0),
            open => left.filter(|left| *left > 0.0).map(|left| open as f64 / left),
        };
        Some(BatchReading { measured: last, rate, required_rate, finish, deadline })
    }

    /// Payments that ended in a second since a measurement about a window ago. One that met
    /// nothing open says nothing of the time before the work began, and one from before the
    /// opening nothing at all.
    fn rate(&self, BatchTerms { opened_at, window, .. }: BatchTerms) -> Option<f64> {
        let (last, before) = self.measured.split_last()?;
        let age = |one: &BatchMeasurement| last.at.duration_since(one.at).as_secs_f64();
        let window = window.as_secs_f64();
        let usable = |one: &&BatchMeasurement| {
            one.at >= opened_at && age(one) <= 3.0 * window && age(one) > 0.0
        };
        let works = |one: &&BatchMeasurement| one.counts.open() > 0 || last.counts.open() == 0;
        let mut usable = before.iter().filter(usable).filter(works);
        let oldest = usable.clone().next()?;
        let from = usable.rfind(|one| age(one) >= 0.75 * window).unwrap_or(oldest);
        let ended = last.counts.ended().saturating_sub(from.counts.ended());
        Some(ended as f64 / age(from))
    }
}

fn later(than: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    than.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "batch_clock_tests.rs"]
mod tests;
