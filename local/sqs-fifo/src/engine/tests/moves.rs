//! Message move tasks.

use super::super::{MoveStatus, MoveTask};
use super::*;

const SOURCE: &str = "arn:aws:sqs:us-east-1:000000000000:dead.fifo";
const ELSEWHERE: &str = "arn:aws:sqs:us-east-1:000000000000:other.fifo";

/// Ten dead messages: a0 to a4 and b0 to b4.
fn dead() -> World {
    let mut world = World::with_dead_letter_queue(1);
    for n in 0..5 {
        world.send("a", &format!("a{n}"));
        world.send("b", &format!("b{n}"));
    }
    for delivery in world.receive(10) {
        world.change(&delivery, 0).unwrap();
    }
    assert!(world.receive(10).is_empty());
    world
}

fn start(world: &mut World, to: Option<&str>, rate: Option<i32>) -> Result<String, SqsError> {
    world.engine.start_message_move_task(SOURCE, to, rate, world.now)
}

fn newest(world: &World) -> MoveTask {
    world.engine.list_message_move_tasks(SOURCE, 1).unwrap()[0].clone()
}

#[test]
fn messages_go_back_to_their_source_queue_in_order_as_new_ones() {
    let mut world = dead();
    start(&mut world, None, None).unwrap();
    world.pass(0);
    let task = newest(&world);
    assert_eq!((task.status, task.moved, task.to_move), (MoveStatus::Completed, 10, 10));
    let got = world.receive(10);
    assert_eq!(bodies(&got), ["a0", "a1", "a2", "a3", "a4", "b0", "b1", "b2", "b3", "b4"]);
    assert!(got.iter().all(|one| one.receive_count == 1));
    assert!(got.iter().all(|one| one.message.dead_letter_source.is_none()));
    assert_eq!(world.attribute(DEAD, "ApproximateNumberOfMessages"), "0");
}

#[test]
fn messages_go_to_the_destination_asked_for() {
    let mut world = dead();
    world.create("other.fifo", &[]).unwrap();
    start(&mut world, Some(ELSEWHERE), None).unwrap();
    world.pass(0);
    assert_eq!(world.receive_from("other.fifo", 10).len(), 10);
}

#[test]
fn the_rate_is_kept_and_time_is_asked_for() {
    let mut world = dead();
    start(&mut world, None, Some(2)).unwrap();
    let mut moved = Vec::new();
    for _ in 0..4 {
        assert_eq!(
            world.engine.next_wakeup(),
            Some(world.now + std::time::Duration::from_millis(500))
        );
        world.pass(499);
        moved.push(newest(&world).moved);
        world.pass(1);
        moved.push(newest(&world).moved);
    }
    assert_eq!(moved, [0, 1, 1, 2, 2, 3, 3, 4]);
    world.pass(3_000);
    assert_eq!(newest(&world).status, MoveStatus::Completed);
}

#[test]
fn a_queue_has_one_running_task() {
    let mut world = dead();
    start(&mut world, None, Some(1)).unwrap();
    let refused = start(&mut world, None, None).unwrap_err();
    assert!(refused.to_string().contains("Only one active task"));
    world.pass(60_000);
    start(&mut world, None, None).unwrap();
    assert_eq!(world.engine.list_message_move_tasks(SOURCE, 10).unwrap().len(), 2);
}

#[test]
fn a_cancelled_task_moves_nothing_more() {
    let mut world = dead();
    let handle = start(&mut world, None, Some(1)).unwrap();
    world.pass(3_000);
    let moved = world.engine.cancel_message_move_task(&handle, world.now);
    assert_eq!(moved, Ok(3));
    world.pass(10_000);
    let task = newest(&world);
    assert_eq!((task.status, task.moved), (MoveStatus::Cancelled, 3));
    assert_eq!(world.attribute(DEAD, "ApproximateNumberOfMessages"), "7");
    let again = world.engine.cancel_message_move_task(&handle, world.now);
    assert!(matches!(again, Err(SqsError::UnsupportedOperation(_))));
}

#[test]
fn a_task_fails_where_it_does_not_know_or_find_the_destination() {
    let mut world = dead();
    start(&mut world, None, None).unwrap();
    world.engine.delete_queue(QUEUE, world.now).unwrap();
    world.pass(0);
    let gone = MoveStatus::Failed("AWS.SimpleQueueService.NonExistentQueue");
    assert_eq!(newest(&world).status, gone);

    let mut world = World::with_dead_letter_queue(1);
    let draft = Draft::new("sent here by hand", Some("a"), Some("1")).unwrap();
    world.engine.send(DEAD, draft, world.now).unwrap();
    start(&mut world, None, None).unwrap();
    world.pass(0);
    let unknown = MoveStatus::Failed("CouldNotDetermineMessageSource");
    assert_eq!(newest(&world).status, unknown);
    assert_eq!(world.attribute(DEAD, "ApproximateNumberOfMessages"), "1");
}

#[test]
fn a_task_needs_a_dead_letter_queue_and_queues_that_exist() {
    let mut world = dead();
    let not_dead = "arn:aws:sqs:us-east-1:000000000000:orders.fifo";
    let refused = world.engine.start_message_move_task(not_dead, None, None, world.now);
    assert_eq!(refused.unwrap_err().code(), "InvalidParameterValue");
    let refused = start(&mut world, Some(ELSEWHERE), None).unwrap_err();
    assert_eq!((refused.code(), refused.status()), ("ResourceNotFoundException", 404));
    assert!(start(&mut world, None, Some(501)).is_err());
    let refused = world.engine.cancel_message_move_task("foobar", world.now);
    assert_eq!(refused.unwrap_err().code(), "InvalidParameterValue");
    let refused = world.engine.cancel_message_move_task(&format!("x@{SOURCE}"), world.now);
    assert_eq!(refused.unwrap_err().code(), "ResourceNotFoundException");
}
