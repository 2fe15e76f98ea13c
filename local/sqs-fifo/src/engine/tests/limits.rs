//! Quotas, delays and retention.

use super::*;

#[test]
fn past_the_in_flight_limit_a_receive_returns_nothing_until_a_message_is_deleted() {
    let limits = Limits { in_flight: 3, ..Limits::default() };
    let mut world = World::with(limits, &[]);
    for n in 0..5 {
        world.send(&format!("g{n}"), &format!("m{n}"));
    }
    let got = world.receive(10);
    assert_eq!(got.len(), 3);
    assert!(world.receive(10).is_empty());
    world.engine.take_available();
    world.delete(&got[0]).unwrap();
    assert_eq!(world.engine.take_available(), [QUEUE.into()]);
    assert_eq!(bodies(&world.receive(10)), ["m3"]);
}

#[test]
fn groups_past_the_look_ahead_are_not_found() {
    let limits = Limits { look_ahead: 12, ..Limits::default() };
    let mut world = World::with(limits, &[]);
    for n in 0..12 {
        world.send("busy", &format!("busy{n}"));
    }
    world.send("calm", "calm");
    let got = world.receive(10);
    assert!(world.receive(10).is_empty(), "calm is the 13th message");
    world.delete(&got[0]).unwrap();
    assert_eq!(bodies(&world.receive(10)), ["calm"]);
}

#[test]
fn a_delayed_queue_shows_messages_after_its_delay() {
    let mut world = World::with(Limits::default(), &[("DelaySeconds", "10")]);
    world.send("a", "a1");
    world.pass(4_000);
    world.send("a", "a2");
    assert_eq!(world.counts(), ["0", "0", "2"]);
    world.pass(5_999);
    assert!(world.receive(10).is_empty());
    world.pass(1);
    assert_eq!(world.counts(), ["1", "0", "1"]);
    let got = world.receive(10);
    assert_eq!(bodies(&got), ["a1"]);
    world.pass(4_000);
    assert!(world.receive(10).is_empty(), "a1 is in flight");
    world.delete(&got[0]).unwrap();
    assert_eq!(bodies(&world.receive(10)), ["a2"]);
}

#[test]
fn a_shorter_delay_holds_for_the_messages_that_wait() {
    let mut world = World::with(Limits::default(), &[("DelaySeconds", "900")]);
    world.send("a", "a1");
    world.pass(5_000);
    world.set(&[("DelaySeconds", "5")]).unwrap();
    assert_eq!(bodies(&world.receive(1)), ["a1"]);
}

#[test]
fn messages_past_the_retention_period_are_dropped_also_in_flight_or_delayed() {
    let mut world = World::with(Limits::default(), &[("MessageRetentionPeriod", "60")]);
    for body in ["a1", "b1"] {
        world.send(&body[..1], body);
    }
    let got = world.receive(1);
    world.change(&got[0], 1_000).unwrap();
    world.pass(1_000);
    world.send("a", "a2");
    world.set(&[("DelaySeconds", "900")]).unwrap();
    world.send("c", "c1");
    world.pass(58_999);
    assert_eq!(world.counts(), ["2", "1", "1"]);
    world.pass(1);
    assert_eq!(world.counts(), ["1", "0", "1"]);
    world.delete(&got[0]).unwrap();
    assert_eq!(bodies(&world.receive(10)), ["a2"]);
    world.pass(1_000);
    assert_eq!(world.counts(), ["0", "0", "0"]);
    assert_eq!(world.engine.message_groups(QUEUE).unwrap(), 0);
}

#[test]
fn a_purge_removes_all_and_may_not_be_repeated_for_a_minute() {
    let mut world = World::new();
    world.send("a", "a1");
    world.send("b", "b1");
    world.receive(1);
    world.engine.purge_queue(QUEUE, world.now).unwrap();
    assert_eq!(world.counts(), ["0", "0", "0"]);
    world.pass(59_999);
    let refused = world.engine.purge_queue(QUEUE, world.now).unwrap_err();
    assert_eq!(refused.status(), 403);
    world.pass(1);
    world.engine.purge_queue(QUEUE, world.now).unwrap();
    world.send("a", "a2");
    assert_eq!(bodies(&world.receive(1)), ["a2"]);
}

#[test]
fn a_message_may_be_as_large_as_the_queue_allows() {
    let mut world = World::with(Limits::default(), &[("MaximumMessageSize", "1024")]);
    world.try_send("a", &"x".repeat(1_024), "1").unwrap();
    let refused = world.try_send("a", &"x".repeat(1_025), "2").unwrap_err();
    assert!(refused.to_string().ends_with("shorter than 1024 bytes."));
    world.set(&[("MaximumMessageSize", "1048576")]).unwrap();
    world.try_send("a", &"x".repeat(1_048_576), "3").unwrap();
    assert!(world.set(&[("MaximumMessageSize", "1048577")]).is_err());
}

#[test]
fn drafts_need_a_group_and_a_body_of_allowed_characters() {
    let code = |draft: Result<Draft, SqsError>| draft.unwrap_err().code();
    assert_eq!(code(Draft::new("x", None, None)), "MissingParameter");
    assert_eq!(code(Draft::new("", Some("a"), None)), "MissingParameter");
    assert_eq!(code(Draft::new("\u{1}", Some("a"), None)), "InvalidMessageContents");
    assert_eq!(code(Draft::new("x", Some("a b"), None)), "InvalidParameterValue");
    let long = "x".repeat(129);
    assert_eq!(code(Draft::new("x", Some(&long), None)), "InvalidParameterValue");
    assert_eq!(code(Draft::new("x", Some("a"), Some(&long))), "InvalidParameterValue");
}
