//! How often each operation was called on each queue.

use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Default)]
pub(crate) struct Calls(HashMap<String, BTreeMap<&'static str, u64>>);

impl Calls {
    pub(crate) fn count(&mut self, queue: &str, operation: &'static str) {
        if let Some(calls) = self.0.get_mut(queue) {
            *calls.entry(operation).or_default() += 1;
        } else {
            self.0.insert(queue.to_owned(), BTreeMap::from([(operation, 1)]));
        }
    }

    pub(crate) fn all(&self) -> BTreeMap<(String, &'static str), u64> {
        let per_queue = self.0.iter();
        per_queue
            .flat_map(|(queue, calls)| {
                let named = move |(operation, count): (&&'static str, &u64)| {
                    ((queue.clone(), *operation), *count)
                };
                calls.iter().map(named)
            })
            .collect()
    }
}
