//! All that an engine keeps, told anew: what is left of every change so far.

use super::Engine;
use super::changes::{Change, FirstRecord, MessageRecord, QueueRecord};
use super::deduplication::{DeduplicationKey, First};

impl Engine {
    /// Notes changes from now on, for [`Engine::take_changes`].
    pub(crate) fn keep_changes(&mut self) {
        self.notes.begin();
    }

    /// The changes since this was last asked.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        self.notes.take()
    }

    /// Tells all of it: whoever recalls this has this engine, but for receive attempts and move
    /// tasks.
    pub(crate) fn retell(&self) -> impl Iterator<Item = Change> {
        let (sequence, queue) = self.ids.latest();
        let numbered = std::iter::once(Change::Numbered { sequence, queue });
        let deleted = self.deleted.iter();
        let deleted =
            deleted.map(|(queue, at)| Change::Deleted { queue: queue.to_string(), at: *at });
        let queues = self.queues.values().flat_map(|queue| {
            let name = || queue.name.to_string();
            let created = Change::Created(QueueRecord::of(queue));
            let window = queue.window.iter();
            let remembered = window.map(move |(until, key, first)| {
                let DeduplicationKey { group, id: deduplication_id } = key;
                let First { id, sequence } = first;
                let first = FirstRecord {
                    group: group.as_deref().map(str::to_owned),
                    deduplication_id: deduplication_id.to_string(),
                    id,
                    sequence,
                    until,
                };
                Change::Remembered { queue: name(), first }
            });
            let kept = queue.held().map(move |(place, held)| {
                let message = MessageRecord::of_held(held, place);
                Change::Kept { queue: name(), message }
            });
            std::iter::once(created).chain(remembered).chain(kept)
        });
        numbered.chain(deleted).chain(queues)
    }
}
