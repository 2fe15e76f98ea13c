//! Lease assignment, which relay should read which shards: pure.
//!
//! Every relay reads the same table and works out the same shares. It takes only what
//! nobody holds, and gives up only what it holds itself, so no shard ever has two readers
//! because of sharing. Nothing is given up while something lies free, so that shards wait
//! for a reader one at a time and not all at once when the one that should take them is slow.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use domain::fnv1a;

/// A shard that may be read, and the relay that holds its lease, if one does and lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShardAssignment<'a> {
    pub(crate) shard: &'a str,
    pub(crate) holder: Option<&'a str>,
}

/// What one relay should do now.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct AssignmentChange<'a> {
    /// Free shards to take, in this order.
    pub(crate) take: Vec<&'a str>,
    /// A shard of its own to give up.
    pub(crate) give: Option<&'a str>,
}

/// The next step of the relay `own`, when `relays` are alive.
pub(crate) fn next_change<'a>(
    holdings: &[ShardAssignment<'a>],
    relays: &BTreeSet<&str>,
    own: &str,
) -> AssignmentChange<'a> {
    let held = |relay: &str| holdings.iter().filter(|h| h.holder == Some(relay)).count();
    let share = share(holdings.len(), relays, own, held);
    let mut free: Vec<_> =
        holdings.iter().filter(|h| h.holder.is_none()).map(|h| h.shard).collect();
    if free.is_empty() {
        let mine = holdings.iter().filter(|h| h.holder == Some(own)).map(|h| h.shard);
        return AssignmentChange { take: Vec::new(), give: mine.skip(share).last() };
    }
    // Each relay starts elsewhere, so that they seldom want the same one.
    let start = fnv1a(own.as_bytes()) % free.len() as u64;
    free.rotate_left(usize::try_from(start).unwrap_or_default());
    free.truncate(share.saturating_sub(held(own)));
    AssignmentChange { take: free, give: None }
}

/// How many of `shards` the relay `own` should read: all get the same number, and what is
/// left over goes to those that hold most already, so that it need not move.
fn share(shards: usize, relays: &BTreeSet<&str>, own: &str, held: impl Fn(&str) -> usize) -> usize {
    let mut ranked: Vec<&str> = relays.iter().copied().chain([own]).collect();
    ranked.sort_by_cached_key(|&relay| (Reverse(held(relay)), relay.to_owned()));
    ranked.dedup();
    let rank = ranked.iter().position(|&relay| relay == own).unwrap_or_default();
    shards / ranked.len() + usize::from(rank < shards % ranked.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAYS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
    const SHARDS: [&str; 12] =
        ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11"];

    /// One relay polls and acts; what it takes is still free, as the conditional write sees to.
    fn act<'a>(
        holdings: &mut [ShardAssignment<'a>],
        relays: &BTreeSet<&str>,
        own: &'a str,
    ) -> usize {
        let AssignmentChange { take, give } = next_change(holdings, relays, own);
        let mut moves = 0;
        for holding in holdings {
            if take.contains(&holding.shard) {
                assert_eq!(holding.holder, None, "a shard was taken from a living relay");
                holding.holder = Some(own);
                moves += 1;
            } else if give == Some(holding.shard) {
                assert_eq!(holding.holder, Some(own));
                holding.holder = None;
                moves += 1;
            }
        }
        moves
    }

    #[test]
    fn from_any_state_the_shards_settle_into_fair_shares_and_then_nothing_moves() {
        for seed in 0..5_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let relays: BTreeSet<_> = RELAYS[..random.usize(1..=7)].iter().copied().collect();
            // A relay may be leaving: it holds leases and is not among those that share.
            let mut holdings: Vec<_> = SHARDS[..random.usize(0..=12)]
                .iter()
                .map(|shard| ShardAssignment { shard, holder: random.choice(&RELAYS).copied() })
                .filter(|holding| holding.holder.is_none_or(|holder| relays.contains(holder)))
                .collect();
            for holding in &mut holdings {
                if random.bool() {
                    holding.holder = None;
                }
            }
            let mut order: Vec<_> = relays.iter().copied().collect();
            let mut rounds = 0;
            loop {
                random.shuffle(&mut order);
                let moves: usize = order.iter().map(|own| act(&mut holdings, &relays, own)).sum();
                rounds += 1;
                if moves == 0 {
                    break;
                }
                assert!(rounds < 30, "seed {seed} does not converge: {holdings:?}");
            }
            let held = |relay: &&str| holdings.iter().filter(|h| h.holder == Some(relay)).count();
            let counts: Vec<_> = relays.iter().map(held).collect();
            let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
            assert!(most - least <= 1, "seed {seed}: {counts:?}");
            assert_eq!(counts.iter().sum::<usize>(), holdings.len(), "seed {seed}: one lies free");
        }
    }

    #[test]
    fn a_relay_that_sees_an_old_state_takes_nothing_that_it_should_give_back() {
        // Two relays poll at the same time, then both act: the conditional write lets one
        // have each shard, and the shares are such that no one has to give back.
        let relays: BTreeSet<_> = ["a", "b", "c"].into();
        let holdings: Vec<_> =
            SHARDS[..9].iter().map(|shard| ShardAssignment { shard, holder: None }).collect();
        for own in &relays {
            assert_eq!(next_change(&holdings, &relays, own).take.len(), 3);
        }
    }

    #[test]
    fn the_relay_with_most_gives_up_one_when_another_comes() {
        let relays: BTreeSet<_> = ["a", "b"].into();
        let holdings: Vec<_> =
            SHARDS[..4].iter().map(|shard| ShardAssignment { shard, holder: Some("a") }).collect();
        assert_eq!(
            next_change(&holdings, &relays, "a"),
            AssignmentChange { take: vec![], give: Some("s3") }
        );
        assert_eq!(next_change(&holdings, &relays, "b"), AssignmentChange::default());
    }

    #[test]
    fn a_relay_alone_takes_everything_at_once() {
        let holdings: Vec<_> =
            SHARDS.iter().map(|shard| ShardAssignment { shard, holder: None }).collect();
        assert_eq!(next_change(&holdings, &BTreeSet::new(), "a").take.len(), SHARDS.len());
    }
}
