//! Order within a group, turns between groups.

use super::*;

#[test]
fn one_receive_hands_out_up_to_ten_of_one_group_in_order() {
    let mut world = World::new();
    for n in 0..12 {
        world.send("a", &format!("a{n}"));
    }
    let got = world.receive(10);
    let expected: Vec<_> = (0..10).map(|n| format!("a{n}")).collect();
    assert_eq!(bodies(&got), expected);
}

#[test]
fn one_receive_hands_out_several_groups_the_longest_ready_first() {
    let mut world = World::new();
    for body in ["b1", "a1", "b2", "c1"] {
        world.send(&body[..1], body);
    }
    assert_eq!(bodies(&world.receive(10)), ["b1", "b2", "a1", "c1"]);
}

#[test]
fn a_group_is_blocked_while_any_of_its_messages_is_in_flight() {
    let mut world = World::new();
    for body in ["a1", "a2", "a3"] {
        world.send("a", body);
    }
    let got = world.receive(2);
    assert!(world.receive(10).is_empty());
    world.delete(&got[0]).unwrap();
    assert!(world.receive(10).is_empty(), "a2 is in flight still");
    world.delete(&got[1]).unwrap();
    assert_eq!(bodies(&world.receive(10)), ["a3"]);
}

#[test]
fn a_blocked_group_does_not_block_another() {
    let mut world = World::new();
    world.send("a", "a1");
    world.receive(1);
    world.send("a", "a2");
    world.send("b", "b1");
    assert_eq!(bodies(&world.receive(10)), ["b1"]);
}

#[test]
fn a_busy_group_waits_for_its_turn_after_each_receive() {
    let mut world = World::new();
    for n in 0..20 {
        world.send("busy", &format!("busy{n}"));
    }
    world.send("calm", "calm");
    let first = world.receive(10);
    for delivery in &first {
        world.delete(delivery).unwrap();
    }
    assert_eq!(bodies(&world.receive(1)), ["calm"]);
}

#[test]
fn a_released_message_goes_back_to_its_place() {
    let mut world = World::new();
    for body in ["a1", "a2", "a3", "a4"] {
        world.send("a", body);
    }
    let got = world.receive(3);
    world.change(&got[1], 0).unwrap();
    world.delete(&got[0]).unwrap();
    assert!(world.receive(10).is_empty(), "a3 is in flight still");
    world.change(&got[2], 0).unwrap();
    assert_eq!(bodies(&world.receive(10)), ["a2", "a3", "a4"]);
}

#[test]
fn a_group_without_messages_takes_no_memory() {
    let mut world = World::new();
    for n in 0..100 {
        world.send(&format!("g{n}"), &format!("m{n}"));
    }
    assert_eq!(world.engine.message_groups(QUEUE).unwrap(), 100);
    for _ in 0..10 {
        for delivery in world.receive(10) {
            world.delete(&delivery).unwrap();
        }
    }
    assert_eq!(world.engine.message_groups(QUEUE).unwrap(), 0);
}

#[test]
fn sequence_numbers_have_twenty_digits_and_grow() {
    let mut world = World::new();
    let first = world.send("a", "a1").sequence.to_string();
    let second = world.send("b", "b1").sequence.to_string();
    assert_eq!((first.len(), second.len()), (20, 20));
    assert!(first < second);
}
