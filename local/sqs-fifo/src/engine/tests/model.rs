//! Random runs against a simple account of what was sent, handed out and deleted.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::dice::Dice;
use super::*;

#[derive(Default)]
struct Account {
    /// Per group: bodies not deleted, in order of sending.
    groups: HashMap<String, VecDeque<String>>,
    /// Deliveries neither deleted nor expired, by body, with their end.
    in_flight: BTreeMap<String, (Delivery, Millis)>,
    received: HashMap<String, u32>,
}

impl Account {
    fn forget_expired(&mut self, now: Millis) {
        self.in_flight.retain(|_, (_, until)| *until > now);
    }

    /// A receive must begin at the head of each group, in order, and of groups not in flight.
    fn check(&mut self, got: &[Delivery], until: Millis) {
        let mut per_group: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for delivery in got {
            let (group, body) = (&*delivery.message.group, &*delivery.message.body);
            per_group.entry(group).or_default().push(body);
            let count = self.received.entry(body.to_owned()).or_default();
            *count += 1;
            assert_eq!(delivery.receive_count, *count);
        }
        for (group, bodies) in per_group {
            let mut blocked = self.in_flight.values();
            assert!(
                !blocked.any(|(queued, _)| &*queued.message.group == group),
                "{group} is in flight"
            );
            let expected = self.groups[group].iter().take(bodies.len());
            assert!(bodies.iter().eq(expected), "{group} out of order");
        }
        for delivery in got {
            let body = delivery.message.body.to_string();
            self.in_flight.insert(body, (delivery.clone(), until));
        }
    }

    fn delete(&mut self, delivery: &Delivery) {
        let body = &*delivery.message.body;
        self.in_flight.remove(body);
        let group = self.groups.get_mut(&*delivery.message.group).unwrap();
        let at = group.iter().position(|kept| kept == body).unwrap();
        group.remove(at);
    }

    fn left(&self) -> usize {
        self.groups.values().map(VecDeque::len).sum()
    }

    /// Groups with messages, none of them in flight.
    fn receivable(&self) -> usize {
        let blocked: HashSet<&str> =
            self.in_flight.values().map(|(queued, _)| &*queued.message.group).collect();
        let free = |(group, left): &(&String, &VecDeque<String>)| {
            !left.is_empty() && !blocked.contains(group.as_str())
        };
        self.groups.iter().filter(free).count()
    }
}

fn run(seed: u64, steps: usize) {
    let mut dice = Dice(seed);
    let mut world = World::new();
    let mut account = Account::default();
    for step in 0..steps {
        match dice.below(10) {
            0..=3 => {
                let group = format!("g{}", dice.below(6));
                let body = format!("{group}-{step}");
                world.send(&group, &body);
                account.groups.entry(group).or_default().push_back(body);
            }
            4..=6 => {
                let (max, seconds) = (1 + dice.below(10), 1 + dice.below(20));
                let (max, timeout) = (i32::try_from(max).unwrap(), i32::try_from(seconds).unwrap());
                let request = ReceiveRequest::new(max, Some(timeout), None).unwrap();
                let got = world.receive_with(QUEUE, &request);
                assert_eq!(got.is_empty(), account.receivable() == 0, "step {step}");
                account.check(&got, Millis(world.now.0 + seconds * 1_000));
            }
            7 => {
                world.pass(dice.below(4_000));
                account.forget_expired(world.now);
            }
            choice => {
                let nth = dice.below(20) as usize;
                let Some((delivery, _)) = account.in_flight.values().nth(nth).cloned() else {
                    continue;
                };
                if choice == 8 || dice.below(2) == 0 {
                    world.delete(&delivery).unwrap();
                    account.delete(&delivery);
                } else {
                    world.change(&delivery, 0).unwrap();
                    account.in_flight.remove(&*delivery.message.body);
                }
            }
        }
        let [visible, in_flight, _] = world.counts().map(|count| count.parse().unwrap());
        assert_eq!(
            (visible, in_flight),
            (account.left() - account.in_flight.len(), account.in_flight.len())
        );
    }
    world.pass(60_000);
    account.forget_expired(world.now);
    loop {
        let got = world.receive(10);
        if got.is_empty() {
            break;
        }
        account.check(&got, Millis(u64::MAX));
        for delivery in &got {
            world.delete(delivery).unwrap();
            account.delete(delivery);
        }
    }
    assert_eq!(account.left(), 0, "lost messages");
    assert_eq!(world.engine.message_groups(QUEUE).unwrap(), 0);
}

#[test]
fn random_runs_keep_order_block_groups_in_flight_and_lose_or_double_nothing() {
    for seed in 1..=200 {
        run(seed * 0x9e37_79b9, 400);
    }
}
