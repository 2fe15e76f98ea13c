//! A running service and its client, who holds every answer against the contract.

use std::{path::PathBuf, sync::Arc, time::Duration};

use local::transactions::{Faults, Journal, JournalEntry, LocalTransactionService};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, time::timeout};

const CONTRACT: &str = include_str!("../../../docs/transaction-service.yaml");
/// Far above what anything here takes; reaching it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running service and its client.
pub(crate) struct Bank {
    pub(crate) service: LocalTransactionService,
    pub(crate) client: reqwest::Client,
    pub(crate) journal: PathBuf,
    pub(crate) folder: Arc<TempDir>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Bank {
    pub(crate) async fn open(faults: Faults) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let journal = folder.path().join("journal.jsonl");
        Self::open_on(journal, folder, faults).await
    }

    pub(crate) async fn open_on(journal: PathBuf, folder: Arc<TempDir>, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = LocalTransactionService::start(listener, &journal, faults).await.unwrap();
        Self { service, client: reqwest::Client::new(), journal, folder }
    }

    pub(crate) async fn restart(self, faults: Faults) -> Self {
        let (journal, folder) = (self.journal, self.folder);
        timeout(PATIENCE, self.service.stop()).await.unwrap();
        Self::open_on(journal, folder, faults).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.service.endpoint())
    }

    pub(crate) async fn post(&self, key: &str, body: &Value) -> Answer {
        let request = self.client.post(self.url("/v1/transactions"));
        send(request.header("Idempotency-Key", key).json(body)).await
    }

    pub(crate) async fn get(&self, key: &str) -> Answer {
        let url = self.url(&format!("/v1/transactions?idempotency_key={key}"));
        send(self.client.get(url)).await
    }

    pub(crate) fn entries(&self) -> Vec<JournalEntry> {
        Journal::read(&self.journal).collect::<Result<_, _>>().unwrap()
    }

    /// Waits until the key is no longer under way.
    pub(crate) async fn ended_under(&self, key: &str) -> Answer {
        let asking = async {
            loop {
                let answer = self.get(key).await;
                if answer.status != 202 {
                    return answer;
                }
            }
        };
        timeout(PATIENCE, asking).await.expect("never ended")
    }

    /// What the service wrote beside its journal.
    pub(crate) fn accepted_log(&self) -> String {
        std::fs::read_to_string(self.journal.with_extension("accepted.jsonl")).unwrap_or_default()
    }

    /// Waits until something holds of what the service says of itself.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let waiting = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    /// Waits until the key is settled, though nobody was told.
    pub(crate) async fn settled_under(&self, key: &str) -> Answer {
        let asking = async {
            loop {
                let answer = self.get(key).await;
                if answer.status == 200 {
                    return answer;
                }
            }
        };
        timeout(PATIENCE, asking).await.expect("never settled")
    }
}

/// Sends a request and holds every error against the contract's list.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = timeout(PATIENCE, request.send()).await.expect("no answer").unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    if status >= 400 {
        let code = body["code"].as_str().expect("an error has a code");
        assert!(CONTRACT.contains(&format!("\"{status}\":")), "{status} is not in the contract");
        assert!(CONTRACT.contains(code), "{code} is not in the contract");
        assert!(!body["reason"].as_str().expect("an error has a reason").is_empty());
        // Exactly these members, unless it tells of a payment that was accepted.
        let members = if body["status"] == "rejected" { 6 } else { 2 };
        assert_eq!(body.as_object().unwrap().len(), members);
    }
    Answer { status, body }
}

/// What every answer about `payment(amount)` repeats of it.
pub(crate) fn assert_echo(body: &Value, amount: i64) {
    let echo = [&body["payment_id"], &body["amount"], &body["currency"]];
    assert_eq!(echo, [&json!("p-1"), &json!(amount), &json!("EUR")], "{body}");
}

pub(crate) fn payment(amount: i64) -> Value {
    json!({
        "payment_id": "p-1", "account_id": "a-1", "beneficiary_id": "b-1", "amount": amount,
        "currency": "EUR", "scheduled_date": "2026-03-01", "data": "invoice 7"
    })
}

/// `payment(100)` with one member changed, or taken out by null.
pub(crate) fn payment_with(member: &str, value: Value) -> Value {
    let mut body = payment(100);
    if value.is_null() {
        body.as_object_mut().unwrap().remove(member);
    } else {
        body[member] = value;
    }
    body
}
