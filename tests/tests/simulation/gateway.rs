//! A hostile service, or something before it: answers that are none of the contract's, before a
//! request is carried out and after. What they mean is the product's own judgement.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Amount, Currency, KeyQuery, KeyStatus, Outcome, Payment, PaymentId, RefusalCodes, Settlement,
};
use serde_json::json;
use shared::transaction::TransactionService;
use shared::transaction::fuzzing::{found, outcome};
use tokio::time::sleep;

use crate::bugs::Bug;
use crate::faults::Faults;
use crate::life::Life;

/// How an answer is spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trick {
    /// A status of a gateway, with a page or with nothing.
    Bare(u16),
    /// 200 that says `rejected`.
    Rejected,
    /// 200 that speaks of another payment.
    Others,
    /// A page of HTML under a status that settles.
    Page,
    /// The right answer, cut off.
    Cut,
    /// A byte order mark before the right answer.
    Marked,
    /// The transaction id as a number.
    Number,
}

/// Whether the service behind has carried the request out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    After,
}

const TRICKS: [Trick; 20] = [
    Trick::Bare(400),
    Trick::Bare(401),
    Trick::Bare(403),
    Trick::Bare(404),
    Trick::Bare(405),
    Trick::Bare(408),
    Trick::Bare(409),
    Trick::Bare(413),
    Trick::Bare(422),
    Trick::Bare(429),
    Trick::Bare(451),
    Trick::Bare(500),
    Trick::Bare(502),
    Trick::Bare(503),
    Trick::Rejected,
    Trick::Others,
    Trick::Page,
    Trick::Cut,
    Trick::Marked,
    Trick::Number,
];

/// The transaction service, as a caller sees it behind a gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) inner: Arc<dyn TransactionService>,
    pub(crate) faults: Faults,
    pub(crate) life: Life,
    pub(crate) bug: Bug,
}

impl Gateway {
    fn trick(&self) -> Option<(Trick, When)> {
        if !self.faults.is_hostile() {
            return None;
        }
        let trick = TRICKS[usize::try_from(self.faults.below(TRICKS.len() as u64)).unwrap()];
        let when = if self.faults.below(2) == 0 { When::Before } else { When::After };
        Some((trick, when))
    }

    /// The way there and back, when nothing is carried out.
    async fn travel(&self) {
        self.life.step().await;
        sleep(self.faults.millis(40)).await;
        self.life.step().await;
    }
}

/// The contract's answer for a payment, or for another one.
fn settled(
    payment: PaymentId,
    money: Option<(Amount, Currency)>,
    status: &str,
    id: &str,
) -> Vec<u8> {
    let mut answer = json!({
        "transaction_id": id,
        "status": status,
        "settled_at": "2026-11-24T01:00:00.000Z",
        "payment_id": payment.to_string(),
    });
    if let Some((amount, currency)) = money {
        answer["amount"] = json!(amount.minor_units());
        answer["currency"] = json!(currency.code());
    }
    answer.to_string().into_bytes()
}

fn raw(trick: Trick, asked: &KeyQuery, done: Option<&Settlement>) -> (u16, Vec<u8>) {
    let KeyQuery { key: payment, money, .. } = *asked;
    let id = done.map_or("T-of-nobody", |settlement| settlement.transaction_id.as_str());
    match trick {
        Trick::Bare(status) => (status, b"<html>gateway</html>".to_vec()),
        Trick::Rejected => (200, settled(payment, money, "rejected", id)),
        Trick::Others => {
            (200, settled(PaymentId::from_parts(1, &[9; 10]), money, "settled", "T-others"))
        }
        Trick::Page => (200, b"<html>welcome</html>".to_vec()),
        Trick::Cut => {
            let mut whole = settled(payment, money, "settled", id);
            whole.truncate(whole.len() / 2);
            (200, whole)
        }
        Trick::Marked => {
            (200, [b"\xef\xbb\xbf".to_vec(), settled(payment, money, "settled", id)].concat())
        }
        Trick::Number => {
            let whole = String::from_utf8(settled(payment, money, "settled", id)).unwrap();
            (200, whole.replace(&format!("\"{id}\""), "17").into_bytes())
        }
    }
}

#[async_trait]
impl TransactionService for Gateway {
    async fn submit(&self, payment: &Payment) -> Outcome {
        let Some((trick, when)) = self.trick() else { return self.inner.submit(payment).await };
        let done = match when {
            When::Before => {
                self.travel().await;
                None
            }
            When::After => match self.inner.submit(payment).await {
                Outcome::Settled(settlement) => Some(settlement),
                other => return other,
            },
        };
        let asked = KeyQuery::from(payment);
        let (status, body) = raw(trick, &asked, done.as_ref());
        if self.bug == Bug::AnyRefusalIsCertain && (400..500).contains(&status) {
            let code = RefusalCodes::Form.take("bare").unwrap();
            return Outcome::Rejected {
                code,
                reason: format!("{status} without a readable reason"),
            };
        }
        if self.bug == Bug::AnySuccessSettles && status == 200 {
            let transaction_id = "T-of-nobody".to_owned();
            return Outcome::Settled(Settlement { transaction_id, settled_at: payment.created_at });
        }
        outcome(status, None, &body, &asked)
    }

    async fn find(&self, asked: KeyQuery) -> KeyStatus {
        let Some((trick, _)) = self.trick() else { return self.inner.find(asked).await };
        self.travel().await;
        let (status, body) = raw(trick, &asked, None);
        found(status, None, &body, &asked)
    }
}
