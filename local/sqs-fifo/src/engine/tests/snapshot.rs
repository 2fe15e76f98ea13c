//! Engines that go on from a snapshot of another.

use super::dice::{Caller, DEAD_ARN, QUEUES};
use super::*;

/// An engine that goes on from a snapshot of `engine`.
fn restarted(engine: &Engine) -> Engine {
    let text = serde_json::to_string(engine).unwrap();
    let mut engine: Engine = serde_json::from_str(&text).unwrap();
    engine.resume(8);
    engine
}

/// All that is to be known of an engine: attributes and tags of its queues, and what each
/// receive hands out until there is nothing left.
fn drained(mut engine: Engine, now: Millis) -> Vec<String> {
    let mut told = Vec::new();
    engine.advance(now);
    for queue in QUEUES {
        let attributes = engine.queue_attributes(queue, now).unwrap();
        let in_flight = &attributes["ApproximateNumberOfMessagesNotVisible"];
        told.push(format!("{in_flight} {:?}", engine.tags(queue)));
    }
    // Past all visibility timeouts and delays; less than the retention period. A delay that was
    // set when messages were visible already may hide them again until then.
    let later = Millis(now.0 + 3_600_000);
    engine.advance(later);
    for queue in QUEUES {
        told.push(format!("{:?}", engine.queue_attributes(queue, later)));
    }
    // Order is that of the groups; turns of groups may differ, and with them the numbers of
    // messages that would die now.
    engine.set_queue_attributes(QUEUE, &map(&[("RedrivePolicy", "")]), later).unwrap();
    let request = ReceiveRequest::new(10, Some(40_000), None).unwrap();
    for queue in QUEUES {
        let mut groups: HashMap<String, Vec<String>> = HashMap::new();
        loop {
            let got = engine.receive(queue, &request, later).unwrap();
            if got.is_empty() {
                break;
            }
            for one in got {
                let message = &one.message;
                let shown = format!(
                    "{queue} {} {} {} {} {:?} {:?} {} {}",
                    message.id,
                    message.sequence,
                    message.sent,
                    message.body,
                    message.trace_header,
                    message.dead_letter_source,
                    one.receive_count,
                    if one.receive_count == 1 { Millis(0) } else { one.first_received },
                );
                groups.entry(message.group.to_string()).or_default().push(shown);
                engine.delete(queue, &one.receipt.to_string(), later).unwrap();
            }
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort();
        told.extend(groups.into_iter().map(|group| format!("{group:?}")));
    }
    told
}

#[test]
fn an_engine_from_a_snapshot_has_what_the_first_one_had() {
    for seed in 1..=60 {
        let mut world = Caller::world();
        let mut caller = Caller::new(seed * 0x9e37_79b9);
        for _ in 0..20 * seed {
            caller.call(&mut world);
        }
        // Snapshots lack move tasks: a running one ends here.
        for task in world.engine.list_message_move_tasks(DEAD_ARN, 1).unwrap() {
            let _ = world.engine.cancel_message_move_task(&task.handle(), world.now);
        }
        let restarted = restarted(&world.engine);
        assert_eq!(drained(restarted, world.now), drained(world.engine, world.now), "seed {seed}");
    }
}

/// The world with its engine restarted.
fn restart(world: World) -> World {
    World { engine: restarted(&world.engine), now: world.now }
}

#[test]
fn a_message_in_flight_stays_so_until_its_visibility_ends_and_then_keeps_its_place() {
    let mut world = Caller::world();
    for body in ["a1", "a2", "a3"] {
        world.send("a", body);
    }
    let got = world.receive(2);
    world.change(&got[1], 60).unwrap();
    let mut world = restart(world);
    world.pass(59_999);
    assert!(world.receive(10).is_empty());
    world.pass(1);
    let again = world.receive(10);
    assert_eq!(bodies(&again), ["a1", "a2", "a3"]);
    assert_eq!(again.iter().map(|one| one.receive_count).collect::<Vec<_>>(), [2, 2, 1]);
}

#[test]
fn a_receipt_handle_is_good_after_a_restart_whatever_groups_there_were() {
    let mut world = Caller::world();
    for body in ["gone", "b1", "c1", "d1"] {
        world.send(&body[..1], body);
    }
    let gone = world.receive(1);
    world.delete(&gone[0]).unwrap();
    let got = world.receive(3);
    world.change(&got[1], 0).unwrap();
    let mut world = restart(world);
    world.delete(&got[0]).unwrap();
    assert_eq!(world.change(&got[1], 5), Err(SqsError::MessageNotInflight));
    world.change(&got[2], 5).unwrap();
    world.send("new", "n1");
    world.send("newer", "n2");
    assert_eq!(world.counts(), ["3", "1", "0"]);
    world.delete(&got[2]).unwrap();
    assert_eq!(bodies(&world.receive(10)), ["c1", "n1", "n2"]);
}

#[test]
fn deduplication_goes_on_from_the_first_message() {
    let mut world = Caller::world();
    let first = world.send("a", "a1");
    world.pass(200_000);
    let mut world = restart(world);
    assert_eq!(world.send("a", "a1"), first);
    world.pass(100_000);
    assert_ne!(world.send("a", "a1"), first);
}

#[test]
fn numbers_go_on_also_after_messages_and_queues_that_are_gone() {
    let mut world = Caller::world();
    let last = world.send("a", "a1");
    let got = world.receive(1);
    world.delete(&got[0]).unwrap();
    world.engine.delete_queue("other.fifo", world.now).unwrap();
    world.pass(300_000);
    let mut world = restart(world);
    assert!(world.send("a", "a2").sequence > last.sequence);
    world.create("other.fifo", &[]).unwrap();
    let refused = world.engine.delete("other.fifo", &got[0].receipt.to_string(), world.now);
    assert!(matches!(refused, Err(SqsError::ReceiptHandleIsInvalid(_))));
}

#[test]
fn a_message_that_was_received_may_be_deleted_under_a_delay_set_later() {
    let mut world = Caller::world();
    world.send("a", "a1");
    world.send("a", "a2");
    let got = world.receive(1);
    world.set(&[("DelaySeconds", "900")]).unwrap();
    let mut world = restart(world);
    world.delete(&got[0]).unwrap();
    world.pass(900_000);
    assert_eq!(bodies(&world.receive(10)), ["a2"]);
}

#[test]
fn what_was_given_away_after_the_snapshot_is_not_given_away_again() {
    let mut world = Caller::world();
    world.send("a", "a0");
    let older = World { engine: restarted(&world.engine), now: world.now };
    let lost = world.send("a", "a1");
    let received = world.receive(2);
    let mut world = older;
    let sent = world.send("a", "b1");
    assert!(sent.sequence > lost.sequence);
    assert_ne!(sent.message_id, lost.message_id);
    // The receive is lost with its receipt, and so is the message that was sent.
    assert!(world.receive(1).len() == 1 && world.delete(&received[0]).is_err());
    world.delete(&received[1]).unwrap();
    assert_eq!(world.counts(), ["1", "1", "0"]);
}
