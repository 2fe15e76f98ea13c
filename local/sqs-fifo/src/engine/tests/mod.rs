//! Tests of the engine under a clock that moves when it is told to.

mod attributes;
mod deduplication;
mod dice;
mod groups;
mod limits;
mod model;
mod moves;
mod receipts;
mod redrive;
mod repetition;
mod snapshot;
mod waking;

use std::collections::HashMap;

use super::{Delivery, Draft, Engine, Limits, Millis, ReceiveRequest, Sent, SqsError};

const QUEUE: &str = "orders.fifo";
const DEAD: &str = "dead.fifo";

/// An engine with the queue `orders.fifo`, and the time.
struct World {
    engine: Engine,
    now: Millis,
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default(), &[])
    }

    fn with(limits: Limits, attributes: &[(&str, &str)]) -> Self {
        let mut world = Self {
            engine: Engine::new("us-east-1", "000000000000", limits, 7),
            now: Millis(1_700_000_000_000),
        };
        world.create(QUEUE, attributes).unwrap();
        world
    }

    /// With `dead.fifo` as dead-letter queue after `count` receives.
    fn with_dead_letter_queue(count: u32) -> Self {
        let mut world = Self::new();
        world.create(DEAD, &[]).unwrap();
        let policy = format!(
            r#"{{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:{DEAD}","maxReceiveCount":{count}}}"#
        );
        world.set(&[("RedrivePolicy", &policy)]).unwrap();
        world
    }

    fn create(&mut self, name: &str, attributes: &[(&str, &str)]) -> Result<(), SqsError> {
        let mut attributes = map(attributes);
        attributes.insert("FifoQueue".into(), "true".into());
        let tags = HashMap::new();
        self.engine.create_queue(name, &attributes, &tags, self.now)
    }

    fn set(&mut self, attributes: &[(&str, &str)]) -> Result<(), SqsError> {
        let attributes = map(attributes);
        self.engine.set_queue_attributes(QUEUE, &attributes, self.now)
    }

    fn attribute(&mut self, queue: &str, name: &str) -> String {
        let all = self.engine.queue_attributes(queue, self.now).unwrap();
        all[name].clone()
    }

    fn counts(&mut self) -> [String; 3] {
        ["", "NotVisible", "Delayed"]
            .map(|kind| self.attribute(QUEUE, &format!("ApproximateNumberOfMessages{kind}")))
    }

    fn pass(&mut self, millis: u64) {
        self.now = Millis(self.now.0 + millis);
        self.engine.advance(self.now);
    }

    fn try_send(&mut self, group: &str, body: &str, id: &str) -> Result<Sent, SqsError> {
        let draft = Draft::new(body, Some(group), Some(id))?;
        self.engine.send(QUEUE, draft, self.now)
    }

    fn send(&mut self, group: &str, body: &str) -> Sent {
        self.try_send(group, body, body).unwrap()
    }

    fn receive_with(&mut self, queue: &str, request: &ReceiveRequest) -> Vec<Delivery> {
        self.engine.receive(queue, request, self.now).unwrap()
    }

    fn receive_from(&mut self, queue: &str, max: i32) -> Vec<Delivery> {
        let request = ReceiveRequest::new(max, None, None).unwrap();
        self.receive_with(queue, &request)
    }

    fn receive(&mut self, max: i32) -> Vec<Delivery> {
        self.receive_from(QUEUE, max)
    }

    fn delete(&mut self, delivery: &Delivery) -> Result<(), SqsError> {
        let handle = delivery.receipt.to_string();
        self.engine.delete(QUEUE, &handle, self.now)
    }

    fn change(&mut self, delivery: &Delivery, seconds: i32) -> Result<(), SqsError> {
        let handle = delivery.receipt.to_string();
        self.engine.change_visibility(QUEUE, &handle, seconds, self.now)
    }
}

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn bodies(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|one| &*one.message.body).collect()
}
