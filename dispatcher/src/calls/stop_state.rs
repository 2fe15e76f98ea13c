//! Whether dispatching goes on, as one dispatcher knows it: pure, apart from its monotonic
//! clock. A reading of the stored stop counts for a while from its beginning; a dispatcher
//! that has none that counts lets nothing out. So a process that stood still, or that cannot
//! reach the table, does not go on after a stop that it has not heard of.

use std::time::Duration;

use shared::dispatch_stop::{
    DispatchStop, ObservedAnswer, RefusalTracker, StopCause, StopLimits, StopTrigger,
};
use tokio::time::Instant;

/// Whether dispatching is stopped, as far as is known here.
#[derive(Debug)]
pub(crate) struct StopState {
    refusals: RefusalTracker,
    validity: Duration,
    /// When the last reading began.
    read_at: Option<Instant>,
    phase: StopPhase,
}

#[derive(Debug)]
enum StopPhase {
    /// No stop is known of.
    Dispatching,
    /// The answers called for a stop, which is not stored yet.
    Tripped(StopTrigger),
    /// This stop stands.
    Stopped(DispatchStop),
}

/// What a reading, or the storing of a stop, has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopChange {
    /// Nothing.
    None,
    /// Another dispatcher, or an operator, has stopped dispatching.
    Stopped(DispatchStop),
    /// The stop that this dispatcher called for is stored, or another one that came first.
    Stored(DispatchStop),
    /// An operator has removed this stop.
    Resumed(DispatchStop),
}

impl StopState {
    /// Nothing is known yet, so nothing is allowed.
    pub(crate) fn new(limits: StopLimits, validity: Duration) -> Self {
        Self {
            refusals: RefusalTracker::new(limits),
            validity,
            read_at: None,
            phase: StopPhase::Dispatching,
        }
    }

    /// Whether a call may go out.
    pub(crate) fn allows(&self, now: Instant) -> bool {
        let counts = |at: Instant| now.saturating_duration_since(at) < self.validity;
        !self.is_stopped() && self.read_at.is_some_and(counts)
    }

    /// Whether a stop stands, or is to be stored.
    pub(crate) fn is_stopped(&self) -> bool {
        match self.phase {
            StopPhase::Dispatching => false,
            StopPhase::Tripped(_) | StopPhase::Stopped(_) => true,
        }
    }

    /// Whether refusals are not to be believed, because there were too many.
    pub(crate) fn distrusts(&self) -> bool {
        match &self.phase {
            StopPhase::Dispatching => false,
            StopPhase::Tripped(_) => true,
            StopPhase::Stopped(stop) => match stop.cause {
                StopCause::Rejected | StopCause::OutOfContract => true,
                StopCause::ByHand => false,
            },
        }
    }

    /// The stop that is to be stored.
    pub(crate) fn tripped(&self) -> Option<&StopTrigger> {
        match &self.phase {
            StopPhase::Tripped(trip) => Some(trip),
            StopPhase::Dispatching | StopPhase::Stopped(_) => None,
        }
    }

    /// Notes an answer; a trip if dispatching stops because of it. On a trial after a stop, one
    /// answer out of the contract is enough.
    pub(crate) fn note(&mut self, answer: ObservedAnswer<'_>, to: AnswerTo) -> Option<StopTrigger> {
        if self.is_stopped() {
            return None;
        }
        let trip = match (self.refusals.note(answer), answer, to) {
            (Some(trip), _, _) => trip,
            (None, ObservedAnswer::OutOfContract { words, .. }, AnswerTo::TrialAfterStop) => {
                StopTrigger {
                    cause: StopCause::OutOfContract,
                    reason: format!(
                        "the first answer after the stop was removed is out of the contract: {words}"
                    ),
                    count: 1,
                }
            }
            (None, _, _) => return None,
        };
        self.phase = StopPhase::Tripped(trip.clone());
        Some(trip)
    }

    /// Notes which stop stands, now that this dispatcher's own was to be stored.
    pub(crate) fn stored(&mut self, stop: DispatchStop) -> StopChange {
        match self.phase {
            StopPhase::Tripped(_) => {
                self.phase = StopPhase::Stopped(stop.clone());
                StopChange::Stored(stop)
            }
            StopPhase::Dispatching | StopPhase::Stopped(_) => StopChange::None,
        }
    }

    /// Notes what a reading has found that began at `at`. A stop of this dispatcher's own that
    /// is not stored yet stays, whatever was found.
    pub(crate) fn read(&mut self, found: Option<DispatchStop>, at: Instant) -> StopChange {
        self.read_at = self.read_at.max(Some(at));
        let (phase, change) = match (&self.phase, found) {
            (StopPhase::Tripped(_), _) | (StopPhase::Dispatching, None) => return StopChange::None,
            (StopPhase::Stopped(stop), Some(found)) if stop.id == found.id => {
                return StopChange::None;
            }
            (StopPhase::Stopped(stop), None) => {
                (StopPhase::Dispatching, StopChange::Resumed(stop.clone()))
            }
            (StopPhase::Dispatching | StopPhase::Stopped(_), Some(found)) => {
                (StopPhase::Stopped(found.clone()), StopChange::Stopped(found))
            }
        };
        self.phase = phase;
        self.refusals.forget();
        change
    }
}

/// Which call an answer is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerTo {
    /// One of many.
    RegularCall,
    /// The only one that is out, since a stop was removed.
    TrialAfterStop,
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

    fn dispatching(now: Instant) -> StopState {
        let mut state = StopState::new(LIMITS, VALIDITY);
        assert!(!state.allows(now), "nothing was read yet");
        assert_eq!(state.read(None, now), StopChange::None);
        assert!(state.allows(now));
        state
    }

    fn strange(state: &mut StopState, to: AnswerTo) -> Option<StopTrigger> {
        let account = AccountId::parse("ACC").unwrap();
        state.note(ObservedAnswer::OutOfContract { account: &account, words: "400" }, to)
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_counts_for_a_while_from_its_beginning() {
        let now = Instant::now();
        let mut state = dispatching(now);
        assert!(state.allows(now + VALIDITY - Duration::from_millis(1)));
        assert!(!state.allows(now + VALIDITY));
        state.read(None, now + VALIDITY);
        // One that began before and was answered late takes nothing back.
        state.read(None, now);
        assert!(state.allows(now + VALIDITY));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_that_is_not_stored_yet_is_not_removed_by_a_reading_that_knows_nothing_of_it() {
        let now = Instant::now();
        let mut state = dispatching(now);
        assert_eq!(strange(&mut state, AnswerTo::RegularCall), None);
        assert!(strange(&mut state, AnswerTo::RegularCall).is_some());
        assert_eq!(state.read(None, now), StopChange::None);
        assert!(state.is_stopped() && state.distrusts());
        let stored = stop(StopCause::OutOfContract);
        assert_eq!(state.stored(stored.clone()), StopChange::Stored(stored.clone()));
        assert_eq!(state.read(Some(stored.clone()), now), StopChange::None);
        assert_eq!(state.read(None, now), StopChange::Resumed(stored));
        assert!(state.allows(now));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_that_trip_at_once_the_second_holds_to_the_stop_of_the_first() {
        let now = Instant::now();
        let mut state = dispatching(now);
        while strange(&mut state, AnswerTo::RegularCall).is_none() {}
        let first = stop(StopCause::Rejected);
        assert_eq!(state.stored(first.clone()), StopChange::Stored(first.clone()));
        assert_eq!(state.read(None, now), StopChange::Resumed(first));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_stop_between_two_readings_still_stops() {
        let now = Instant::now();
        let mut state = dispatching(now);
        let (first, second) = (stop(StopCause::Rejected), stop(StopCause::ByHand));
        assert_eq!(state.read(Some(first.clone()), now), StopChange::Stopped(first));
        assert_eq!(state.read(Some(second.clone()), now), StopChange::Stopped(second));
        assert!(state.is_stopped() && !state.distrusts());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stop_the_first_strange_answer_stops_again_and_counts_begin_anew() {
        let now = Instant::now();
        let mut state = dispatching(now);
        assert_eq!(strange(&mut state, AnswerTo::RegularCall), None);
        state.read(Some(stop(StopCause::ByHand)), now);
        state.read(None, now);
        assert_eq!(strange(&mut state, AnswerTo::RegularCall), None, "what was before counted");
        assert!(strange(&mut state, AnswerTo::TrialAfterStop).is_some());
    }
}
