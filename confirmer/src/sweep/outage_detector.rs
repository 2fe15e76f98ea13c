//! Whether the transaction service is down, or only some payments have no answer: pure.

use std::collections::HashSet;

use domain::PaymentId;

/// Questions without an answer, one after the other, after which a sweep ends: the service is
/// down, and asking it for a million payments helps nobody.
const UNANSWERED: usize = 40;

/// Most payments that are remembered. While the service is down, each sweep asks for
/// [`UNANSWERED`] more than the one before, up to about this many.
const REMEMBERED: usize = 1_000;

/// Counts questions without an answer. A payment that had none in the sweep before does not
/// count: the service may be unable to answer for it, and however many such payments come
/// first, each sweep gets further than the one before.
#[derive(Debug, Default)]
pub(super) struct OutageDetector {
    before: HashSet<PaymentId>,
    now: HashSet<PaymentId>,
    in_a_row: usize,
}

impl OutageDetector {
    /// A sweep begins.
    pub(super) fn begin(&mut self) {
        self.before = std::mem::take(&mut self.now);
        self.in_a_row = 0;
    }

    /// There was an answer.
    pub(super) fn answered(&mut self) {
        self.in_a_row = 0;
    }

    /// There was none for this payment.
    pub(super) fn unanswered(&mut self, payment: PaymentId) {
        if !self.before.contains(&payment) {
            self.in_a_row += 1;
        }
        if self.now.len() < REMEMBERED {
            self.now.insert(payment);
        }
    }

    /// Whether more payments had no answer than can be remembered: those that come behind them
    /// would never be reached from the beginning.
    pub(super) fn is_full(&self) -> bool {
        self.now.len() >= REMEMBERED
    }

    /// Whether the service counts as down: the sweep ends.
    pub(super) fn is_outage(&self) -> bool {
        self.in_a_row >= UNANSWERED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_gets_further_than_the_one_before_and_no_longer_than_the_bound() {
        let payments: Vec<_> = (0..5_000).map(|_| PaymentId::generate()).collect();
        let mut outages = OutageDetector::default();
        let mut asked = Vec::new();
        for _ in 0..40 {
            outages.begin();
            let until_end = payments.iter().take_while(|payment| {
                let goes_on = !outages.is_outage();
                if goes_on {
                    outages.unanswered(**payment);
                }
                goes_on
            });
            asked.push(until_end.count());
        }
        assert_eq!(asked[..3], [UNANSWERED, 2 * UNANSWERED, 3 * UNANSWERED]);
        assert_eq!(asked.last(), Some(&(REMEMBERED + UNANSWERED)));
    }

    #[test]
    fn an_answer_ends_the_outage() {
        let mut outages = OutageDetector::default();
        for _ in 0..10 {
            (1..UNANSWERED).for_each(|_| outages.unanswered(PaymentId::generate()));
            assert!(!outages.is_outage());
            outages.answered();
        }
    }
}
