//! Whether dispatching goes on, as one dispatcher knows it: pure, apart from its monotonic
//! clock. A reading of the stored stop counts for a while from its beginning; a dispatcher
//! that has none that counts lets nothing out. So a process that stood still, or that cannot
//! reach the table, does not go on after a stop that it has not heard of.

use std::time::Duration;

use shared::dispatch_stop::{
    DispatchStop, ObservedAnswer, RefusalTracker, StopCause, StopLimits, StopTrigger,
};
use tokio::time::Instant;

/// What is known.
#[derive(Debug)]
pub(crate) struct Standing {
    refusals: RefusalTracker,
    validity: Duration,
    /// When the last reading began.
    read_at: Option<Instant>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// No stop is known of.
    Going,
    /// The answers called for a stop, which is not stored yet.
    Tripped(StopTrigger),
    /// This stop stands.
    Stopped(DispatchStop),
}

/// What a reading, or the storing of a stop, has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// Another dispatcher, or an operator, has stopped dispatching.
    Stopped(DispatchStop),
    /// The stop that this dispatcher called for is stored, or another one that came first.
    Stored(DispatchStop),
    /// An operator has removed this stop.
    Resumed(DispatchStop),
}

impl Standing {
    /// Nothing is known yet, so nothing is allowed.
    pub(crate) fn new(limits: StopLimits, validity: Duration) -> Self {
        Self { refusals: RefusalTracker::new(limits), validity, read_at: None, state: State::Going }
    }

    /// Whether a call may go out.
    pub(crate) fn allows(&self, now: Instant) -> bool {
        let counts = |at: Instant| now.saturating_duration_since(at) < self.validity;
        !self.is_stopped() && self.read_at.is_some_and(counts)
    }

    /// Whether a stop stands, or is to be stored.
    pub(crate) fn is_stopped(&self) -> bool {
        match self.state {
            State::Going => false,
            State::Tripped(_) | State::Stopped(_) => true,
        }
    }

    /// Whether refusals are not to be believed, because there were too many.
    pub(crate) fn distrusts(&self) -> bool {
        match &self.state {
            State::Going => false,
            State::Tripped(_) => true,
            State::Stopped(stop) => match stop.cause {
                StopCause::Rejected | StopCause::OutOfContract => true,
                StopCause::ByHand => false,
            },
        }
    }

    /// The stop that is to be stored.
    pub(crate) fn tripped(&self) -> Option<&StopTrigger> {
        match &self.state {
            State::Tripped(trip) => Some(trip),
            State::Going | State::Stopped(_) => None,
        }
    }

    /// Notes an answer; a trip if dispatching stops because of it. On a trial after a stop, one
    /// answer out of the contract is enough.
    pub(crate) fn note(&mut self, answer: ObservedAnswer<'_>, trial: Trial) -> Option<StopTrigger> {
        if self.is_stopped() {
            return None;
        }
        let trip = match (self.refusals.note(answer), answer, trial) {
            (Some(trip), _, _) => trip,
            (None, ObservedAnswer::OutOfContract { words, .. }, Trial::AfterStop) => StopTrigger {
                cause: StopCause::OutOfContract,
                reason: format!(
                    "the first answer after the stop was removed is out of the contract: {words}"
                ),
                count: 1,
            },
            (None, _, _) => return None,
        };
        self.state = State::Tripped(trip.clone());
        Some(trip)
    }

    /// Notes which stop stands, now that this dispatcher's own was to be stored.
    pub(crate) fn placed(&mut self, stop: DispatchStop) -> Change {
        match self.state {
            State::Tripped(_) => {
                self.state = State::Stopped(stop.clone());
                Change::Stored(stop)
            }
            State::Going | State::Stopped(_) => Change::None,
        }
    }

    /// Notes what a reading has found that began at `at`. A stop of this dispatcher's own that
    /// is not stored yet stays, whatever was found.
    pub(crate) fn read(&mut self, found: Option<DispatchStop>, at: Instant) -> Change {
        self.read_at = self.read_at.max(Some(at));
        let change = match (&self.state, found) {
            (State::Tripped(_), _) | (State::Going, None) => return Change::None,
            (State::Stopped(stop), Some(found)) if stop.id == found.id => return Change::None,
            (State::Stopped(stop), None) => Change::Resumed(stop.clone()),
            (State::Going | State::Stopped(_), Some(found)) => Change::Stopped(found),
        };
        self.state = match &change {
            Change::Stopped(stop) | Change::Stored(stop) => State::Stopped(stop.clone()),
            Change::Resumed(_) | Change::None => State::Going,
        };
        self.refusals.forget();
        change
    }
}

/// Which call an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trial {
    /// One of many.
    No,
    /// The only one that is out, since a stop was removed.
    AfterStop,
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::AccountId;
    use jiff::Timestamp;

    const LIMITS: StopLimits =
        StopLimits { rejected_accounts: 3, out_of_contract: 2, share_percent: 50, window: 20 };
    const VALIDITY: Duration = Duration::from_secs(10);

    fn stop(cause: StopCause) -> DispatchStop {
        DispatchStop::new(cause, "x", "me", 1, Timestamp::UNIX_EPOCH)
    }

    fn going(now: Instant) -> Standing {
        let mut standing = Standing::new(LIMITS, VALIDITY);
        assert!(!standing.allows(now), "nothing was read yet");
        assert_eq!(standing.read(None, now), Change::None);
        assert!(standing.allows(now));
        standing
    }

    fn strange(standing: &mut Standing, trial: Trial) -> Option<StopTrigger> {
        let account = AccountId::parse("ACC").unwrap();
        standing.note(ObservedAnswer::OutOfContract { account: &account, words: "400" }, trial)
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_counts_for_a_while_from_its_beginning() {
        let now = Instant::now();
        let mut standing = going(now);
        assert!(standing.allows(now + VALIDITY - Duration::from_millis(1)));
        assert!(!standing.allows(now + VALIDITY));
        standing.read(None, now + VALIDITY);
        // One that began before and was answered late takes nothing back.
        standing.read(None, now);
        assert!(standing.allows(now + VALIDITY));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_that_is_not_stored_yet_is_not_removed_by_a_reading_that_knows_nothing_of_it() {
        let now = Instant::now();
        let mut standing = going(now);
        assert_eq!(strange(&mut standing, Trial::No), None);
        assert!(strange(&mut standing, Trial::No).is_some());
        assert_eq!(standing.read(None, now), Change::None);
        assert!(standing.is_stopped() && standing.distrusts());
        let stored = stop(StopCause::OutOfContract);
        assert_eq!(standing.placed(stored.clone()), Change::Stored(stored.clone()));
        assert_eq!(standing.read(Some(stored.clone()), now), Change::None);
        assert_eq!(standing.read(None, now), Change::Resumed(stored));
        assert!(standing.allows(now));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_that_trip_at_once_the_second_holds_to_the_stop_of_the_first() {
        let now = Instant::now();
        let mut standing = going(now);
        while strange(&mut standing, Trial::No).is_none() {}
        let first = stop(StopCause::Rejected);
        assert_eq!(standing.placed(first.clone()), Change::Stored(first.clone()));
        assert_eq!(standing.read(None, now), Change::Resumed(first));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_stop_between_two_readings_still_stops() {
        let now = Instant::now();
        let mut standing = going(now);
        let (first, second) = (stop(StopCause::Rejected), stop(StopCause::ByHand));
        assert_eq!(standing.read(Some(first.clone()), now), Change::Stopped(first));
        assert_eq!(standing.read(Some(second.clone()), now), Change::Stopped(second));
        assert!(standing.is_stopped() && !standing.distrusts());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stop_the_first_strange_answer_stops_again_and_counts_begin_anew() {
        let now = Instant::now();
        let mut standing = going(now);
        assert_eq!(strange(&mut standing, Trial::No), None);
        standing.read(Some(stop(StopCause::ByHand)), now);
        standing.read(None, now);
        assert_eq!(strange(&mut standing, Trial::No), None, "what was before counted");
        assert!(strange(&mut standing, Trial::AfterStop).is_some());
    }
}
