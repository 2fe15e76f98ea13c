//! The transaction service: what it settled under which key, its journal, and its moods.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    Certainty, KeyQuery, KeyStatus, Outcome, Payment, RefusalCodes, Settlement, UnknownCause,
};
use shared::clock::Clock;
use shared::transaction::TransactionService;
use tests::chance::fraction;
use tests::history::Settled;
use tokio::time::Instant;

use crate::bugs::Bug;
use crate::faults::Faults;
use crate::life::Life;

/// How long a caller waits for an answer (`DUEFLOW_TRANSACTION_TIMEOUT`).
const LIMIT: Duration = Duration::from_secs(5);

/// What the service holds.
#[derive(Debug)]
pub(crate) struct Books {
    keys: HashMap<String, (Settlement, Instant)>,
    pub(crate) journal: Vec<Settled>,
    /// Turns every request away.
    pub(crate) down: bool,
    requests: u64,
    /// How long a key is remembered.
    retention: Duration,
}

impl Books {
    pub(crate) fn new(retention: Duration) -> Self {
        Self { keys: HashMap::new(), journal: Vec::new(), down: false, requests: 0, retention }
    }

    fn remembered(&self, key: &str) -> Option<Settlement> {
        let (settlement, at) = self.keys.get(key)?;
        (at.elapsed() < self.retention).then(|| settlement.clone())
    }

    fn settle(&mut self, key: String, payment: &Payment, clock: &Clock) -> Settlement {
        let settlement = Settlement {
            transaction_id: format!("T-{}", self.journal.len()),
            settled_at: clock.now(),
        };
        self.journal.push(Settled {
            key: key.clone(),
            transaction_id: settlement.transaction_id.clone(),
            account: payment.account.to_string(),
            beneficiary: payment.beneficiary.to_string(),
            amount: payment.amount.minor_units(),
            currency: payment.currency.code().to_owned(),
            at: Some(clock.now()),
        });
        self.keys.insert(key, (settlement.clone(), Instant::now()));
        settlement
    }
}

/// The service, as one life of a process uses it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) books: Arc<Mutex<Books>>,
    pub(crate) life: Life,
    pub(crate) faults: Faults,
    pub(crate) clock: Clock,
    /// Payments in a thousand that it rejects, whenever they come.
    pub(crate) rejects: u64,
    pub(crate) seed: u64,
    pub(crate) bug: Bug,
}

fn turned_away() -> Outcome {
    let reason = "503 unavailable: x".to_owned();
    Outcome::NotDone { certainty: Certainty::Certain, retry_after: None, reason }
}

#[async_trait]
impl TransactionService for Service {
    async fn submit(&self, payment: &Payment) -> Outcome {
        assert_eq!(payment.blob_beside(), None, "{} came without its blob", payment.id);
        let books = Arc::clone(&self.books);
        let (payment, clock, bug) = (payment.clone(), self.clock.clone(), self.bug);
        let number = u64::from(payment.id.due_shard(9_973));
        let rejected = fraction(&[self.seed, number]) * 1_000.0 < self.rejects as f64;
        let submit = move || {
            let mut books = books.lock().unwrap();
            books.requests += 1;
            let key = match bug {
                Bug::AttemptInTheKey => format!("{}-{}", payment.id, books.requests),
                _ => payment.id.to_string(),
            };
            if books.down {
                turned_away()
            } else if let Some(settlement) = books.remembered(&key) {
                Outcome::Settled(settlement)
            } else if rejected {
                let code = RefusalCodes::Form.take("limit").unwrap();
                Outcome::Rejected { code, reason: "422 limit: reached".to_owned() }
            } else {
                Outcome::Settled(books.settle(key, &payment, &clock))
            }
        };
        let answer = self.faults.call(&self.life, LIMIT, submit).await;
        let no_answer =
            || Outcome::Unknown { doubt: UnknownCause::Lost, reason: "no answer".to_owned() };
        answer.unwrap_or_else(no_answer)
    }

    async fn find(&self, asked: KeyQuery) -> KeyStatus {
        let books = Arc::clone(&self.books);
        let no_answer =
            || KeyStatus::NoAnswer { retry_after: None, reason: "no answer".to_owned() };
        let find = move || {
            let books = books.lock().unwrap();
            if books.down {
                return KeyStatus::NoAnswer { retry_after: None, reason: "503".to_owned() };
            }
            books.remembered(&asked.key.to_string()).map_or(KeyStatus::Nothing, KeyStatus::Settled)
        };
        self.faults.call(&self.life, LIMIT, find).await.unwrap_or_else(no_answer)
    }
}
