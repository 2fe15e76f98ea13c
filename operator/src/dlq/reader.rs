//! Reads every dead letter that can be received, and gives those that stay back in their order.
//!
//! SQS hands out the first messages of a group, ten at most, and holds back the others while those
//! are in flight. So a group is read in windows: what is done is deleted, what is kept is given
//! back at once and received again together with those behind it. A window of ten that are all
//! kept is the end of a group; the queue's own count says how many are behind it. Every dead
//! dead letter that stays is held until all is read, so that none is received twice, and then given
//! back, the last of a group first, so that their order holds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::future::join_all;
use shared::aws::Aws;
use shared::config::{Names, Receiving};
use shared::queue::{Consumer, Delivery, MAX_BATCH};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::dead_letter::DeadLetterMessage;

/// How dead letters are received. A command that is killed leaves what it holds hidden for this
/// visibility timeout; the heartbeat extends it while the command runs.
const RECEIVING: Receiving =
    Receiving { visibility: Duration::from_secs(120), wait: Duration::from_secs(2) };

/// Most dead letters that one run reads: SQS allows 120,000 messages in flight per FIFO queue,
/// and each takes some 500 bytes here.
pub(super) const MAX_DEAD_LETTERS: usize = 100_000;

/// Failed receives that are tried again before a run is given up.
const RECEIVE_RETRIES: usize = 3;

/// Requests at once that give back what a run has held.
const GIVING_BACK: usize = 64;

/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// A received message of the dead-letter queue.
#[derive(Debug)]
pub(super) struct ReceivedDeadLetter {
    delivery: Delivery,
    /// Its place in the window: the order in which the queue has it.
    position: usize,
    /// Whether this run receives it for the first time.
    is_new: bool,
}

impl ReceivedDeadLetter {
    /// Whether it is still hidden from all others.
    pub(super) fn is_held(&self) -> bool {
        self.delivery.is_held()
    }
}

/// What one receive has brought: messages of one group or of several.
#[derive(Debug)]
pub(super) struct ReadWindow {
    /// Those that were not received before, in the order of their groups.
    pub(super) new: Vec<(ReceivedDeadLetter, DeadLetterMessage)>,
    /// Those that were, and came again with them.
    pub(super) again: Vec<ReceivedDeadLetter>,
}

impl ReadWindow {
    /// All its messages.
    pub(super) fn into_received(self) -> Vec<ReceivedDeadLetter> {
        let new = self.new.into_iter().map(|(received, _)| received);
        self.again.into_iter().chain(new).collect()
    }
}

/// Why the reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadEnd {
    /// Nothing came any more.
    Empty,
    /// [`MAX_DEAD_LETTERS`] were read, and there are more.
    Full,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

/// Reads the queue, for several receivers at once: what one has received is hidden from the
/// others, whole groups of it.
#[derive(Debug)]
pub(super) struct DeadLetterReader {
    queue: Consumer,
    shutdown: Shutdown,
    /// Most dead letters that are read, but for the last window.
    limit: usize,
    state: Mutex<ReaderState>,
    /// A window was settled: dead letters behind it may be received now.
    settled: Notify,
}

#[derive(Debug)]
struct ReaderState {
    held: Vec<Delivery>,
    seen: HashSet<String>,
    /// Windows that were handed out and not settled.
    open_windows: usize,
    /// Windows that were settled.
    settled_windows: u64,
    blocked: u64,
    gone: usize,
    end: ReadEnd,
    /// What SQS said before the first dead letter was taken.
    before: QueueCounts,
    began: Instant,
    printed_at: Instant,
}

impl DeadLetterReader {
    /// Opens the dead-letter queue. Reading ends when shutdown is requested.
    pub(super) async fn open(aws: &Aws, names: &Names, shutdown: Shutdown) -> anyhow::Result<Self> {
        let queue = Consumer::open(aws, names.dead_letter_queue(), RECEIVING).await?;
        let before = count(aws, &names.dead_letter_queue()).await?;
        Ok(Self::of(queue, before, shutdown))
    }

    /// Reads from `queue`, of which SQS said this before.
    pub(super) fn of(queue: Consumer, before: QueueCounts, shutdown: Shutdown) -> Self {
        let state = ReaderState {
            held: Vec::new(),
            seen: HashSet::new(),
            open_windows: 0,
            settled_windows: 0,
            blocked: 0,
            gone: 0,
            end: ReadEnd::Empty,
            before,
            began: Instant::now(),
            printed_at: Instant::now(),
        };
        let (limit, state) = (MAX_DEAD_LETTERS, Mutex::new(state));
        Self { queue, shutdown, limit, state, settled: Notify::new() }
    }

    /// The same with another limit.
    #[cfg(test)]
    pub(super) fn with_limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// The next window; `None` when all is read that can be. The caller settles each window with
    /// [`DeadLetterReader::settle`].
    pub(super) async fn next(&self) -> anyhow::Result<Option<ReadWindow>> {
        let mut pauses = retry::QUEUE_ENTRIES.pauses().take(RECEIVE_RETRIES);
        loop {
            let before = {
                let mut state = self.lock();
                if self.shutdown.is_requested() {
                    state.end = ReadEnd::Interrupted;
                    return Ok(None);
                }
                state.settled_windows
            };
            match self.queue.receive_until(&self.shutdown).await {
                Some(Ok(deliveries)) => {
                    if self.is_beyond_limit(&deliveries) {
                        self.lock().end = ReadEnd::Full;
                        let untouched = deliveries.into_iter();
                        self.queue.release(at_once(untouched.collect())).await;
                        return Ok(None);
                    }
                    if !deliveries.is_empty() {
                        return Ok(Some(self.window(deliveries)));
                    }
                    if self.is_empty_since(before).await {
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

    /// How the reading has ended.
    #[cfg(test)]
    pub(super) fn end(&self) -> ReadEnd {
        self.lock().end
    }

    /// Whether there are more than one run reads: a receive alone shows it. A queue of exactly so
    /// many is read to its end.
    fn is_beyond_limit(&self, deliveries: &[Delivery]) -> bool {
        let state = self.lock();
        let is_new = |delivery: &Delivery| !state.seen.contains(&delivery.message_id);
        state.seen.len() >= self.limit && deliveries.iter().any(is_new)
    }

    /// Whether a receive that began after `before` windows were settled, and brought nothing,
    /// shows that there is nothing. If not, waits until another window is settled: more of its
    /// groups may be behind it.
    async fn is_empty_since(&self, before: u64) -> bool {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            {
                let state = self.lock();
                if state.settled_windows != before {
                    return false;
                }
                if state.open_windows == 0 {
                    return true;
                }
            }
            if self.shutdown.unless_requested(settled).await.is_none() {
                return false;
            }
        }
    }

    fn window(&self, deliveries: Vec<Delivery>) -> ReadWindow {
        let mut state = self.lock();
        state.open_windows += 1;
        let mut window = ReadWindow { new: Vec::new(), again: Vec::new() };
        for (position, mut delivery) in deliveries.into_iter().enumerate() {
            if state.seen.insert(delivery.message_id.clone()) {
                let text = std::mem::take(&mut delivery.body);
                let message = DeadLetterMessage::read(&delivery.message_id, &delivery.group, text);
                let message = message.sent(delivery.sent_at);
                window.new.push((ReceivedDeadLetter { delivery, position, is_new: true }, message));
            } else {
                window.again.push(ReceivedDeadLetter { delivery, position, is_new: false });
            }
        }
        state.print_progress();
        window
    }

    /// Settles a window: what is `done` is deleted, the others stay. Those of a group of which
    /// another receive may show more are given back at once.
    pub(super) async fn settle(
        &self,
        done: Vec<ReceivedDeadLetter>,
        kept: Vec<ReceivedDeadLetter>,
    ) {
        let mut groups: BTreeMap<String, WindowGroup> = BTreeMap::new();
        for (received, is_done) in
            done.into_iter().map(|one| (one, true)).chain(kept.into_iter().map(|one| (one, false)))
        {
            let group = groups.entry(received.delivery.group.clone()).or_default();
            group.has_new |= received.is_new;
            let side = if is_done { &mut group.done } else { &mut group.kept };
            side.push(received);
        }
        let (mut gone, mut again, mut held) = (Vec::new(), Vec::new(), Vec::new());
        let mut blocked = 0;
        for group in groups.into_values() {
            blocked += u64::from(group.kept.len() == MAX_BATCH);
            let side = if group.may_show_more() { &mut again } else { &mut held };
            side.extend(in_order(group.kept));
            gone.extend(in_order(group.done));
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
            state.open_windows -= 1;
            state.settled_windows += 1;
        }
        self.settled.notify_waiters();
    }

    /// Keeps a window whole: the command was asked to end before it was dealt with.
    pub(super) fn keep(&self, window: ReadWindow) {
        let mut state = self.lock();
        state.end = ReadEnd::Interrupted;
        state.held.extend(in_order(window.into_received()));
        state.open_windows -= 1;
        drop(state);
        self.settled.notify_waiters();
    }

    /// Whether there are dead letters that cannot be received: behind ten of an account that stay,
    /// or with another command.
    pub(super) fn has_unseen(&self) -> bool {
        let state = self.lock();
        state.blocked > 0 || state.before.elsewhere(state.seen.len() as u64) > 0
    }

    /// Has every receiver end after its window.
    pub(super) fn stop(&self) {
        self.shutdown.request();
    }

    /// Whether the command was asked to end.
    pub(super) fn is_interrupted(&self) -> bool {
        self.shutdown.is_requested()
    }

    /// QueueCounts the dead letters that were not read, and gives back those that stay.
    pub(super) async fn finish(&self, aws: &Aws, names: &Names) -> anyhow::Result<Unread> {
        let counts = count(aws, &names.dead_letter_queue()).await;
        let (held, in_flight, blocked, end) = {
            let mut state = self.lock();
            let in_flight = state.before.elsewhere(state.seen.len() as u64);
            (std::mem::take(&mut state.held), in_flight, state.blocked, state.end)
        };
        self.give_back(held).await;
        Ok(Unread { behind: counts?.visible, in_flight, blocked, end })
    }

    /// Gives back what was held, many groups at once: whoever has interrupted a command that holds
    /// a hundred thousand does not wait for them one after the other.
    async fn give_back(&self, held: Vec<Delivery>) {
        let mut parts: Vec<Vec<Delivery>> = (0..GIVING_BACK).map(|_| Vec::new()).collect();
        for delivery in held {
            let part = domain::fnv1a(delivery.group.as_bytes()) as usize % GIVING_BACK;
            parts[part].push(delivery);
        }
        join_all(parts.into_iter().map(|part| self.queue.release(at_once(part)))).await;
    }

    fn lock(&self) -> MutexGuard<'_, ReaderState> {
        // Each critical section changes a few values and cannot panic in between.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReaderState {
    fn print_progress(&mut self) {
        if self.printed_at.elapsed() >= PROGRESS && std::io::stderr().is_terminal() {
            let (seen, gone) = (self.seen.len(), self.gone);
            let rate = seen as f64 / self.began.elapsed().as_secs_f64();
            eprintln!("dueflow: {seen} dead letters read, {gone} of them deleted, {rate:.0}/s");
            self.printed_at = Instant::now();
        }
    }
}

/// The dead letters of one group in one window.
#[derive(Debug, Default)]
struct WindowGroup {
    done: Vec<ReceivedDeadLetter>,
    kept: Vec<ReceivedDeadLetter>,
    has_new: bool,
}

impl Unread {
    /// Whether all that can be seen was read, and nobody else has some of it.
    pub(super) fn is_whole(self) -> bool {
        self.end == ReadEnd::Empty && self.in_flight == 0
    }
}

impl WindowGroup {
    /// Whether another receive may show more of it: what is kept holds back the rest, but is not
    /// all ten of a window, and this window has brought something new or made room. SQS may hand
    /// out fewer messages than there are, so a short receive does not mean that there are no more.
    fn may_show_more(&self) -> bool {
        (1..MAX_BATCH).contains(&self.kept.len()) && (!self.done.is_empty() || self.has_new)
    }
}

/// The messages of a window as the queue has them.
fn in_order(mut received: Vec<ReceivedDeadLetter>) -> impl Iterator<Item = Delivery> {
    received.sort_by_key(|one| one.position);
    received.into_iter().map(|one| one.delivery)
}

fn at_once(deliveries: Vec<Delivery>) -> Vec<(Delivery, Duration)> {
    deliveries.into_iter().map(|delivery| (delivery, Duration::ZERO)).collect()
}

/// What the reading has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unread {
    /// About how many dead letters were not read: behind ten of their group that stay, or in
    /// somebody else's hand before.
    pub(super) behind: u64,
    /// About how many dead letters were with another command when the reading began, and did not
    /// come meanwhile.
    pub(super) in_flight: u64,
    /// How many groups have ten dead letters that stay, so that dead letters may be behind them.
    pub(super) blocked: u64,
    /// Why the reading ended.
    pub(super) end: ReadEnd,
}

/// What SQS says of the queue. It calls the numbers approximate: they are exact once nothing was
/// sent, received or deleted for about a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct QueueCounts {
    /// Letters that anybody may have.
    visible: u64,
    /// Letters that somebody has.
    in_flight: u64,
}

impl QueueCounts {
    /// Of a queue whose dead letters are all with somebody else.
    #[cfg(test)]
    pub(super) fn elsewhere_only(in_flight: u64) -> Self {
        Self { visible: 0, in_flight }
    }

    /// How many of the dead letters that were in flight are still elsewhere, after `seen` dead letters have
    /// come. What has come beyond those that were visible was in flight before, or only counted
    /// so: the numbers lag.
    fn elsewhere(self, seen: u64) -> u64 {
        self.in_flight.saturating_sub(seen.saturating_sub(self.visible))
    }
}

async fn count(aws: &Aws, queue: &str) -> anyhow::Result<QueueCounts> {
    let sqs = aws.sqs("count");
    let context = || format!("counting the dead letters of {queue}");
    let url = sqs.get_queue_url().queue_name(queue).send().await.with_context(context)?;
    let visible = QueueAttributeName::ApproximateNumberOfMessages;
    let in_flight = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    let request = sqs.get_queue_attributes().set_queue_url(url.queue_url);
    let request = request.attribute_names(visible.clone()).attribute_names(in_flight.clone());
    let output = request.send().await.with_context(context)?;
    let attributes: HashMap<_, _> = output.attributes.unwrap_or_default();
    let number =
        |name| attributes.get(name).and_then(|count| count.parse().ok()).with_context(context);
    Ok(QueueCounts { visible: number(&visible)?, in_flight: number(&in_flight)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_in_flight_are_elsewhere_unless_they_came_after_all() {
        let elsewhere =
            |visible, in_flight, seen| QueueCounts { visible, in_flight }.elsewhere(seen);
        assert_eq!(elsewhere(0, 31, 0), 31);
        assert_eq!(elsewhere(10, 31, 10), 31);
        assert_eq!(elsewhere(0, 31, 31), 0, "another command gave them back, or the numbers lag");
        assert_eq!(elsewhere(5, 31, 15), 21);
        assert_eq!(elsewhere(25, 0, 10), 0, "behind ten that stay");
    }
}
