//! How far a shard, or a day, may be said to be done while some of what was read is still under
//! way: pure.

use std::collections::VecDeque;

use crate::leases::table::Position;

/// The position in a shard or a day. It stands before the first page of which something is still
/// open (a dead letter, a gap recovery), however far the reading has gone (INV-3).
#[derive(Debug)]
pub(crate) struct Progress {
    reached: Position,
    held: VecDeque<PageInProgress>,
}

#[derive(Debug)]
struct PageInProgress {
    page: u64,
    before: Position,
    open: usize,
}

impl Progress {
    pub(crate) fn at(position: Position) -> Self {
        Self { reached: position, held: VecDeque::new() }
    }

    /// The payments of `page` are queued, it ends at `to`, and `open` things of it are not
    /// done yet.
    pub(crate) fn read(&mut self, page: u64, to: Position, open: usize) {
        let before = std::mem::replace(&mut self.reached, to);
        if open > 0 {
            self.held.push_back(PageInProgress { page, before, open });
        }
    }

    /// One open thing of `page` is done.
    pub(crate) fn done(&mut self, page: u64) {
        if let Some(held) = self.held.iter_mut().find(|held| held.page == page) {
            held.open -= 1;
        }
        self.held.retain(|held| held.open > 0);
    }

    /// The position that may be written down.
    pub(crate) fn position(&self) -> &Position {
        self.held.front().map_or(&self.reached, |held| &held.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::leases::table::Checkpoint;

    fn after(sequence: u32) -> Position {
        Position::at(Checkpoint::After(sequence.to_string()))
    }

    fn end() -> Position {
        Position::at(Checkpoint::ShardEnd)
    }

    #[test]
    fn the_position_stays_before_the_first_page_with_something_open() {
        let mut progress = Progress::at(after(10));
        progress.read(1, after(20), 0);
        assert_eq!(progress.position(), &after(20));
        progress.read(2, after(30), 2);
        progress.read(3, after(40), 1);
        progress.read(4, after(50), 0);
        progress.done(3);
        progress.done(2);
        assert_eq!(progress.position(), &after(20));
        progress.done(2);
        assert_eq!(progress.position(), &after(50));
    }

    #[test]
    fn a_later_page_takes_over_the_holding() {
        let mut progress = Progress::at(Position::at(Checkpoint::TrimHorizon));
        progress.read(1, after(1), 1);
        progress.read(2, after(2), 1);
        progress.done(1);
        assert_eq!(progress.position(), &after(1));
        progress.read(3, end(), 0);
        assert_eq!(progress.position(), &after(1));
        progress.done(2);
        assert_eq!(progress.position(), &end());
    }
}
