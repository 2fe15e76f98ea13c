//! How far a shard, or a day, may be said to be done while some of what was read is still under
//! way: pure.

use std::collections::VecDeque;

/// The position in a shard or a day. It stands before the first page of which something is still
/// open (a dead letter, a gap recovery), however far the reading has gone (INV-3).
#[derive(Debug)]
pub(crate) struct Progress<P> {
    reached: P,
    held: VecDeque<PageInProgress<P>>,
}

#[derive(Debug)]
struct PageInProgress<P> {
    page: u64,
    before: P,
    open: usize,
}

impl<P> Progress<P> {
    pub(crate) fn at(position: P) -> Self {
        Self { reached: position, held: VecDeque::new() }
    }

    /// The payments of `page` are queued, it ends at `to`, and `open` things of it are not
    /// done yet.
    pub(crate) fn read(&mut self, page: u64, to: P, open: usize) {
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
    pub(crate) fn position(&self) -> &P {
        self.held.front().map_or(&self.reached, |held| &held.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: u32 = u32::MAX;

    #[test]
    fn the_position_stays_before_the_first_page_with_something_open() {
        let mut progress = Progress::at(10);
        progress.read(1, 20, 0);
        assert_eq!(progress.position(), &20);
        progress.read(2, 30, 2);
        progress.read(3, 40, 1);
        progress.read(4, 50, 0);
        progress.done(3);
        progress.done(2);
        assert_eq!(progress.position(), &20);
        progress.done(2);
        assert_eq!(progress.position(), &50);
    }

    #[test]
    fn a_later_page_takes_over_the_holding() {
        let mut progress = Progress::at(0);
        progress.read(1, 1, 1);
        progress.read(2, 2, 1);
        progress.done(1);
        assert_eq!(progress.position(), &1);
        progress.read(3, END, 0);
        assert_eq!(progress.position(), &1);
        progress.done(2);
        assert_eq!(progress.position(), &END);
    }
}
