//! Which shards may be read now: pure.

use std::collections::{HashMap, HashSet};

/// A shard of a stream, as `DescribeStream` lists it. Whether it is closed is never taken
/// from there (an ending sequence number proves nothing): a shard is read to its end when
/// its next iterator is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
}

/// The shards whose parents are finished (or no longer listed: the stream has dropped them)
/// and that are not finished themselves, in the order listed.
pub(crate) fn readable<'a>(shards: &'a [Shard], finished: &HashSet<String>) -> Vec<&'a Shard> {
    let listed: HashMap<&str, &Shard> = shards.iter().map(|s| (s.id.as_str(), s)).collect();
    let waits = |shard: &Shard| {
        shard.parent.as_ref().is_some_and(|parent| {
            listed.contains_key(parent.as_str()) && !finished.contains(parent)
        })
    };
    shards.iter().filter(|shard| !finished.contains(&shard.id) && !waits(shard)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parent: Option<&str>) -> Shard {
        Shard { id: id.to_owned(), parent: parent.map(str::to_owned) }
    }

    fn ids(shards: &[Shard], finished: &[&str]) -> Vec<String> {
        let finished = finished.iter().map(|id| (*id).to_owned()).collect();
        readable(shards, &finished).into_iter().map(|shard| shard.id.clone()).collect()
    }

    #[test]
    fn children_wait_for_their_parent() {
        let shards = [shard("a", None), shard("b", Some("a")), shard("c", Some("a"))];
        assert_eq!(ids(&shards, &[]), ["a"]);
        assert_eq!(ids(&shards, &["a"]), ["b", "c"]);
        assert_eq!(ids(&shards, &["a", "b"]), ["c"]);
    }

    #[test]
    fn a_shard_whose_parent_the_stream_has_dropped_is_read() {
        assert_eq!(ids(&[shard("b", Some("gone"))], &[]), ["b"]);
    }
}
