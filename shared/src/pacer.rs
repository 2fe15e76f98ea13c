//! Work at an even rate, over all workers together.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Gives out turns at an even pace. What was not used is not made up for later: a table that
/// was slow for a minute is not hit twice as hard in the next.
#[derive(Debug)]
pub struct Pacer {
    each: Duration,
    next: Mutex<Instant>,
}

impl Pacer {
    /// So many a second.
    pub fn new(rate: NonZeroU32) -> Self {
        let each = Duration::from_secs(1) / rate.get();
        Self { each, next: Mutex::new(Instant::now()) }
    }

    /// Waits for the turn of `count` payments.
    pub async fn turn(&self, count: usize) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + self.each * u32::try_from(count).unwrap_or(u32::MAX);
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_rate_moves_in_a_second_whoever_asks() {
        let pacer = Pacer::new(NonZeroU32::new(100).unwrap());
        let began = Instant::now();
        for _ in 0..8 {
            pacer.turn(25).await;
        }
        // The eighth turn begins when the seven before it have had their time.
        assert_eq!(began.elapsed().as_millis(), 1_750);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_made_up_for() {
        let pacer = Pacer::new(NonZeroU32::new(100).unwrap());
        pacer.turn(25).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let began = Instant::now();
        pacer.turn(100).await;
        pacer.turn(1).await;
        assert_eq!(began.elapsed().as_millis(), 1_000);
    }
}
