//! Chance that can be repeated, and random calls made with it.

use super::*;

/// Xorshift of Marsaglia (2003).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        let index = usize::try_from(self.below(all.len() as u64)).unwrap();
        all[index]
    }
}

/// Queues of the random calls. Messages of the first go to the second when they are dead.
pub(super) const QUEUES: [&str; 3] = [QUEUE, DEAD, "other.fifo"];
pub(super) const DEAD_ARN: &str = "arn:aws:sqs:us-east-1:000000000000:dead.fifo";

/// Makes random calls of all kinds.
pub(super) struct Caller {
    pub(super) dice: Dice,
    /// Handles of past receives, with the queue.
    handles: Vec<(&'static str, String)>,
    sent: u64,
}

impl Caller {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Dice(seed), handles: Vec::new(), sent: 0 }
    }

    /// The queues that random calls are about.
    pub(super) fn world() -> World {
        let mut world = World::with_dead_letter_queue(2);
        world.create("other.fifo", &[("DeduplicationScope", "messageGroup")]).unwrap();
        world
    }

    /// Makes one call; returns what it was and what came of it.
    pub(super) fn call(&mut self, world: &mut World) -> String {
        let queue = self.dice.one_of(&QUEUES);
        match self.dice.below(24) {
            0..=7 => self.send(world, queue),
            8..=12 => self.receive(world, queue),
            13..=17 => self.use_handle(world),
            18..=20 => {
                world.pass(self.dice.below(9_000));
                format!("{:?}", (world.engine.next_wakeup(), world.engine.take_available()))
            }
            21 => self.set(world, queue),
            22 => {
                let rate = [None, Some(2), Some(100)][usize::try_from(self.dice.below(3)).unwrap()];
                let begun = world.engine.start_message_move_task(DEAD_ARN, None, rate, world.now);
                format!("{begun:?}")
            }
            _ => self.seldom(world, queue),
        }
    }

    fn send(&mut self, world: &mut World, queue: &str) -> String {
        self.sent += 1;
        let group = self.dice.one_of(&["a", "b", "c", "d", "e"]);
        let id = if self.dice.below(8) == 0 { self.sent - 1 } else { self.sent };
        let draft =
            Draft::new(&format!("{queue} {}", self.sent), Some(group), Some(&id.to_string()));
        let draft = draft.unwrap().with_trace_header((id % 3 == 0).then_some("Root=1"));
        format!("{:?}", world.engine.send(queue, draft, world.now))
    }

    fn receive(&mut self, world: &mut World, queue: &'static str) -> String {
        let (max, seconds) = (1 + self.dice.below(10), self.dice.below(20));
        let (max, seconds) = (i32::try_from(max).unwrap(), i32::try_from(seconds).unwrap());
        let got =
            world.receive_with(queue, &ReceiveRequest::new(max, Some(seconds), None).unwrap());
        self.handles.extend(got.iter().map(|one| (queue, one.receipt.to_string())));
        format!("{got:?}")
    }

    fn use_handle(&mut self, world: &mut World) -> String {
        if self.handles.is_empty() {
            return String::new();
        }
        let latest = self.handles.len() as u64;
        let nth = latest - 1 - self.dice.below(latest.min(20));
        let (queue, handle) = self.handles[usize::try_from(nth).unwrap()].clone();
        let done = match self.dice.below(3) {
            0 => world.engine.change_visibility(queue, &handle, 0, world.now),
            1 => {
                let seconds = i32::try_from(self.dice.below(30)).unwrap();
                world.engine.change_visibility(queue, &handle, seconds, world.now)
            }
            _ => world.engine.delete(queue, &handle, world.now),
        };
        format!("{done:?}")
    }

    fn set(&mut self, world: &mut World, queue: &str) -> String {
        // Several mistakes at a time: which one is named?
        let wrong = [("Colour", "blue"), ("DelaySeconds", "x"), ("Shape", "round"), ("Size", "1")];
        let delay = self.dice.below(5).to_string();
        let right = [("DelaySeconds", delay.as_str())];
        let attributes = if self.dice.below(2) == 0 { map(&wrong) } else { map(&right) };
        format!("{:?}", world.engine.set_queue_attributes(queue, &attributes, world.now))
    }

    fn seldom(&mut self, world: &mut World, queue: &str) -> String {
        match self.dice.below(6) {
            0 => format!("{:?}", world.engine.purge_queue(queue, world.now)),
            1 => {
                let tag = (self.sent.to_string(), "tag".to_owned());
                let tagged = world.engine.tag(queue, [tag]);
                format!("{tagged:?}")
            }
            2 => {
                let deleted = world.engine.delete_queue("other.fifo", world.now);
                world.pass(60_000);
                let wrong = [("Colour", "blue"), ("Shape", "round")];
                let refused = world.create("other.fifo", &wrong);
                let created = world.create("other.fifo", &[("DelaySeconds", "1")]);
                format!("{deleted:?} {refused:?} {created:?}")
            }
            _ => format!("{:?}", world.engine.list_queues("")),
        }
    }
}
