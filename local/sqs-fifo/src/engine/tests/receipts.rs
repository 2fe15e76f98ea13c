//! Visibility timeouts and receipt handles.

use super::*;

fn expired(result: Result<(), SqsError>) -> bool {
    matches!(result, Err(SqsError::InvalidParameterValue(why)) if why.contains("has expired"))
}

#[test]
fn an_expired_message_is_received_again_with_its_count_and_first_time() {
    let mut world = World::new();
    world.send("a", "a1");
    let start = world.now;
    assert_eq!(world.receive(1)[0].receive_count, 1);
    world.pass(29_999);
    assert!(world.receive(1).is_empty());
    world.pass(1);
    let again = world.receive(1);
    assert_eq!((again[0].receive_count, again[0].first_received), (2, start));
}

#[test]
fn a_receive_may_set_its_own_visibility_timeout() {
    let mut world = World::new();
    world.send("a", "a1");
    let request = ReceiveRequest::new(1, Some(5), None).unwrap();
    world.receive_with(QUEUE, &request);
    world.pass(4_999);
    assert!(world.receive(1).is_empty());
    world.pass(1);
    assert_eq!(bodies(&world.receive(1)), ["a1"]);
}

#[test]
fn a_receive_with_no_visibility_timeout_leaves_the_message_visible() {
    let mut world = World::new();
    world.send("a", "a1");
    let request = ReceiveRequest::new(1, Some(0), None).unwrap();
    assert_eq!(world.receive_with(QUEUE, &request).len(), 1);
    assert_eq!(world.receive_with(QUEUE, &request).len(), 1);
}

#[test]
fn the_last_expiry_of_a_group_lets_its_rest_go_in_order() {
    let mut world = World::new();
    for body in ["a1", "a2", "a3"] {
        world.send("a", body);
    }
    let got = world.receive(2);
    world.change(&got[1], 60).unwrap();
    world.pass(30_000);
    assert!(world.receive(10).is_empty(), "a2 is in flight still");
    world.pass(30_000);
    assert_eq!(bodies(&world.receive(10)), ["a1", "a2", "a3"]);
}

#[test]
fn a_receipt_whose_visibility_has_ended_deletes_nothing() {
    let mut world = World::new();
    world.send("a", "a1");
    let stale = world.receive(1);
    world.pass(30_000);
    assert!(expired(world.delete(&stale[0])));
    assert_eq!(world.receive(1).len(), 1);
    assert!(expired(world.delete(&stale[0])), "it belongs to one receive");
    assert_eq!(world.counts(), ["0", "1", "0"]);
}

#[test]
fn a_receipt_whose_visibility_has_ended_changes_nothing() {
    let mut world = World::new();
    world.send("a", "a1");
    let stale = world.receive(1);
    world.pass(30_000);
    let refused = world.change(&stale[0], 10);
    assert_eq!(refused, Err(SqsError::MessageNotInflight));
    world.receive(1);
    assert!(expired(world.change(&stale[0], 0)));
    assert!(world.receive(1).is_empty());
}

#[test]
fn a_message_deleted_twice_is_deleted() {
    let mut world = World::new();
    world.send("a", "a1");
    let got = world.receive(1);
    world.delete(&got[0]).unwrap();
    world.delete(&got[0]).unwrap();
    let refused = world.change(&got[0], 10).unwrap_err();
    assert!(refused.to_string().contains("does not exist"));
}

#[test]
fn a_receipt_is_of_one_queue_and_well_formed() {
    let mut world = World::new();
    world.create(DEAD, &[]).unwrap();
    world.send("a", "a1");
    let handle = world.receive(1)[0].receipt.to_string();
    for (queue, handle) in [(DEAD, handle.as_str()), (QUEUE, "x"), (QUEUE, &handle[1..])] {
        let refused = world.engine.delete(queue, handle, world.now);
        assert_eq!(refused, Err(SqsError::ReceiptHandleIsInvalid(handle.into())));
    }
}

#[test]
fn visibility_ends_twelve_hours_after_the_receive_at_the_latest() {
    let mut world = World::new();
    world.send("a", "a1");
    let got = world.receive(1);
    world.pass(1_000);
    let refused = world.change(&got[0], 43_200).unwrap_err();
    assert!(refused.to_string().contains("beyond the limit"));
    assert!(world.change(&got[0], 43_201).is_err());
    world.change(&got[0], 43_199).unwrap();
    world.pass(43_198_999);
    assert!(world.receive(1).is_empty());
    world.pass(1);
    assert_eq!(world.receive(1).len(), 1);
}

#[test]
fn a_shortened_visibility_ends_then_and_not_again_later() {
    let mut world = World::new();
    world.send("a", "a1");
    let first = world.receive(1);
    world.change(&first[0], 5).unwrap();
    world.pass(5_000);
    let request = ReceiveRequest::new(1, Some(100), None).unwrap();
    assert_eq!(world.receive_with(QUEUE, &request).len(), 1);
    world.pass(30_000);
    assert!(world.receive(1).is_empty(), "the first receive's deadline is void");
}

#[test]
fn the_same_attempt_gets_the_same_messages_with_a_new_visibility_timeout() {
    let mut world = World::new();
    for body in ["a1", "a2", "b1"] {
        world.send(&body[..1], body);
    }
    let request = ReceiveRequest::new(2, None, Some("try-1".into())).unwrap();
    let first = world.receive_with(QUEUE, &request);
    world.pass(20_000);
    let again = world.receive_with(QUEUE, &request);
    assert_eq!(bodies(&again), ["a1", "a2"]);
    assert_eq!(again[0].receipt, first[0].receipt);
    assert_eq!(again[0].receive_count, 1);
    world.pass(29_999);
    assert_eq!(bodies(&world.receive(10)), ["b1"]);
    world.delete(&first[0]).unwrap();
    world.delete(&first[1]).unwrap();
}

#[test]
fn an_attempt_whose_messages_were_changed_receives_anew() {
    let mut world = World::new();
    world.send("a", "a1");
    world.send("b", "b1");
    let request = ReceiveRequest::new(1, None, Some("try-1".into())).unwrap();
    let first = world.receive_with(QUEUE, &request);
    world.change(&first[0], 200).unwrap();
    assert_eq!(bodies(&world.receive_with(QUEUE, &request)), ["b1"]);
}

#[test]
fn an_attempt_is_forgotten_after_five_minutes() {
    let mut world = World::new();
    world.send("a", "a1");
    world.send("b", "b1");
    let request = ReceiveRequest::new(1, Some(1_000), Some("try-1".into())).unwrap();
    world.receive_with(QUEUE, &request);
    world.pass(300_000);
    assert_eq!(bodies(&world.receive_with(QUEUE, &request)), ["b1"]);
}
