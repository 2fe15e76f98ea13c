//! What the shell is told: queues to look at, times to come back.

use std::time::Duration;

use super::*;

#[test]
fn a_send_makes_its_queue_available_once() {
    let mut world = World::new();
    world.send("a", "a1");
    world.send("b", "b1");
    assert_eq!(world.engine.take_available(), [QUEUE.into()]);
    assert!(world.engine.take_available().is_empty());
}

#[test]
fn a_send_to_a_blocked_group_makes_nothing_available() {
    let mut world = World::new();
    world.send("a", "a1");
    world.receive(1);
    world.engine.take_available();
    world.send("a", "a2");
    assert!(world.engine.take_available().is_empty());
}

#[test]
fn a_receive_that_leaves_messages_passes_the_word_on() {
    let mut world = World::new();
    world.send("a", "a1");
    world.send("b", "b1");
    world.engine.take_available();
    world.receive(1);
    assert_eq!(world.engine.take_available(), [QUEUE.into()]);
    world.receive(1);
    assert!(world.engine.take_available().is_empty());
}

#[test]
fn the_last_delete_of_a_batch_makes_the_group_available() {
    let mut world = World::new();
    for body in ["a1", "a2", "a3"] {
        world.send("a", body);
    }
    let got = world.receive(2);
    world.engine.take_available();
    world.delete(&got[0]).unwrap();
    assert!(world.engine.take_available().is_empty());
    world.delete(&got[1]).unwrap();
    assert_eq!(world.engine.take_available(), [QUEUE.into()]);
}

#[test]
fn a_release_and_an_expiry_make_the_group_available() {
    let mut world = World::new();
    world.send("a", "a1");
    let got = world.receive(1);
    world.engine.take_available();
    assert_eq!(world.engine.next_wakeup(), Some(world.now + Duration::from_secs(30)));
    world.change(&got[0], 0).unwrap();
    assert_eq!(world.engine.take_available(), [QUEUE.into()]);
    world.receive(1);
    assert!(world.engine.take_available().is_empty());
    world.pass(30_000);
    assert_eq!(world.engine.take_available(), [QUEUE.into()]);
    assert_eq!(world.engine.next_wakeup(), None);
}

#[test]
fn a_redrive_makes_the_dead_letter_queue_available() {
    let mut world = World::with_dead_letter_queue(1);
    world.send("a", "a1");
    let got = world.receive(1);
    world.change(&got[0], 0).unwrap();
    world.engine.take_available();
    assert!(world.receive(1).is_empty());
    assert_eq!(world.engine.take_available(), [DEAD.into()]);
}

#[test]
fn the_end_of_a_delay_is_waited_for() {
    let mut world = World::with(Limits::default(), &[("DelaySeconds", "10")]);
    world.send("a", "a1");
    assert!(world.engine.take_available().is_empty());
    assert_eq!(world.engine.next_wakeup(), Some(world.now + Duration::from_secs(10)));
    world.pass(10_000);
    assert_eq!(world.engine.take_available(), [QUEUE.into()]);
}
