//! Dead-letter queues.

use super::*;

fn fail(world: &mut World, max: i32) -> usize {
    let got = world.receive(max);
    for delivery in &got {
        world.change(delivery, 0).unwrap();
    }
    got.len()
}

#[test]
fn a_message_received_too_often_goes_to_the_dead_letter_queue() {
    let mut world = World::with_dead_letter_queue(2);
    let sent = world.send("a", "a1");
    assert_eq!(fail(&mut world, 1), 1);
    assert_eq!(fail(&mut world, 1), 1);
    world.pass(1_000);
    assert!(world.receive(1).is_empty());
    let dead = world.receive_from(DEAD, 10);
    let message = &dead[0].message;
    assert_eq!(message.id, sent.message_id);
    assert_eq!(&*message.group, "a");
    assert_eq!(*message.deduplication_id, *message.id.to_string());
    assert_eq!(message.sent, world.now, "the retention period starts anew");
    let source = message.dead_letter_source.as_deref();
    assert_eq!(source, Some("arn:aws:sqs:us-east-1:000000000000:orders.fifo"));
    assert_eq!(world.counts(), ["0", "0", "0"]);
}

#[test]
fn the_rest_of_a_dead_message_s_group_goes_on_in_order_in_the_same_receive() {
    let mut world = World::with_dead_letter_queue(1);
    for body in ["a1", "a2", "a3"] {
        world.send("a", body);
    }
    assert_eq!(fail(&mut world, 2), 2);
    assert_eq!(bodies(&world.receive(10)), ["a3"]);
    assert_eq!(bodies(&world.receive_from(DEAD, 10)), ["a1", "a2"]);
}

#[test]
fn two_messages_with_one_deduplication_id_are_both_kept_when_dead() {
    let mut world = World::with_dead_letter_queue(1);
    world.set(&[("DeduplicationScope", "messageGroup")]).unwrap();
    world.try_send("a", "one", "id").unwrap();
    world.try_send("b", "two", "id").unwrap();
    assert_eq!(fail(&mut world, 10), 2);
    assert!(world.receive(10).is_empty());
    assert_eq!(bodies(&world.receive_from(DEAD, 10)), ["one", "two"]);
}

#[test]
fn without_its_dead_letter_queue_a_message_stays() {
    let mut world = World::with_dead_letter_queue(1);
    world.send("a", "a1");
    world.engine.delete_queue(DEAD, world.now).unwrap();
    assert_eq!(fail(&mut world, 1), 1);
    assert_eq!(fail(&mut world, 1), 1);
}

#[test]
fn a_redrive_policy_needs_an_existing_fifo_queue_and_a_count() {
    let mut world = World::new();
    world.create(DEAD, &[]).unwrap();
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:{DEAD}");
    for policy in [
        "{".to_owned(),
        r#"{"deadLetterTargetArn":"dummy","maxReceiveCount":3}"#.to_owned(),
        format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":0}}"#),
        format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":1001}}"#),
        format!(r#"{{"deadLetterTargetArn":"{arn}x.fifo","maxReceiveCount":3}}"#),
        r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:plain","maxReceiveCount":3}"#
            .to_owned(),
    ] {
        let refused = world.set(&[("RedrivePolicy", &policy)]).unwrap_err();
        assert_eq!(refused.code(), "InvalidParameterValue", "{policy}");
    }
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"3"}}"#);
    world.set(&[("RedrivePolicy", &policy)]).unwrap();
    assert_eq!(world.attribute(QUEUE, "RedrivePolicy"), policy);
    let sources = world.engine.dead_letter_sources(DEAD).unwrap();
    assert_eq!(sources, [QUEUE.into()]);
}
