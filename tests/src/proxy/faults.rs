//! What can go wrong with a request, how often, and the draw.

use std::time::Duration;

use super::Service;
use crate::chance::{draw, fraction};

/// Shares of the requests, each from 0 to 1; together at most 1. The rest passes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Shares {
    /// Answered 500 or 503; not forwarded.
    pub unavailable: f64,
    /// Refused as too much, in the service's own form; not forwarded.
    pub throttled: f64,
    /// A part of a batch refused as too much and not forwarded; the rest is. A request that
    /// is no batch passes.
    pub partly: f64,
    /// Connection cut; not forwarded.
    pub cut_before: f64,
    /// Connection cut after the request was applied: the answer is lost.
    pub cut_after: f64,
    /// Half of the answer's body, then the connection is cut.
    pub half: f64,
    /// Forwarded late.
    pub late_request: f64,
    /// Forwarded at once, answered late.
    pub late_answer: f64,
}

impl Shares {
    /// The same share of each.
    #[must_use]
    pub const fn each(share: f64) -> Self {
        Self {
            unavailable: share,
            throttled: share,
            partly: share,
            cut_before: share,
            cut_after: share,
            half: share,
            late_request: share,
            late_answer: share,
        }
    }
}

/// The settings of a proxy. The default passes everything.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Faults {
    /// Makes the draws of one run differ from those of another.
    pub seed: u64,
    /// How often what goes wrong.
    pub shares: Shares,
    /// Longest time by which something is late. To be of use it exceeds the clients' limits.
    pub latest: Duration,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing: it passes.
    Passed,
    /// See [`Shares::unavailable`].
    Unavailable,
    /// See [`Shares::throttled`].
    Throttled,
    /// See [`Shares::partly`].
    Partly,
    /// See [`Shares::cut_before`].
    CutBefore,
    /// See [`Shares::cut_after`].
    CutAfter,
    /// See [`Shares::half`].
    Half,
    /// See [`Shares::late_request`].
    LateRequest,
    /// See [`Shares::late_answer`].
    LateAnswer,
}

impl Faults {
    /// What becomes of the `number`-th request to `service`.
    #[must_use]
    pub fn fault(&self, service: Service, number: u64) -> Fault {
        let shares = &self.shares;
        let mut left = fraction(&[self.seed, service as u64, number]);
        for (share, fault) in [
            (shares.unavailable, Fault::Unavailable),
            (shares.throttled, Fault::Throttled),
            (shares.partly, Fault::Partly),
            (shares.cut_before, Fault::CutBefore),
            (shares.cut_after, Fault::CutAfter),
            (shares.half, Fault::Half),
            (shares.late_request, Fault::LateRequest),
            (shares.late_answer, Fault::LateAnswer),
        ] {
            if left < share {
                return fault;
            }
            left -= share;
        }
        Fault::Passed
    }

    /// By how much the `number`-th request is late, if it is.
    pub(super) fn delay(&self, service: Service, number: u64) -> Duration {
        self.latest.mul_f64(fraction(&[self.seed, service as u64, number, 1]))
    }

    /// Whether the `number`-th request, where there is a choice of two, takes the second.
    pub(super) fn coin(&self, number: u64, of: u64) -> Coin {
        if draw(&[self.seed, number, of, 2]).is_multiple_of(2) { Coin::Heads } else { Coin::Tails }
    }
}

/// One of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coin {
    Heads,
    Tails,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_becomes_of_a_request_depends_on_seed_service_and_number_alone() {
        let faults = |seed| Faults { seed, shares: Shares::each(0.1), ..Faults::default() };
        let drawn = |seed, service| {
            (0..100).map(|number| faults(seed).fault(service, number)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1, Service::Sqs), drawn(1, Service::Sqs));
        assert_ne!(drawn(1, Service::Sqs), drawn(2, Service::Sqs));
        assert_ne!(drawn(1, Service::Sqs), drawn(1, Service::DynamoDb));
    }

    #[test]
    fn every_fault_comes_as_often_as_its_share_says() {
        let faults = Faults { seed: 3, shares: Shares::each(0.1), ..Faults::default() };
        let mut counted: BTreeMap<Fault, u32> = BTreeMap::new();
        for number in 0..10_000 {
            *counted.entry(faults.fault(Service::Sqs, number)).or_default() += 1;
        }
        assert_eq!(counted.len(), 9);
        let passed = counted.remove(&Fault::Passed).unwrap();
        assert!((1_800..2_200).contains(&passed), "{passed} passed");
        assert!(counted.values().all(|count| (900..1_100).contains(count)), "{counted:?}");
    }
}
