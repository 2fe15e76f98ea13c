use super::*;

const BOUNDS: ConcurrencyBounds = ConcurrencyBounds { least: 16, most: 256 };
/// What every call takes: a service that does not queue.
const LATENCY: Duration = Duration::from_millis(20);

/// A limit that is always reached, before a service that answers every call after [`LATENCY`].
struct Calls {
    limit: ConcurrencyLimit,
    now: Instant,
}

impl Calls {
    fn start() -> Self {
        let now = Instant::now();
        Self { limit: ConcurrencyLimit::new(BOUNDS, now + Duration::from_secs(3_600), now), now }
    }

    /// Ends one window: of its 20 calls the first so many fail.
    fn window(&mut self, failed: usize) {
        self.limit.reached();
        for number in 0..20 {
            let (health, began) =
                (if number < failed { CallHealth::Failed } else { CallHealth::Settled }, self.now);
            // The last one closes the window.
            self.now += if number < 19 { Duration::ZERO } else { WINDOW + LATENCY };
            self.limit.ended(health, began, self.now);
        }
    }

    /// A limit that has found its place.
    fn settled_at_the_most() -> Self {
        let mut calls = Self::start();
        (0..10).for_each(|_| calls.window(0));
        assert_eq!(calls.limit.get(), BOUNDS.most);
        calls
    }
}

#[test]
fn a_service_that_fails_more_than_a_tenth_of_the_calls_is_given_fewer() {
    let mut calls = Calls::settled_at_the_most();
    calls.window(2);
    assert_eq!(calls.limit.get(), BOUNDS.most, "a tenth is no overload");
    calls.window(3);
    assert_eq!(calls.limit.get(), 217);
    (0..100).for_each(|_| calls.window(3));
    assert_eq!(calls.limit.get(), BOUNDS.least);
}

#[test]
fn failures_among_few_answers_say_nothing() {
    let mut calls = Calls::settled_at_the_most();
    let began = calls.now;
    for _ in 0..WINDOW_ANSWERS - 1 {
        calls.now += LONGEST_WINDOW;
        calls.limit.ended(CallHealth::Failed, began + LATENCY, calls.now);
    }
    assert_eq!(calls.limit.get(), BOUNDS.most);
}

#[test]
fn after_an_outage_the_limit_doubles_from_the_least_up_to_what_was_good() {
    let mut calls = Calls::settled_at_the_most();
    calls.limit.restart(calls.now);
    let mut limits = vec![calls.limit.get()];
    for _ in 0..5 {
        calls.window(0);
        limits.push(calls.limit.get());
    }
    assert_eq!(limits, [16, 32, 64, 128, 256, 256]);
}

#[test]
fn periods_begin_at_the_same_time_of_day_everywhere() {
    let now = Instant::now();
    for (seconds, left) in [(0, 20), (1, 19), (19, 1), (20, 20), (86_399, 1)] {
        let time = Timestamp::from_second(seconds).unwrap();
        assert_eq!(next_period(time, now), now + Duration::from_secs(left), "{seconds}");
    }
}
