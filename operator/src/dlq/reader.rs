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
use std::time::Duration;

use anyhow::Context;
use aws_sdk_sqs::types::QueueAttributeName;
use shared::aws::Aws;
use shared::config::{Names, Receiving};
use shared::queue::{Consumer, Delivery, MAX_BATCH};
use shared::retry;
use shared::shutdown::Shutdown;
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

/// One look at one group: the letters that were not seen before, and all that are in hand.
#[derive(Debug)]
pub(super) struct Look {
    /// Not seen before, in the group's order, each with its place in `in_hand`.
    pub(super) letters: Vec<(usize, Letter)>,
    in_hand: Vec<Delivery>,
    /// How many letters were not seen before.
    unseen: usize,
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

/// Reads the queue.
#[derive(Debug)]
pub(super) struct Reader {
    queue: Consumer,
    held: Vec<Delivery>,
    seen: HashSet<String>,
    open: Vec<Look>,
    shutdown: Shutdown,
    said_at: Instant,
    blocked: u64,
    end: End,
    /// What SQS said before the first letter was taken.
    before: Counts,
}

impl Reader {
    /// Opens the dead-letter queue.
    pub(super) async fn open(aws: &Aws, names: &Names) -> anyhow::Result<Self> {
        let queue = Consumer::open(aws, names.dead_letter_queue(), RECEIVING).await?;
        let shutdown = Shutdown::new(Duration::ZERO).on_signals()?;
        let (held, seen, open) = (Vec::new(), HashSet::new(), Vec::new());
        let before = count(aws, &names.dead_letter_queue()).await?;
        Ok(Self {
            before,
            queue,
            held,
            seen,
            open,
            shutdown,
            said_at: Instant::now(),
            blocked: 0,
            end: End::Empty,
        })
    }

    /// The next look; `None` when all is read that can be. The caller hands each look back
    /// with [`Reader::settle`].
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Look>> {
        let mut pauses = retry::QUEUE_ENTRIES.pauses().take(RECEIVE_RETRIES);
        loop {
            if self.shutdown.is_requested() {
                let untouched = std::mem::take(&mut self.open);
                self.held.extend(untouched.into_iter().flat_map(|look| look.in_hand));
                self.end = End::Interrupted;
                return Ok(None);
            }
            if let Some(look) = self.open.pop() {
                return Ok(Some(look));
            }
            if self.seen.len() >= MAX_LETTERS {
                self.end = End::Full;
                return Ok(None);
            }
            match self.queue.receive_until(&self.shutdown).await {
                Some(Ok(deliveries)) if deliveries.is_empty() => return Ok(None),
                Some(Ok(deliveries)) => self.open = self.looks(deliveries),
                Some(Err(error)) => {
                    if let Some(pause) = pauses.next() {
                        self.shutdown.pause(pause).await;
                        continue;
                    }
                    self.queue.release(at_once(std::mem::take(&mut self.held))).await;
                    return Err(error.into());
                }
                None => {}
            }
            self.say_progress();
        }
    }

    fn looks(&mut self, deliveries: Vec<Delivery>) -> Vec<Look> {
        let mut groups: Vec<(String, Look)> = Vec::new();
        for mut delivery in deliveries {
            let text = std::mem::take(&mut delivery.body);
            let group = delivery.group.clone();
            if groups.last().is_none_or(|(name, _)| *name != group) {
                let (letters, in_hand) = (Vec::new(), Vec::new());
                groups.push((group, Look { letters, in_hand, unseen: 0 }));
            }
            if let Some((group, look)) = groups.last_mut() {
                if self.seen.insert(delivery.message_id.clone()) {
                    let letter = Letter::read(&delivery.message_id, group, text);
                    let letter = letter.sent(delivery.sent_at);
                    look.letters.push((look.in_hand.len(), letter));
                    look.unseen += 1;
                }
                look.in_hand.push(delivery);
            }
        }
        groups.into_iter().rev().map(|(_, look)| look).collect()
    }

    /// Takes a look back: the letters at the places `done` are deleted, the others stay.
    pub(super) async fn settle(&mut self, look: Look, done: &HashSet<usize>) {
        let again = look_again(&look, done.len());
        let (mut gone, mut kept) = (Vec::new(), Vec::new());
        for (place, delivery) in look.in_hand.into_iter().enumerate() {
            if done.contains(&place) { gone.push(delivery) } else { kept.push(delivery) }
        }
        self.blocked += u64::from(kept.len() == MAX_BATCH);
        if !gone.is_empty() {
            self.queue.acknowledge(gone).await;
        }
        if again {
            self.queue.release(at_once(kept)).await;
        } else {
            self.held.extend(kept);
        }
    }

    /// Whether the command was asked to end.
    pub(super) fn is_interrupted(&self) -> bool {
        self.shutdown.is_requested()
    }

    /// Counts the letters that were not looked at, and gives back those that stay.
    pub(super) async fn finish(self, aws: &Aws, names: &Names) -> anyhow::Result<Left> {
        let counts = count(aws, &names.dead_letter_queue()).await;
        self.queue.release(at_once(self.held)).await;
        let in_flight = self.before.elsewhere(self.seen.len() as u64);
        let (behind, blocked) = (counts?.visible, self.blocked);
        Ok(Left { behind, in_flight, blocked, end: self.end })
    }

    fn say_progress(&mut self) {
        if self.said_at.elapsed() >= PROGRESS && std::io::stderr().is_terminal() {
            eprintln!("dueflow: {} letters looked at", self.seen.len());
            self.said_at = Instant::now();
        }
    }
}

fn at_once(deliveries: Vec<Delivery>) -> Vec<(Delivery, Duration)> {
    deliveries.into_iter().map(|delivery| (delivery, Duration::ZERO)).collect()
}

/// Whether another look at a group may show more: what is kept holds back the rest of it, but
/// is not all ten of a window, and this look has brought something new or made room. SQS may
/// hand out fewer letters than there are, so a short receive does not mean that no more lie
/// behind.
fn look_again(look: &Look, done: usize) -> bool {
    let kept = look.in_hand.len() - done;
    (1..MAX_BATCH).contains(&kept) && (done > 0 || look.unseen > 0)
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
struct Counts {
    /// Letters that anybody may have.
    visible: u64,
    /// Letters that somebody has.
    in_flight: u64,
}

impl Counts {
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
