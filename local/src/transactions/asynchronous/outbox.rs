//! Which letter is tried when, and how often.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::Letter;
use crate::transactions::stable_hash::StableHash;

/// Attempts for one letter. With the pauses between them, a receiver may be out
/// of order for about two minutes; after that, asking finds the result.
pub(crate) const ATTEMPTS: u32 = 12;
/// Pause after the first attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Letters that wait, at about 500 bytes each. More are not sent: asking finds
/// their results, and so does a restart.
const LETTERS: usize = 100_000;

/// The letters that wait for their next attempt. Holds them while nobody is set
/// to receive them.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: BTreeMap<(Instant, u64), Parcel>,
    posted: u64,
}

/// A letter on its way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) letter: Letter,
    /// Attempts that failed.
    attempts: u32,
    number: u64,
}

/// What becomes of a letter after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    TriedAgain,
    GivenUp,
}

/// There are too many letters already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Parcel {
    /// Which of `urls` urls is next: letters take turns, and an attempt that
    /// failed is followed by one at the next url.
    pub(crate) fn turn(&self, urls: usize) -> usize {
        let turn = self.number.wrapping_add(u64::from(self.attempts));
        (turn % urls.max(1) as u64) as usize
    }

    /// The pause after the failed attempts, with up to its own length of
    /// jitter, which differs from letter to letter.
    fn pause(&self) -> Duration {
        let doublings = self.attempts.saturating_sub(1).min(16);
        let pause = (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
        let jitter = StableHash::new()
            .field(self.letter.transaction_id.as_bytes())
            .number(u64::from(self.attempts))
            .fraction();
        pause + pause.mul_f64(jitter)
    }
}

impl Outbox {
    /// Takes a new letter, to be tried at once.
    pub(crate) fn post(&mut self, letter: Letter, now: Instant) -> Result<(), Full> {
        if self.waiting.len() >= LETTERS {
            return Err(Full);
        }
        let number = self.posted;
        self.posted += 1;
        self.waiting.insert((now, number), Parcel { letter, attempts: 0, number });
        Ok(())
    }

    /// Takes out a letter that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Parcel> {
        let next = self.waiting.first_entry().filter(|next| next.key().0 <= now)?;
        Some(next.remove())
    }

    /// When the next letter is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes a letter back whose attempt failed, unless that was the last.
    pub(crate) fn failed(&mut self, mut parcel: Parcel, now: Instant) -> Fate {
        parcel.attempts += 1;
        if parcel.attempts >= ATTEMPTS {
            return Fate::GivenUp;
        }
        self.waiting.insert((now + parcel.pause(), parcel.number), parcel);
        Fate::TriedAgain
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn letter(number: u128) -> Letter {
        Letter { transaction_id: Uuid::from_u128(number), body: "{}".into() }
    }

    /// Lets a letter fail until it is given up, and tells the pauses.
    fn pauses(number: u128) -> Vec<Duration> {
        let (mut outbox, mut now) = (Outbox::default(), Instant::now());
        outbox.post(letter(number), now).unwrap();
        let mut pauses = Vec::new();
        loop {
            let parcel = outbox.pop_due(now).expect("due");
            assert_eq!(parcel.letter, letter(number));
            match outbox.failed(parcel, now) {
                Fate::GivenUp => return pauses,
                Fate::TriedAgain => {}
            }
            let due = outbox.next_due().unwrap();
            assert!(outbox.pop_due(due - Duration::from_nanos(1)).is_none());
            pauses.push(due - now);
            now = due;
        }
    }

    #[test]
    fn a_letter_is_given_up_after_twelve_attempts_over_two_to_four_minutes() {
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
    fn letters_that_failed_together_are_not_tried_again_together() {
        let mut first: Vec<_> = (0..100).map(|number| pauses(number)[0]).collect();
        first.sort_unstable();
        first.dedup();
        assert!(first.len() > 90, "{first:?}");
    }

    #[test]
    fn letters_take_turns_over_the_urls_and_go_to_the_next_one_on_failure() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        for number in 0..3 {
            outbox.post(letter(number), now).unwrap();
        }
        let turns: Vec<_> =
            std::iter::from_fn(|| outbox.pop_due(now)).map(|parcel| parcel.turn(2)).collect();
        assert_eq!(turns, [0, 1, 0]);

        outbox.post(letter(3), now).unwrap();
        let mut parcel = outbox.pop_due(now).unwrap();
        for turn in [1, 0, 1, 0] {
            assert_eq!(parcel.turn(2), turn);
            assert_eq!(outbox.failed(parcel, now), Fate::TriedAgain);
            parcel = outbox.pop_due(outbox.next_due().unwrap()).unwrap();
        }
    }

    #[test]
    fn a_failed_letter_does_not_hold_up_new_ones_and_their_number_is_bounded() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        outbox.post(letter(0), now).unwrap();
        let failed = outbox.pop_due(now).unwrap();
        outbox.failed(failed, now);
        for number in 1..LETTERS as u128 {
            outbox.post(letter(number), now).unwrap();
        }
        assert_eq!(outbox.post(letter(0), now), Err(Full));
        assert_eq!(outbox.pop_due(now).unwrap().letter, letter(1));
    }
}
