//! Looks at every letter of the dead-letter queue that can be looked at, and puts those that
//! stay back as they lay.
//!
//! SQS hands out the first letters of a group and holds back the rest of it while they are in
//! hand, ten at most. So a group is looked at in windows: what is done with leaves the queue,
//! what is kept is given back at once and comes again together with those behind it. A window
//! of ten that are all kept is the end of a group: how many lie behind it, the queue's own
//! count says. Every letter that stays is held until all is read, so that no other is handed
//! out twice, and then given back, the last of a group first, so that their order holds.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use aws_sdk_sqs::types::QueueAttributeName;
use shared::aws::Aws;
use shared::config::{Names, Receiving};
use shared::queue::{Consumer, Delivery, MAX_BATCH};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::letter::Letter;

/// How letters are received. A command that is killed leaves what it holds hidden for this
/// visibility timeout; the heartbeat extends it while the command runs.
const RECEIVING: Receiving =
    Receiving { visibility: Duration::from_secs(120), wait: Duration::from_secs(2) };

/// Most letters that one run looks at: SQS allows 120,000 messages in flight per FIFO queue,
/// and each takes some 500 bytes here.
pub(super) const MAX_LETTERS: usize = 100_000;

/// Failed receives that are tried again before a run is given up.
const RECEIVE_RETRIES: usize = 3;

/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// One look at the queue, which may hold letters of several groups.
#[derive(Debug)]
pub(super) struct Look {
    /// Not seen before, in the order of their groups, each with its place in `in_hand`.
    pub(super) letters: Vec<(usize, Letter)>,
    in_hand: Vec<Delivery>,
}

impl Look {
    /// Whether the letter at `place` is still hidden from all others.
    pub(super) fn is_held(&self, place: usize) -> bool {
        self.in_hand.get(place).is_some_and(Delivery::is_held)
    }
}

/// Why the reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing came any more.
    Empty,
    /// [`MAX_LETTERS`] were looked at.
    Full,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

/// Reads the queue, for several receivers at once: what one has in hand is hidden from the
/// others, whole groups of it.
#[derive(Debug)]
pub(super) struct Reader {
    queue: Consumer,
    shutdown: Shutdown,
    state: Mutex<State>,
    /// A look was taken back: letters behind it may be seen now.
    settled: Notify,
}

#[derive(Debug)]
struct State {
    held: Vec<Delivery>,
    seen: HashSet<String>,
    /// Looks that were handed out and not taken back.
    out: usize,
    /// Looks that were taken back.
    back: u64,
    blocked: u64,
    gone: usize,
    end: End,
    /// What SQS said before the first letter was taken.
    before: Counts,
    began: Instant,
    said_at: Instant,
}

impl Reader {
    /// Opens the dead-letter queue.
    pub(super) async fn open(aws: &Aws, names: &Names) -> anyhow::Result<Self> {
        let queue = Consumer::open(aws, names.dead_letter_queue(), RECEIVING).await?;
        let before = count(aws, &names.dead_letter_queue()).await?;
        Ok(Self::of(queue, before, Shutdown::new(Duration::ZERO).on_signals()?))
    }

    /// Reads from `queue`, of which SQS said this before.
    pub(super) fn of(queue: Consumer, before: Counts, shutdown: Shutdown) -> Self {
        let (began, said_at) = (Instant::now(), Instant::now());
        let (held, seen) = (Vec::new(), HashSet::new());
        let (out, back, blocked, gone, end) = (0, 0, 0, 0, End::Empty);
        let state = State { held, seen, out, back, blocked, gone, end, before, began, said_at };
        Self { queue, shutdown, state: Mutex::new(state), settled: Notify::new() }
    }

    /// The next look; `None` when all is read that can be. The caller hands each look back
    /// with [`Reader::settle`].
    pub(super) async fn next(&self) -> anyhow::Result<Option<Look>> {
        let mut pauses = retry::QUEUE_ENTRIES.pauses().take(RECEIVE_RETRIES);
        loop {
            let back = {
                let mut state = self.lock();
                if self.shutdown.is_requested() {
                    state.end = End::Interrupted;
                    return Ok(None);
                }
                if state.seen.len() >= MAX_LETTERS {
                    state.end = End::Full;
                    return Ok(None);
                }
                state.back
            };
            match self.queue.receive_until(&self.shutdown).await {
                Some(Ok(deliveries)) => {
                    if !deliveries.is_empty() {
                        return Ok(Some(self.look(deliveries)));
                    }
                    if self.is_empty_since(back).await {
                        return Ok(None);
                    }
                }
                Some(Err(error)) => {
                    if let Some(pause) = pauses.next() {
                        self.shutdown.pause(pause).await;
                        continue;
                    }
                    self.stop();
                    return Err(error.into());
                }
                None => {}
            }
        }
    }

    /// Whether a receive that began after `back` looks were taken back, and brought nothing,
    /// shows that there is nothing. If not, waits until another look is taken back: more of its
    /// groups may lie behind it.
    async fn is_empty_since(&self, back: u64) -> bool {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            {
                let state = self.lock();
                if state.back != back {
                    return false;
                }
                if state.out == 0 {
                    return true;
                }
            }
            if self.shutdown.unless_requested(settled).await.is_none() {
                return false;
            }
        }
    }

    fn look(&self, mut deliveries: Vec<Delivery>) -> Look {
        let mut state = self.lock();
        state.out += 1;
        let mut letters = Vec::new();
        for (place, delivery) in deliveries.iter_mut().enumerate() {
            let text = std::mem::take(&mut delivery.body);
            if state.seen.insert(delivery.message_id.clone()) {
                let letter = Letter::read(&delivery.message_id, &delivery.group, text);
                letters.push((place, letter.sent(delivery.sent_at)));
            }
        }
        state.say_progress();
        Look { letters, in_hand: deliveries }
    }

    /// Takes a look back: the letters at the places `done` are deleted, the others stay. Of a
    /// group of which another look may show more they are given back at once.
    pub(super) async fn settle(&self, look: Look, done: &HashSet<usize>) {
        let unseen: HashSet<usize> = look.letters.iter().map(|(place, _)| *place).collect();
        let mut groups: Vec<Group> = Vec::new();
        for (place, delivery) in look.in_hand.into_iter().enumerate() {
            let known = groups.iter().position(|group| group.name == delivery.group);
            let at = known.unwrap_or_else(|| {
                groups.push(Group { name: delivery.group.clone(), ..Group::default() });
                groups.len() - 1
            });
            let Some(group) = groups.get_mut(at) else { continue };
            group.unseen += usize::from(unseen.contains(&place));
            let side = if done.contains(&place) { &mut group.gone } else { &mut group.kept };
            side.push(delivery);
        }
        let (mut gone, mut again, mut held) = (Vec::new(), Vec::new(), Vec::new());
        let mut blocked = 0;
        for group in groups {
            blocked += u64::from(group.kept.len() == MAX_BATCH);
            let side = if group.look_again() { &mut again } else { &mut held };
            side.extend(group.kept);
            gone.extend(group.gone);
        }
        self.lock().gone += gone.len();
        if !gone.is_empty() {
            self.queue.acknowledge(gone).await;
        }
        if !again.is_empty() {
            self.queue.release(at_once(again)).await;
        }
        {
            let mut state = self.lock();
            state.held.extend(held);
            state.blocked += blocked;
            state.out -= 1;
            state.back += 1;
        }
        self.settled.notify_waiters();
    }

    /// Gives a look back untouched: the command was asked to end before it was dealt with.
    pub(super) fn keep(&self, look: Look) {
        let mut state = self.lock();
        state.end = End::Interrupted;
        state.held.extend(look.in_hand);
        state.out -= 1;
        drop(state);
        self.settled.notify_waiters();
    }

    /// Whether there are dead letters that cannot be looked at: behind ten of an account that stay,
    /// or with another command.
    pub(super) fn has_unseen(&self) -> bool {
        let state = self.lock();
        state.blocked > 0 || state.before.elsewhere(state.seen.len() as u64) > 0
    }

    /// Has every receiver end after what it has in hand.
    pub(super) fn stop(&self) {
        self.shutdown.request();
    }

    /// Whether the command was asked to end.
    pub(super) fn is_interrupted(&self) -> bool {
        self.shutdown.is_requested()
    }

    /// Counts the letters that were not looked at, and gives back those that stay.
    pub(super) async fn finish(&self, aws: &Aws, names: &Names) -> anyhow::Result<Left> {
        let counts = count(aws, &names.dead_letter_queue()).await;
        let (held, in_flight, blocked, end) = {
            let mut state = self.lock();
            let in_flight = state.before.elsewhere(state.seen.len() as u64);
            (std::mem::take(&mut state.held), in_flight, state.blocked, state.end)
        };
        self.queue.release(at_once(held)).await;
        Ok(Left { behind: counts?.visible, in_flight, blocked, end })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each critical section changes a few values and cannot panic in between.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn say_progress(&mut self) {
        if self.said_at.elapsed() >= PROGRESS && std::io::stderr().is_terminal() {
            let (seen, gone) = (self.seen.len(), self.gone);
            let rate = seen as f64 / self.began.elapsed().as_secs_f64();
            eprintln!("dueflow: {seen} dead letters looked at, {gone} of them gone, {rate:.0}/s");
            self.said_at = Instant::now();
        }
    }
}

/// The letters of one group in one look.
#[derive(Debug, Default)]
struct Group {
    name: String,
    gone: Vec<Delivery>,
    kept: Vec<Delivery>,
    unseen: usize,
}

impl Group {
    /// Whether another look at it may show more: what is kept holds back the rest of it, but is
    /// not all ten of a window, and this look has brought something new or made room. SQS may
    /// hand out fewer letters than there are, so a short receive does not mean that no more lie
    /// behind.
    fn look_again(&self) -> bool {
        (1..MAX_BATCH).contains(&self.kept.len()) && (!self.gone.is_empty() || self.unseen > 0)
    }
}

fn at_once(deliveries: Vec<Delivery>) -> Vec<(Delivery, Duration)> {
    deliveries.into_iter().map(|delivery| (delivery, Duration::ZERO)).collect()
}

/// What the reading has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// About how many letters were not looked at: behind ten of their group that stay, or in
    /// somebody else's hand before.
    pub(super) behind: u64,
    /// About how many letters were in somebody else's hand when the reading began, and did not
    /// come meanwhile.
    pub(super) in_flight: u64,
    /// How many groups have ten letters that stay, so that letters may lie behind them.
    pub(super) blocked: u64,
    /// Why the reading ended.
    pub(super) end: End,
}

/// What SQS says of the queue. It calls the numbers approximate: they are exact once nothing was
/// sent, received or deleted for about a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Letters that anybody may have.
    visible: u64,
    /// Letters that somebody has.
    in_flight: u64,
}

impl Counts {
    /// Of a queue whose dead letters are all with somebody else.
    #[cfg(test)]
    pub(super) fn elsewhere_only(in_flight: u64) -> Self {
        Self { visible: 0, in_flight }
    }

    /// How many of the letters that were in flight are still elsewhere, after `seen` letters have
    /// come. What has come beyond those that were visible was in flight before, or only counted
    /// so: the numbers lag.
    fn elsewhere(self, seen: u64) -> u64 {
        self.in_flight.saturating_sub(seen.saturating_sub(self.visible))
    }
}

async fn count(aws: &Aws, queue: &str) -> anyhow::Result<Counts> {
    let sqs = aws.sqs("count");
    let context = || format!("counting the letters of {queue}");
    let url = sqs.get_queue_url().queue_name(queue).send().await.with_context(context)?;
    let visible = QueueAttributeName::ApproximateNumberOfMessages;
    let in_flight = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    let request = sqs.get_queue_attributes().set_queue_url(url.queue_url);
    let request = request.attribute_names(visible.clone()).attribute_names(in_flight.clone());
    let output = request.send().await.with_context(context)?;
    let attributes: HashMap<_, _> = output.attributes.unwrap_or_default();
    let number =
        |name| attributes.get(name).and_then(|count| count.parse().ok()).with_context(context);
    Ok(Counts { visible: number(&visible)?, in_flight: number(&in_flight)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_flight_are_elsewhere_unless_they_came_after_all() {
        let elsewhere = |visible, in_flight, seen| Counts { visible, in_flight }.elsewhere(seen);
        assert_eq!(elsewhere(0, 31, 0), 31);
        assert_eq!(elsewhere(10, 31, 10), 31);
        assert_eq!(elsewhere(0, 31, 31), 0, "another command gave them back, or the numbers lag");
        assert_eq!(elsewhere(5, 31, 15), 21);
        assert_eq!(elsewhere(25, 0, 10), 0, "behind ten that stay");
    }
}
