//! Results that are sent: signed, repeated until they are received, and never forgotten.

use std::{path::Path, time::Duration};

use local::transactions::{Asynchronous, Callback, CallbackError, Faults};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    asynchronous::{never, soon},
    bank::{Bank, payment},
    receiver::{Reaction, Receiver, SECRET, WebhookEvent},
};

fn callback(receivers: &[&Receiver]) -> Option<Callback> {
    let urls = receivers.iter().map(|receiver| receiver.url.clone()).collect();
    Some(Callback { urls, secret: SECRET.to_owned() })
}

/// A url on which nobody listens.
async fn nobodys_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

impl Bank {
    async fn calls_closed(&self, count: usize) {
        let closed = |bank: &Self| bank.accepted_log().matches(r#"{"step":"closed""#).count();
        self.until("closed", |bank| closed(bank) == count).await;
    }
}

#[tokio::test]
async fn a_settlement_is_called_back_with_a_signature_that_holds() {
    let receiver = Receiver::open(&[]).await;
    let bank = Bank::open(soon()).await;
    bank.service.set_callback(callback(&[&receiver])).unwrap();
    bank.post("k", &payment(100)).await;
    let event = receiver.received(1).await.remove(0);
    let settled = bank.get("k").await;
    assert_eq!(
        event.body,
        json!({
            "type": "transaction.settled",
            "timestamp": settled.body["settled_at"],
            "data": {
                "payment_id": "p-1",
                "account_id": "a-1",
                "scheduled_date": "2026-03-01",
                "amount": 100,
                "currency": "EUR",
                "transaction_id": settled.body["transaction_id"],
                "settled_at": settled.body["settled_at"],
            }
        })
    );
}

#[tokio::test]
async fn a_rejection_is_called_back_with_code_and_reason() {
    let receiver = Receiver::open(&[]).await;
    let bank = Bank::open(Faults { reject: 1.0, ..soon() }).await;
    bank.service.set_callback(callback(&[&receiver])).unwrap();
    bank.post("k", &payment(100)).await;
    let event = receiver.received(1).await.remove(0);
    let rejected = bank.get("k").await.body;
    assert_eq!(event.body["type"], "transaction.rejected");
    assert!(event.body["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        event.body["data"],
        json!({
            "payment_id": "p-1",
            "account_id": "a-1",
            "scheduled_date": "2026-03-01",
            "amount": 100,
            "currency": "EUR",
            "code": rejected["code"],
            "reason": rejected["reason"],
        })
    );
}

#[tokio::test]
async fn an_event_is_repeated_with_the_same_id_and_body_under_a_fresh_time_until_409() {
    let reactions = [503, 500, 302, 401, 409].map(Reaction::Answer);
    let receiver = Receiver::open(&reactions).await;
    let bank = Bank::open(soon()).await;
    bank.service.set_callback(callback(&[&receiver])).unwrap();
    bank.post("k", &payment(100)).await;
    bank.calls_closed(1).await;
    let events = receiver.events();
    assert_eq!(events.len(), 5);
    for event in &events {
        assert_eq!((&event.id, &event.text), (&events[0].id, &events[0].text));
        assert_eq!(event.body["type"], "transaction.settled");
    }
    // Four pauses of at least 1.5 s in all, and times are in seconds.
    assert!(events[4].timestamp > events[0].timestamp, "{events:?}");
}

#[tokio::test]
async fn a_receiver_that_hangs_is_tried_again_and_holds_up_no_other_event() {
    let receiver = Receiver::open(&[Reaction::Hang]).await;
    let bank = Bank::open(soon()).await;
    bank.service.set_callback(callback(&[&receiver])).unwrap();
    bank.post("k1", &payment(100)).await;
    receiver.received(1).await;
    bank.post("k2", &payment(100)).await;
    let events = receiver.received(3).await;
    assert_ne!(events[0].id, events[1].id);
    assert_eq!(events[0].id, events[2].id);
    bank.calls_closed(2).await;
}

#[tokio::test]
async fn events_take_turns_over_the_receivers_and_pass_by_one_that_is_gone() {
    let (one, two) = (Receiver::open(&[]).await, Receiver::open(&[]).await);
    let bank = Bank::open(soon()).await;
    bank.service.set_callback(callback(&[&one, &two])).unwrap();
    for n in 0..10 {
        bank.post(&format!("k{n}"), &payment(100)).await;
    }
    bank.calls_closed(10).await;
    assert_eq!((one.events().len(), two.events().len()), (5, 5));

    let mut urls = callback(&[&one, &one]).unwrap();
    urls.urls[0] = nobodys_url().await;
    bank.service.set_callback(Some(urls)).unwrap();
    for n in 10..20 {
        bank.post(&format!("k{n}"), &payment(100)).await;
    }
    bank.calls_closed(20).await;
    assert_eq!(one.events().len(), 15);
}

#[tokio::test]
async fn a_lost_callback_is_never_sent_but_its_payment_has_ended() {
    let receiver = Receiver::open(&[]).await;
    let lost = Asynchronous { lose_callbacks: 1.0, delay: Duration::ZERO };
    let bank = Bank::open(Faults { asynchronous: Some(lost), ..Faults::default() }).await;
    bank.service.set_callback(callback(&[&receiver])).unwrap();
    bank.post("lost", &payment(100)).await;
    assert_eq!(bank.ended_under("lost").await.status, 200);
    bank.calls_closed(1).await;
    // Not after a restart either: only the one that comes later is sent.
    let bank = bank.restart(soon()).await;
    bank.service.set_callback(callback(&[&receiver])).unwrap();
    bank.post("sent", &payment(100)).await;
    bank.calls_closed(2).await;
    let sent = bank.get("sent").await.body["transaction_id"].clone();
    let received: Vec<_> = receiver
        .events()
        .into_iter()
        .map(|event| event.body["data"]["transaction_id"].clone())
        .collect();
    assert_eq!(received, [sent]);
}

#[tokio::test]
async fn results_wait_until_there_is_somebody_to_receive_them() {
    let bank = Bank::open(soon()).await;
    for key in ["k1", "k2"] {
        bank.post(key, &payment(100)).await;
        bank.ended_under(key).await;
    }
    let receiver = Receiver::open(&[]).await;
    bank.service.set_callback(callback(&[&receiver])).unwrap();
    bank.calls_closed(2).await;
    bank.service.set_callback(None).unwrap();
    bank.post("k3", &payment(100)).await;
    bank.ended_under("k3").await;
    assert_eq!(receiver.events().len(), 2);
    let other = Receiver::open(&[]).await;
    bank.service.set_callback(callback(&[&other])).unwrap();
    other.received(1).await;
    assert_eq!(receiver.events().len(), 2);
}

#[tokio::test]
async fn a_restart_sends_what_nobody_received_as_it_was_and_nothing_else() {
    let receiver = Receiver::open(&[]).await;
    let bank = Bank::open(soon()).await;
    bank.service.set_callback(callback(&[&receiver])).unwrap();
    bank.post("received", &payment(100)).await;
    bank.calls_closed(1).await;
    // Refused at first, and the service stops before it comes again.
    let broken = Receiver::open(&[Reaction::Answer(503); 3]).await;
    bank.service.set_callback(callback(&[&broken])).unwrap();
    bank.post("settled", &payment(100)).await;
    let refused = broken.received(1).await.remove(0);
    bank.service.set_callback(None).unwrap();
    bank.service.set_faults(Faults { reject: 1.0, ..soon() });
    bank.post("rejected", &payment(100)).await;
    bank.ended_under("rejected").await;
    bank.service.set_faults(never());
    bank.post("under way", &payment(100)).await;

    let bank = bank.restart(Faults::default()).await;
    let later = Receiver::open(&[]).await;
    bank.service.set_callback(callback(&[&later])).unwrap();
    bank.calls_closed(4).await;
    let events = later.events();
    let again = events.iter().find(|event| event.id == refused.id).expect("sent again");
    assert_eq!(again.text, refused.text);
    let count = |kind| events.iter().filter(|event| event.body["type"] == kind).count();
    assert_eq!((count("transaction.settled"), count("transaction.rejected")), (2, 1));
    assert_eq!(bank.entries().len(), 3);
}

#[tokio::test]
async fn not_more_than_32_events_are_on_their_way_at_a_time() {
    let receiver = Receiver::open(&[Reaction::Hang; 32]).await;
    let bank = Bank::open(soon()).await;
    bank.service.set_callback(callback(&[&receiver])).unwrap();
    let keys: Vec<_> = (0..40).map(|n| format!("k{n}")).collect();
    for key in &keys {
        bank.post(key, &payment(100)).await;
    }
    for key in &keys {
        bank.ended_under(key).await;
    }
    // The next ones go out when the first attempts have reached their limit.
    let started = tokio::time::Instant::now();
    assert_eq!(receiver.received(32).await.len(), 32);
    receiver.received(33).await;
    assert!(started.elapsed() > Duration::from_secs(3), "{:?}", started.elapsed());
    bank.calls_closed(40).await;
    let first_attempts = |events: &[WebhookEvent]| {
        let ids: std::collections::HashSet<_> = events.iter().map(|event| &event.id).collect();
        ids.len()
    };
    assert_eq!(first_attempts(&receiver.events()), 40);
}

#[tokio::test]
async fn a_callback_that_cannot_work_is_refused_and_its_secret_is_not_shown() {
    let bank = Bank::open(soon()).await;
    let refused = |urls: &[&str], secret: &str| {
        let urls = urls.iter().map(|url| (*url).to_owned()).collect();
        bank.service.set_callback(Some(Callback { urls, secret: secret.to_owned() })).unwrap_err()
    };
    assert!(matches!(refused(&[], SECRET), CallbackError::NoUrl));
    assert!(matches!(refused(&["127.0.0.1"], SECRET), CallbackError::Url { .. }));
    assert!(matches!(refused(&["http://a"], "whsec_*"), CallbackError::Secret(_)));
    let shown = format!("{:?}", callback(&[]).unwrap());
    assert!(!shown.contains(SECRET) && shown.contains("urls"), "{shown}");
}

#[tokio::test]
async fn a_synchronous_service_makes_no_second_file() {
    let bank = Bank::open(Faults::default()).await;
    bank.post("k", &payment(100)).await;
    let beside = bank.journal.with_extension("accepted.jsonl");
    assert!(!Path::new(&beside).exists());
}
