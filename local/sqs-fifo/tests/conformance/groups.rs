//! Order within a group, and groups beside one another.

use std::collections::BTreeMap;

use crate::endpoint::{At, bodies};

crate::cases!(
    one_receive_hands_out_up_to_ten_of_one_group_in_order,
    a_group_is_blocked_while_one_of_its_messages_is_in_flight,
    a_message_sent_to_a_blocked_group_waits,
    a_blocked_group_does_not_block_another,
    all_groups_are_found,
    each_group_comes_in_order_to_the_end,
);

async fn one_receive_hands_out_up_to_ten_of_one_group_in_order(at: At) {
    let queue = at.queue().await;
    let sent: Vec<_> = (0..12).map(|n| format!("a{n}")).collect();
    for body in &sent {
        queue.send("a", body).await;
    }
    assert_eq!(bodies(&queue.receive(10).await), sent[..10]);
}

async fn a_group_is_blocked_while_one_of_its_messages_is_in_flight(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1", "a2", "a3"]).await;
    let got = queue.receive(2).await;
    assert_eq!(bodies(&got), ["a1", "a2"]);
    assert!(queue.receive(10).await.is_empty());
    queue.delete(&got[0]).await.unwrap();
    assert!(queue.receive(10).await.is_empty(), "a2 is in flight still");
    queue.delete(&got[1]).await.unwrap();
    assert_eq!(bodies(&queue.receive(10).await), ["a3"]);
}

async fn a_message_sent_to_a_blocked_group_waits(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    let got = queue.receive(10).await;
    queue.send_all(&["a2"]).await;
    assert!(queue.receive(10).await.is_empty());
    queue.delete(&got[0]).await.unwrap();
    assert_eq!(bodies(&queue.receive(10).await), ["a2"]);
}

async fn a_blocked_group_does_not_block_another(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1"]).await;
    queue.receive(1).await;
    queue.send_all(&["a2", "b1"]).await;
    assert_eq!(bodies(&queue.receive(10).await), ["b1"]);
}

async fn all_groups_are_found(at: At) {
    let queue = at.queue().await;
    queue.send_all(&["a1", "b1", "c1"]).await;
    let mut found = Vec::new();
    while found.len() < 3 {
        let got = queue.receive(10).await;
        assert!(!got.is_empty(), "found only {found:?}");
        found.extend(bodies(&got).into_iter().map(str::to_owned));
    }
    found.sort();
    assert_eq!(found, ["a1", "b1", "c1"]);
}

async fn each_group_comes_in_order_to_the_end(at: At) {
    let queue = at.queue().await;
    for n in 10..25 {
        for group in ["a", "b", "c"] {
            queue.send(group, &format!("{group}{n}")).await;
        }
    }
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    loop {
        let got = queue.receive(7).await;
        if got.is_empty() {
            break;
        }
        for message in &got {
            let body = message.body.clone().unwrap();
            groups.entry(body[..1].to_owned()).or_default().push(body);
            queue.delete(message).await.unwrap();
        }
    }
    for group in ["a", "b", "c"] {
        let expected: Vec<_> = (10..25).map(|n| format!("{group}{n}")).collect();
        assert_eq!(groups[group], expected);
    }
}
