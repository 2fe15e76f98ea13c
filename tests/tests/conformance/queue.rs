//! The rules of a FIFO queue: SQS and [`QueueInMemory`] keep the same ones.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shared::queue::{
    MAX_BATCH, MessageCount, OutgoingMessage, QueueApi, ReceivedMessage, SqsQueue, Visibility,
};
use shared::testing::QueueInMemory;
use tests::world::without_services;
use tokio::time::Instant;

const NOW: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

/// A queue that holds nothing, and leaves nothing behind.
struct Queue {
    api: Arc<dyn QueueApi>,
    count: Arc<dyn MessageCount>,
}

/// Its body is its deduplication id.
fn message(group: &str, body: impl ToString) -> OutgoingMessage {
    let body = body.to_string();
    OutgoingMessage { group: group.to_owned(), deduplication: body.clone(), body }
}

fn bodies(received: &[ReceivedMessage]) -> Vec<&str> {
    received.iter().map(|message| message.body.as_str()).collect()
}

impl Queue {
    fn of<Q: QueueApi + MessageCount + 'static>(queue: Q) -> Self {
        let queue = Arc::new(queue);
        Self { api: Arc::clone(&queue) as Arc<dyn QueueApi>, count: queue }
    }

    async fn send(&self, messages: &[OutgoingMessage]) {
        for batch in messages.chunks(MAX_BATCH) {
            let batch: Vec<_> = batch.iter().collect();
            assert_eq!(self.api.send(&batch).await.unwrap(), []);
        }
    }

    async fn receive(&self, visibility: Duration) -> Vec<ReceivedMessage> {
        self.api.receive(NOW, visibility).await.unwrap()
    }

    /// The places of the entries that are refused, all of them for good.
    async fn delete(&self, receipts: &[&str]) -> Vec<usize> {
        let refused = self.api.delete(receipts).await.unwrap();
        assert!(refused.iter().all(|entry| entry.for_good), "{refused:?}");
        refused.iter().map(|entry| entry.index).collect()
    }

    async fn hide(&self, entries: &[(&str, Duration)]) -> Vec<usize> {
        let refused = self.api.change_visibility(entries, Visibility::Extend).await.unwrap();
        assert!(refused.iter().all(|entry| entry.for_good), "{refused:?}");
        refused.iter().map(|entry| entry.index).collect()
    }

    async fn delete_all(&self, received: &[ReceivedMessage]) {
        let receipts: Vec<_> = received.iter().map(|message| message.receipt.as_str()).collect();
        assert_eq!(self.delete(&receipts).await, [0; 0]);
    }

    async fn one(&self, body: &str) -> ReceivedMessage {
        self.send(&[message("A", body)]).await;
        self.receive(LONG).await.pop().unwrap()
    }
}

async fn a_group_comes_in_order_and_not_while_some_of_it_is_in_flight(queue: &Queue) {
    let all = |group: &'static str, count: u32| {
        (0..count).map(move |number| message(group, format!("{group}{number:02}")))
    };
    queue.send(&all("A", 14).chain(all("B", 3)).collect::<Vec<_>>()).await;
    assert_eq!(queue.count.messages().await.unwrap(), 17);
    let (mut seen, mut rounds) = (Vec::new(), 0);
    while seen.len() < 17 {
        let first = queue.receive(LONG).await;
        assert!((1..=MAX_BATCH).contains(&first.len()));
        let second = queue.receive(LONG).await;
        let groups = |received: &[ReceivedMessage]| -> BTreeSet<_> {
            received.iter().map(|message| message.group.clone()).collect()
        };
        assert!(groups(&first).is_disjoint(&groups(&second)), "{first:?} {second:?}");
        for received in [first, second] {
            seen.extend(bodies(&received).into_iter().map(str::to_owned));
            if !received.is_empty() {
                queue.delete_all(&received).await;
            }
        }
        rounds += 1;
        assert!(rounds < 10);
    }
    for group in ["A", "B"] {
        assert!(seen.iter().filter(|body| body.starts_with(group)).is_sorted(), "{seen:?}");
    }
    assert_eq!(queue.count.messages().await.unwrap(), 0);
}

async fn a_duplicate_is_dropped_also_after_the_first_is_deleted(queue: &Queue) {
    let twice = OutgoingMessage { body: "other".to_owned(), ..message("A", "one") };
    queue.send(&[message("A", "one"), twice.clone(), message("B", "one")]).await;
    queue.send(&[twice]).await;
    let mut received = queue.receive(LONG).await;
    received.sort_by(|one, other| one.group.cmp(&other.group));
    assert_eq!(bodies(&received), ["one", "one"]);
    assert_eq!((received[0].group.as_str(), received[1].group.as_str()), ("A", "B"));
    assert!(received.iter().all(|message| message.receive_count == 1));
    queue.delete_all(&received).await;
    queue.send(&[message("A", "one")]).await;
    assert_eq!(queue.count.messages().await.unwrap(), 0);
}

async fn what_is_given_back_comes_again_under_another_receipt(queue: &Queue) {
    let first = queue.one("given-back").await;
    assert_eq!(queue.hide(&[(&first.receipt, NOW)]).await, [0; 0]);
    // Visible again, and so nobody's.
    assert_eq!(queue.hide(&[(&first.receipt, LONG)]).await, [0]);
    assert_eq!(queue.delete(&[&first.receipt]).await, [0]);
    let again = queue.receive(LONG).await.pop().unwrap();
    assert_eq!((&again.message_id, again.receive_count), (&first.message_id, 2));
    assert_ne!(again.receipt, first.receipt);
    // Another's by now.
    assert_eq!(queue.hide(&[(&first.receipt, LONG)]).await, [0]);
    assert_eq!(queue.delete(&[&first.receipt]).await, [0]);
    assert_eq!(queue.count.messages().await.unwrap(), 1);
    queue.delete_all(&[again]).await;
}

async fn what_is_gone_counts_as_deleted_and_is_not_extended(queue: &Queue) {
    let (one, two) = (queue.one("gone").await, message("B", "stays"));
    queue.send(&[two]).await;
    let stays = queue.receive(LONG).await.pop().unwrap();
    assert_eq!(queue.delete(&[&one.receipt]).await, [0; 0]);
    assert_eq!(queue.delete(&[&one.receipt]).await, [0; 0]);
    let entries = [(one.receipt.as_str(), LONG), (&stays.receipt, LONG), ("no receipt", LONG)];
    assert_eq!(queue.hide(&entries).await, [0, 2]);
    assert_eq!(queue.delete(&["no receipt", &stays.receipt]).await, [0]);
    assert_eq!(queue.count.messages().await.unwrap(), 0);
}

async fn a_group_waits_for_the_first_of_it_that_is_in_flight(queue: &Queue) {
    queue.send(&["1", "2", "3"].map(|body| message("A", body))).await;
    let received = queue.receive(LONG).await;
    assert_eq!(bodies(&received), ["1", "2", "3"]);
    let [first, second, third] = [0, 1, 2].map(|at: usize| received[at].receipt.as_str());
    assert_eq!(queue.hide(&[(third, NOW), (second, NOW)]).await, [0; 0]);
    assert!(queue.receive(LONG).await.is_empty());
    assert_eq!(queue.hide(&[(first, NOW)]).await, [0; 0]);
    let again = queue.receive(LONG).await;
    assert_eq!(bodies(&again), ["1", "2", "3"]);
    queue.delete_all(&again).await;
}

async fn a_delivery_ends_with_its_visibility_unless_it_is_extended(queue: &Queue) {
    queue.send(&[message("A", "short"), message("B", "extended")]).await;
    let began = Instant::now();
    let received = queue.receive(SECOND).await;
    let extended = received.iter().find(|message| message.body == "extended").unwrap();
    assert_eq!(queue.hide(&[(&extended.receipt, LONG)]).await, [0; 0]);
    let again = queue.api.receive(10 * SECOND, LONG).await.unwrap();
    assert!((SECOND..5 * SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!((bodies(&again), again[0].receive_count), (vec!["short"], 2));
    assert!(queue.api.receive(SECOND, LONG).await.unwrap().is_empty());
    queue.delete_all(&[again[0].clone(), extended.clone()]).await;
}

async fn part_of_a_second_hides_for_a_whole_one(queue: &Queue) {
    let one = queue.one("part-of-a-second").await;
    assert_eq!(queue.hide(&[(&one.receipt, Duration::from_millis(1))]).await, [0; 0]);
    let began = Instant::now();
    let again = queue.api.receive(10 * SECOND, LONG).await.unwrap();
    assert!(began.elapsed() > SECOND / 2, "{:?}", began.elapsed());
    queue.delete_all(&again).await;
}

async fn a_receive_waits_for_what_is_sent_and_no_longer(queue: &Queue) {
    let began = Instant::now();
    assert!(queue.api.receive(SECOND, LONG).await.unwrap().is_empty());
    assert!(began.elapsed() >= SECOND);
    let began = Instant::now();
    let sent = message("A", "awaited");
    let (received, ()) = tokio::join!(queue.api.receive(20 * SECOND, LONG), async {
        queue.send(&[sent]).await;
    });
    let received = received.unwrap();
    assert_eq!(bodies(&received), ["awaited"]);
    assert!(began.elapsed() < 10 * SECOND);
    // The rest of a group, as soon as what was in flight is deleted.
    queue.send(&[message("A", "behind")]).await;
    let (behind, ()) = tokio::join!(queue.api.receive(20 * SECOND, LONG), async {
        queue.delete_all(&received).await;
    });
    let behind = behind.unwrap();
    assert_eq!(bodies(&behind), ["behind"]);
    assert!(began.elapsed() < 10 * SECOND);
    queue.delete_all(&behind).await;
}

async fn an_id_that_is_too_long_or_has_a_blank_is_refused_and_nothing_else(queue: &Queue) {
    let long = "x".repeat(129);
    let sent = [message("A", "a b"), message("A", &long[1..]), message("A", &long), message("", 1)];
    let with_blank = OutgoingMessage { group: "a b".to_owned(), ..message("A", "2") };
    let sent: Vec<_> = sent.iter().chain([&with_blank]).collect();
    let refused = queue.api.send(&sent).await.unwrap();
    let places: Vec<_> = refused.iter().map(|entry| (entry.index, entry.for_good)).collect();
    assert_eq!(places, [0, 2, 3, 4].map(|place| (place, true)), "{refused:?}");
    let taken = queue.receive(LONG).await;
    assert_eq!(bodies(&taken), [&long[1..]]);
    queue.delete_all(&taken).await;
}

async fn a_batch_holds_one_to_ten_entries(queue: &Queue) {
    let one = queue.one("batches").await;
    assert!(queue.api.send(&[]).await.is_err());
    let eleven: Vec<_> = (0..11).map(|number| message("A", number)).collect();
    assert!(queue.api.send(&eleven.iter().collect::<Vec<_>>()).await.is_err());
    assert!(queue.api.delete(&[]).await.is_err());
    assert!(queue.api.delete(&[one.receipt.as_str(); 11]).await.is_err());
    assert_eq!(queue.count.messages().await.unwrap(), 1);
    queue.delete_all(&[one]).await;
}

async fn a_delivery_is_held_for_half_a_day_at_most(queue: &Queue) {
    let one = queue.one("half-a-day").await;
    assert!(queue.api.receive(SECOND, LONG).await.unwrap().is_empty());
    let half_a_day = Duration::from_secs(43_200);
    assert_eq!(queue.hide(&[(&one.receipt, half_a_day)]).await, [0]);
    assert_eq!(queue.hide(&[(&one.receipt, half_a_day - LONG)]).await, [0; 0]);
    queue.delete_all(&[one]).await;
}

/// The whole suite, over a queue that is empty.
async fn all_rules(queue: &Queue) {
    a_group_comes_in_order_and_not_while_some_of_it_is_in_flight(queue).await;
    a_duplicate_is_dropped_also_after_the_first_is_deleted(queue).await;
    what_is_given_back_comes_again_under_another_receipt(queue).await;
    what_is_gone_counts_as_deleted_and_is_not_extended(queue).await;
    a_group_waits_for_the_first_of_it_that_is_in_flight(queue).await;
    a_delivery_ends_with_its_visibility_unless_it_is_extended(queue).await;
    part_of_a_second_hides_for_a_whole_one(queue).await;
    a_receive_waits_for_what_is_sent_and_no_longer(queue).await;
    an_id_that_is_too_long_or_has_a_blank_is_refused_and_nothing_else(queue).await;
    a_delivery_is_held_for_half_a_day_at_most(queue).await;
    a_batch_holds_one_to_ten_entries(queue).await;
}

#[tokio::test(start_paused = true)]
async fn the_queue_in_memory_keeps_the_rules_of_a_fifo_queue() {
    let queue = Queue::of(QueueInMemory::new("payments.fifo"));
    all_rules(&queue).await;
    // Under virtual time only: after five minutes the same message is another one.
    queue.send(&[message("A", "late")]).await;
    let first = queue.receive(LONG).await;
    queue.delete_all(&first).await;
    tokio::time::advance(Duration::from_secs(299)).await;
    queue.send(&[message("A", "late")]).await;
    assert_eq!(queue.count.messages().await.unwrap(), 0);
    tokio::time::advance(SECOND).await;
    queue.send(&[message("A", "late")]).await;
    assert_eq!(queue.count.messages().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sqs_keeps_the_rules_of_a_fifo_queue() {
    let (world, _dir) = without_services().await.unwrap();
    let name = world.names.payments_queue();
    let queue = SqsQueue::open(&world.aws, name, 20 * SECOND, "act").await.unwrap();
    all_rules(&Queue::of(queue)).await;
}
