//! Which event is tried when, and how often.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::stable_hash::StableHash;
use super::webhook_event::WebhookEvent;

/// Attempts for one event. With the pauses between them, a receiver may be out
/// of order for about two minutes; after that, asking finds the result.
pub(crate) const ATTEMPTS: u32 = 12;
/// Pause after the first attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Events that wait, at about 500 bytes each. More are not sent: asking finds
/// their results, and so does a restart.
const CAPACITY: usize = 100_000;

/// The events that wait for their next attempt. Holds them while nobody is set
/// to receive them.
#[derive(Debug, Default)]
pub(crate) struct DeliveryQueue {
    waiting: BTreeMap<(Instant, u64), CallbackDelivery>,
    pushed: u64,
}

/// An event on its way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CallbackDelivery {
    pub(crate) event: WebhookEvent,
    /// Attempts that failed.
    attempts: u32,
    number: u64,
}

/// What happens to an event after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    Retry,
    GiveUp,
}

/// There are too many events already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

impl CallbackDelivery {
    /// Which of `urls` urls is next: events take turns, and an attempt that
    /// failed is followed by one at the next url.
    pub(crate) fn url_index(&self, urls: usize) -> usize {
        let turn = self.number.wrapping_add(u64::from(self.attempts));
        (turn % urls.max(1) as u64) as usize
    }

    /// The pause after the failed attempts, with up to its own length of
    /// jitter, which differs from event to event.
    fn pause(&self) -> Duration {
        let doublings = self.attempts.saturating_sub(1).min(16);
        let pause = (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
        let jitter = StableHash::new()
            .field(self.event.transaction_id.as_bytes())
            .number(u64::from(self.attempts))
            .fraction();
        pause + pause.mul_f64(jitter)
    }
}

impl DeliveryQueue {
    /// Takes a new event, to be tried at once.
    pub(crate) fn push(&mut self, event: WebhookEvent, now: Instant) -> Result<(), QueueFull> {
        if self.waiting.len() >= CAPACITY {
            return Err(QueueFull);
        }
        let number = self.pushed;
        self.pushed += 1;
        self.waiting.insert((now, number), CallbackDelivery { event, attempts: 0, number });
        Ok(())
    }

    /// Takes out an event that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<CallbackDelivery> {
        let next = self.waiting.first_entry().filter(|next| next.key().0 <= now)?;
        Some(next.remove())
    }

    /// When the next event is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes an event back whose attempt failed, unless that was the last.
    pub(crate) fn failed(&mut self, mut delivery: CallbackDelivery, now: Instant) -> AfterFailure {
        delivery.attempts += 1;
        if delivery.attempts >= ATTEMPTS {
            return AfterFailure::GiveUp;
        }
        self.waiting.insert((now + delivery.pause(), delivery.number), delivery);
        AfterFailure::Retry
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn event(number: u128) -> WebhookEvent {
        WebhookEvent { transaction_id: Uuid::from_u128(number), body: "{}".into() }
    }

    /// Lets an event fail until it is given up, and tells the pauses.
    fn pauses(number: u128) -> Vec<Duration> {
        let (mut queue, mut now) = (DeliveryQueue::default(), Instant::now());
        queue.push(event(number), now).unwrap();
        let mut pauses = Vec::new();
        loop {
            let delivery = queue.pop_due(now).expect("due");
            assert_eq!(delivery.event, event(number));
            match queue.failed(delivery, now) {
                AfterFailure::GiveUp => return pauses,
                AfterFailure::Retry => {}
            }
            let due = queue.next_due().unwrap();
            assert!(queue.pop_due(due - Duration::from_nanos(1)).is_none());
            pauses.push(due - now);
            now = due;
        }
    }

    #[test]
    fn an_event_is_given_up_after_twelve_attempts_over_two_to_four_minutes() {
        for number in 0..100 {
            let pauses = pauses(number);
            assert_eq!(pauses.len(), 11);
            let all: Duration = pauses.iter().sum();
            assert!((110..=225).contains(&all.as_secs()), "{all:?}");
            for (n, pause) in pauses.iter().enumerate() {
                let least = (FIRST_PAUSE * (1 << n)).min(LONGEST_PAUSE);
                assert!((least..=least * 2).contains(pause), "{n}: {pause:?}");
            }
        }
    }

    #[test]
    fn events_that_failed_together_are_not_tried_again_together() {
        let mut first: Vec<_> = (0..100).map(|number| pauses(number)[0]).collect();
        first.sort_unstable();
        first.dedup();
        assert!(first.len() > 90, "{first:?}");
    }

    #[test]
    fn events_take_turns_over_the_urls_and_go_to_the_next_one_on_failure() {
        let (mut queue, now) = (DeliveryQueue::default(), Instant::now());
        for number in 0..3 {
            queue.push(event(number), now).unwrap();
        }
        let turns: Vec<_> = std::iter::from_fn(|| queue.pop_due(now))
            .map(|delivery| delivery.url_index(2))
            .collect();
        assert_eq!(turns, [0, 1, 0]);

        queue.push(event(3), now).unwrap();
        let mut delivery = queue.pop_due(now).unwrap();
        for turn in [1, 0, 1, 0] {
            assert_eq!(delivery.url_index(2), turn);
            assert_eq!(queue.failed(delivery, now), AfterFailure::Retry);
            delivery = queue.pop_due(queue.next_due().unwrap()).unwrap();
        }
    }

    #[test]
    fn a_failed_event_does_not_hold_up_new_ones_and_their_number_is_bounded() {
        let (mut queue, now) = (DeliveryQueue::default(), Instant::now());
        queue.push(event(0), now).unwrap();
        let failed = queue.pop_due(now).unwrap();
        queue.failed(failed, now);
        for number in 1..CAPACITY as u128 {
            queue.push(event(number), now).unwrap();
        }
        assert_eq!(queue.push(event(0), now), Err(QueueFull));
        assert_eq!(queue.pop_due(now).unwrap().event, event(1));
    }
}
