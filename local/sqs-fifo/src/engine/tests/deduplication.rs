//! The deduplication window.

use super::*;

#[test]
fn a_duplicate_within_five_minutes_gets_the_first_ids_and_is_not_enqueued() {
    let mut world = World::new();
    let first = world.try_send("a", "one", "id").unwrap();
    world.pass(299_999);
    assert_eq!(world.try_send("b", "two", "id").unwrap(), first);
    assert_eq!(bodies(&world.receive(10)), ["one"]);
}

#[test]
fn the_window_counts_from_the_first_message_and_outlives_it() {
    let mut world = World::new();
    world.try_send("a", "one", "id").unwrap();
    let got = world.receive(1);
    world.delete(&got[0]).unwrap();
    world.pass(200_000);
    world.try_send("a", "two", "id").unwrap();
    assert!(world.receive(1).is_empty());
    world.pass(100_000);
    world.try_send("a", "three", "id").unwrap();
    assert_eq!(bodies(&world.receive(1)), ["three"]);
}

#[test]
fn with_the_scope_message_group_each_group_has_its_own_ids() {
    let scope = [("DeduplicationScope", "messageGroup")];
    let mut world = World::with(Limits::default(), &scope);
    world.try_send("a", "one", "id").unwrap();
    world.try_send("b", "two", "id").unwrap();
    world.try_send("b", "three", "id").unwrap();
    assert_eq!(bodies(&world.receive(10)), ["one", "two"]);
}

#[test]
fn content_based_deduplication_takes_the_digest_of_the_body() {
    let mut world = World::new();
    let draft = || Draft::new("hello", Some("a"), None).unwrap();
    let refused = world.engine.send(QUEUE, draft(), world.now).unwrap_err();
    assert_eq!(refused.code(), "InvalidParameterValue");
    world.set(&[("ContentBasedDeduplication", "true")]).unwrap();
    world.engine.send(QUEUE, draft(), world.now).unwrap();
    world.engine.send(QUEUE, draft(), world.now).unwrap();
    let got = world.receive(10);
    assert_eq!(bodies(&got), ["hello"]);
    // SHA-256 of "hello", FIPS 180-4.
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(&*got[0].message.deduplication_id, digest);
}

#[test]
fn an_explicit_id_goes_before_the_content() {
    let content = [("ContentBasedDeduplication", "true")];
    let mut world = World::with(Limits::default(), &content);
    world.try_send("a", "same", "one").unwrap();
    world.try_send("a", "same", "two").unwrap();
    assert_eq!(world.receive(10).len(), 2);
}
