//! Draws that depend on nothing but their seed, so that a run can be repeated.

use std::ops::Range;
use std::time::Duration;

/// One draw: a number that looks like chance and depends on `parts` alone. The mixer is
/// that of `SplitMix64` (Steele, Lea and Flood, 2014).
#[must_use]
pub fn draw(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |state, part| {
        let mut mixed = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// One draw between 0 (included) and 1 (excluded).
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "53 bits fit into the mantissa")]
pub fn fraction(parts: &[u64]) -> f64 {
    (draw(parts) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A series of draws from one seed.
#[derive(Debug, Clone)]
pub struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    /// The series of `seed`; `stream` tells several of one seed apart.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { seed: draw(&[seed, stream]), drawn: 0 }
    }

    /// A number below `bound`, which is above zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        draw(&[self.seed, self.drawn]) % bound.max(1)
    }

    /// A duration of the range, in whole milliseconds.
    pub fn duration(&mut self, range: Range<Duration>) -> Duration {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let (from, to) = (millis(range.start), millis(range.end));
        Duration::from_millis(from + self.below(to.saturating_sub(from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_series_and_another_seed_another() {
        let series = |seed| {
            let mut chance = Chance::new(seed, 1);
            (0..20).map(|_| chance.below(1_000_000)).collect::<Vec<_>>()
        };
        assert_eq!(series(1), series(1));
        assert_ne!(series(1), series(2));
    }

    #[test]
    fn fractions_spread_evenly() {
        let below = (0..10_000).filter(|number| fraction(&[7, *number]) < 0.25).count();
        assert!((2_300..2_700).contains(&below), "{below} of 10,000 are below a quarter");
    }
}
