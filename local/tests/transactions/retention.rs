//! A service that forgets keys after a while, as it may.

use std::time::Duration;

use local::transactions::Faults;

use crate::{
    asynchronous::{never, soon},
    bank::{Bank, payment},
};

fn keeping(after: Duration) -> Faults {
    Faults { forget_keys_after: Some(after), ..Faults::default() }
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_key_is_forgotten_after_its_time_and_then_remembered_anew() {
    let bank = Bank::open(keeping(LONG)).await;
    let first = bank.post("k", &payment(100)).await;
    assert_eq!(bank.post("k", &payment(100)).await.status, 200);
    bank.service.set_faults(keeping(Duration::ZERO));
    assert_eq!(bank.get("k").await.status, 404);
    let second = bank.post("k", &payment(250)).await;
    assert_eq!(second.status, 201);
    assert_ne!(second.body, first.body);
    bank.service.set_faults(keeping(LONG));
    assert_eq!(bank.get("k").await.body, second.body);
    assert_eq!(bank.entries().len(), 2);

    // What was forgotten at the time of the second settlement stays forgotten.
    let bank = bank.restart(keeping(Duration::ZERO)).await;
    bank.service.set_faults(keeping(LONG));
    assert_eq!(bank.get("k").await.body, second.body);
}

#[tokio::test]
async fn a_rejection_is_forgotten_too_but_not_a_payment_that_is_under_way() {
    let bank = Bank::open(Faults { reject: 1.0, ..soon() }).await;
    bank.post("rejected", &payment(100)).await;
    assert_eq!(bank.ended_under("rejected").await.status, 422);
    for forgetful in [
        Faults { forget_keys_after: Some(Duration::ZERO), ..never() },
        Faults { forget_keys: true, ..never() },
    ] {
        bank.service.set_faults(forgetful);
        assert_eq!(bank.post("under way", &payment(100)).await.status, 202);
        assert_eq!(bank.get("under way").await.status, 202);
        assert_eq!(bank.service.under_way(), 1);
    }
    assert_eq!(bank.get("rejected").await.status, 404);
    bank.service.set_faults(Faults::default());
    assert_eq!(bank.post("rejected", &payment(100)).await.status, 201);
    assert_eq!(bank.entries().len(), 1);
}
