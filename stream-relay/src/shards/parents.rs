//! Which shards may be read now: pure.

use std::collections::HashSet;

use crate::shards::source::Shard;

/// The shards whose parents are all finished (or no longer listed: the stream has dropped
/// them) and that are not finished themselves, in the order listed.
pub(crate) fn readable<'a>(shards: &'a [Shard], finished: &HashSet<&str>) -> Vec<&'a Shard> {
    let listed: HashSet<&str> = shards.iter().map(|shard| shard.id.as_str()).collect();
    let done = |id: &str| finished.contains(id);
    let waits = |shard: &Shard| {
        shard.parents.iter().any(|parent| listed.contains(parent.as_str()) && !done(parent))
    };
    shards.iter().filter(|shard| !done(&shard.id) && !waits(shard)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str]) -> Shard {
        Shard { id: id.to_owned(), parents: parents.iter().map(|&id| id.to_owned()).collect() }
    }

    fn ids(shards: &[Shard], finished: &[&str]) -> Vec<String> {
        let finished = finished.iter().copied().collect();
        readable(shards, &finished).into_iter().map(|shard| shard.id.clone()).collect()
    }

    #[test]
    fn children_wait_for_their_parent() {
        let shards = [shard("a", &[]), shard("b", &["a"]), shard("c", &["a"])];
        assert_eq!(ids(&shards, &[]), ["a"]);
        assert_eq!(ids(&shards, &["a"]), ["b", "c"]);
        assert_eq!(ids(&shards, &["a", "b"]), ["c"]);
    }

    #[test]
    fn a_merged_shard_waits_for_all_its_parents() {
        let shards = [shard("a", &[]), shard("b", &[]), shard("c", &["a", "b"])];
        assert_eq!(ids(&shards, &["a"]), ["b"]);
        assert_eq!(ids(&shards, &["a", "b"]), ["c"]);
    }

    #[test]
    fn a_shard_whose_parent_the_stream_has_dropped_is_read() {
        assert_eq!(ids(&[shard("b", &["gone"])], &[]), ["b"]);
    }
}
