//! Bodies of queue messages: what reads is the same when it is written and read again, and
//! nothing makes a reader panic.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use domain::{Amount, Payment, Settlement};
use shared::queue::{Confirmation, ConfirmationSource, DeadLetter, Dispatch, ReportedResult};

/// Reads a body, and what is written of it.
fn stable<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: &str) -> Option<T> {
    let read: T = serde_json::from_str(body).ok()?;
    let written = serde_json::to_string(&read).unwrap();
    let again: T = serde_json::from_str(&written)
        .unwrap_or_else(|error| panic!("{written} does not read back: {error}"));
    assert_eq!(read, again);
    assert_eq!(written, serde_json::to_string(&again).unwrap());
    Some(read)
}

fn is_payment(payment: &Payment) {
    assert!((1..=Amount::MAX).contains(&payment.amount.minor_units()));
    for id in [payment.account.as_str(), payment.beneficiary.as_str()] {
        assert!((1..=64).contains(&id.len()), "{id}");
    }
    // SQS takes no longer groups and ids.
    let message = Dispatch::Again(u32::MAX).message(payment);
    assert!(message.group.len() <= 128 && message.deduplication.len() <= 128);
}

fuzz_target!(|body: &str| {
    if let Some(payment) = stable::<Payment>(body) {
        is_payment(&payment);
    }
    if let Some(confirmation) = stable::<Confirmation>(body) {
        if let ReportedResult::Settled(settlement) = &confirmation.result {
            let length = settlement.transaction_id.len();
            assert!((1..=Settlement::MAX_TRANSACTION_ID_BYTES).contains(&length), "{length}");
        }
        assert!(confirmation.message(ConfirmationSource::Callback("a")).deduplication.len() <= 128);
    }
    if let Some(letter) = stable::<DeadLetter>(body) {
        letter.payment.as_ref().inspect(|payment| is_payment(payment));
    }
});
