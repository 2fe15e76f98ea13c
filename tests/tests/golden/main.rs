//! What a version stores and sends, the next one reads: items, queue messages and dead letters
//! as the version that wrote `golden.json` had them.
//!
//! `GOLDEN=write cargo test -p tests --test golden` writes the file anew. Do that only
//! for a format that is meant to change, and keep the old file's case beside the new one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bank;
mod payments;

use std::fs;
use std::path::{Path, PathBuf};

use bank::{Bank, read_item};
use domain::{FailureCode, Payment, Status};
use serde_json::{Value, json};
use shared::dispatch_stop::{DispatchStops, StopCause, StopTable};
use shared::payments::archive::PaymentsAndArchive;
use shared::payments::{PaymentStore, PaymentsTable, StoredPayment};
use shared::queue::{Confirmation, DeadLetter, ReportedResult};

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/golden.json")
}

fn golden() -> Value {
    serde_json::from_str(&fs::read_to_string(file()).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_and_sent_has_the_form_that_the_version_before_gave_it() {
    let bank = Bank::open().await;
    bank.write_items().await;
    let written = json!({
        "payments": bank.items(&bank.names().payments_table()).await,
        "archive": bank.items(&bank.names().archive_table()).await,
        "control": bank.items(&bank.names().control_table()).await,
        "payments.fifo": bank.sent_payments().await,
        "confirmations.fifo": bank.sent_confirmations().await,
        "payments-dlq.fifo": bank.sent_dead_letters().await,
    });
    if std::env::var("GOLDEN").is_ok_and(|mode| mode == "write") {
        fs::write(file(), serde_json::to_string_pretty(&written).unwrap() + "\n").unwrap();
    }
    let golden = golden();
    for (part, written) in written.as_object().unwrap() {
        let (written, golden) = (written.as_array().unwrap(), golden[part].as_array().unwrap());
        assert_eq!(written.len(), golden.len(), "{part}");
        for (written, golden) in written.iter().zip(golden) {
            assert_eq!(written, golden, "{part}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_items_of_the_version_before_are_read() {
    let bank = Bank::open().await;
    let golden = golden();
    for (part, table) in [
        ("payments", bank.names().payments_table()),
        ("archive", bank.names().archive_table()),
        ("control", bank.names().control_table()),
    ] {
        for item in golden[part].as_array().unwrap() {
            bank.put(&table, read_item(item)).await;
        }
    }

    let client = bank.world.aws.dynamodb("test");
    let table = PaymentsTable::new(client.clone(), &bank.names().payments_table(), 16);
    let references: Vec<_> = payments::all().iter().map(Payment::reference).collect();
    for payment in payments::all() {
        let held = table.get(&payment.reference()).await.unwrap();
        let archived = payment.id == payments::archived().id;
        assert_eq!(held.is_none(), archived, "{}", payment.id);
        if let Some(held) = held {
            assert!(payment.same_instruction(&held.payment), "{held:?}");
            assert_eq!(held.payment.trace_key, payment.trace_key);
            assert_eq!(held.payment.created_at, payment.created_at);
        }
    }
    let held = |payment: Payment| {
        let table = &table;
        async move { table.get(&payment.reference()).await.unwrap().unwrap() }
    };
    assert_eq!(held(payments::scheduled()).await.status, Status::Scheduled);
    let claimed = held(payments::claimed()).await;
    assert_eq!((claimed.status, claimed.attempts), (Status::Pending, 2));
    assert_eq!((claimed.claimed_at, claimed.not_done), (Some(payments::at(10)), 1));
    is_settled(&held(payments::settled()).await);
    let failed = held(payments::failed()).await;
    assert_eq!((failed.status, failed.attempts), (Status::Failed, 1));
    assert_eq!(failed.failure.as_ref().unwrap().code, FailureCode::Rejected);
    assert_eq!((failed.dead_letters.count, failed.dead_letters.last), (1, Some(payments::at(40))));
    let replayed = held(payments::replayed()).await;
    assert_eq!((replayed.status, replayed.attempts_before), (Status::Scheduled, 1));
    assert_eq!(held(payments::cancelled()).await.status, Status::Cancelled);
    let withheld = held(payments::withheld()).await;
    assert_eq!(withheld.failure.unwrap().code, FailureCode::Overwritten);

    let blob = table.blobs(&[payments::blob_of_large()]).await.unwrap().remove(0);
    assert_eq!(Some(blob.unwrap()), payments::large_blob());
    let tables = PaymentsAndArchive::new(&client, bank.names(), 16);
    let archived = tables.archived(&references).await.unwrap();
    let archived: Vec<_> = archived.into_iter().map(|(_, stored)| stored.unwrap()).collect();
    assert_eq!(archived.len(), 1);
    is_settled(&archived[0]);
    assert!(archived[0].payment.same_instruction(&payments::archived()));

    bank.agreement().check().await.unwrap();
    let stop = StopTable::new(client, bank.names().control_table()).read().await.unwrap().unwrap();
    assert_eq!(stop, payments::stop());
    assert_eq!(stop.cause, StopCause::Rejected);
}

fn is_settled(stored: &StoredPayment) {
    let settlement = payments::settlement();
    assert_eq!(stored.status, Status::Processed);
    assert_eq!(stored.transaction_id.as_deref(), Some(settlement.transaction_id.as_str()));
    assert_eq!(stored.settled_at, Some(settlement.settled_at));
}

fn bodies(queue: &str) -> Vec<String> {
    let golden = golden();
    let messages = golden[queue].as_array().unwrap().iter();
    messages.map(|message| message["body"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_queue_messages_of_the_version_before_are_read() {
    let read: Vec<Payment> =
        bodies("payments.fifo").iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(read, payments::queued());
    let read: Vec<Confirmation> = bodies("confirmations.fifo")
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    assert_eq!(read, payments::confirmations());
    assert!(
        matches!(&read[2].result, ReportedResult::Rejected(f) if f.code == FailureCode::Refused)
    );
}

#[test]
fn the_dead_letters_of_the_version_before_are_read() {
    let read: Vec<DeadLetter> = bodies("payments-dlq.fifo")
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    let codes: Vec<_> = read.iter().map(|letter| letter.failure.code).collect();
    let expected = [FailureCode::Rejected, FailureCode::Mismatch, FailureCode::MalformedMessage];
    assert_eq!(codes, expected);
    assert_eq!(read[0].payment, Some(payments::failed()));
    assert_eq!(read[1].raw.as_deref(), Some("{\"Amount\":1}"));
    assert_eq!((&read[2].payment, read[2].raw.as_deref()), (&None, Some("no payment")));
    assert!(
        read.iter().all(|letter| letter.service == "dispatcher" && letter.at == payments::at(0))
    );
}
