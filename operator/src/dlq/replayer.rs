//! Carries out plans. The order makes every crash harmless: the write (FAILED → SCHEDULED),
//! then the message, then the letter goes. Whoever dies in between leaves the letter, and the
//! next run finds the payment SCHEDULED or PENDING and sends the message (again).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use shared::clock::Clock;
use shared::domain::{
    AccountId, Asked, AttemptLimits, DueDate, Found, Payment, PaymentId, PaymentRef, RefusalCodes,
    Status,
};
use shared::payments::{
    Change, ChangeError, Decision, PaymentStore, PaymentsError, RightVersion, StoredPayment,
};
use shared::queue::{Outgoing, Producer};
use shared::transaction::Transactions;
use tokio::time::Instant;

use super::letter::{Body, Letter};
use super::plan::{Carrier, Plan, Refusal, Replayed, Step, by_answer, by_letter, by_table};
use super::report::{Entry, State};
use super::versions::{Right, Version};

/// Questions in a row without an answer after which one is asked only now and then: each may
/// take as long as the time limit of a call.
const SILENCE: u32 = 20;

/// Time after such a question until the next: the service may be back, or have no answer only
/// for the payments asked for so far.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// A payment to be dealt with.
#[derive(Debug)]
pub(super) struct Case {
    /// Where its letter lies in the look, if it has one.
    pub(super) place: Option<usize>,
    /// Its letter.
    pub(super) letter: Option<Letter>,
    /// The payment, if it is known.
    pub(super) reference: Option<PaymentRef>,
}

impl Case {
    /// The key of the order within an account; what has none comes last.
    pub(super) fn order(&self) -> (bool, Option<(DueDate, PaymentId)>) {
        let key = self.reference.as_ref().map(|reference| (reference.due, reference.id));
        (key.is_none(), key)
    }
}

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Only what would be done is said.
    DryRun,
    /// It is done.
    Execute,
}

/// Reads, asks, writes and sends.
#[derive(Debug)]
pub(super) struct Replayer<S, T> {
    pub(super) store: S,
    pub(super) transactions: T,
    pub(super) payments: Producer,
    pub(super) confirmations: Producer,
    pub(super) limits: AttemptLimits,
    /// What a certain rejection looks like.
    pub(super) codes: RefusalCodes,
    pub(super) clock: Clock,
    pub(super) mode: Mode,
    /// Which version of a payment is right, where there are two.
    pub(super) version: Option<Version>,
    /// Questions in a row that had no answer.
    pub(super) unanswered: u32,
    /// When the last of them was asked.
    pub(super) asked_at: Option<Instant>,
    /// What this run has replayed.
    pub(super) replayed: HashSet<PaymentId>,
    /// The latest payment of each account that this run has sent.
    pub(super) latest: HashMap<AccountId, (DueDate, PaymentId)>,
}

/// What goes into a queue, and for which entry.
#[derive(Debug, Default)]
struct Outbox {
    entries: Vec<usize>,
    messages: Vec<Outgoing>,
}

impl Outbox {
    fn put(&mut self, entry: usize, message: Outgoing) {
        self.entries.push(entry);
        self.messages.push(message);
    }

    /// Sends all, in order. What was not sent has failed; its letter stays.
    async fn send(self, producer: &Producer, entries: &mut [Entry]) {
        let Err(unsent) = producer.send(&self.messages).await else { return };
        for index in &unsent.indices {
            if let Some(entry) = self.entries.get(*index).and_then(|entry| entries.get_mut(*entry))
            {
                entry.fail(format!("its message was not sent: {}", unsent.reason));
            }
        }
    }
}

impl<S: PaymentStore, T: Transactions> Replayer<S, T> {
    /// Deals with the cases of one account, in their order. `is_held` says whether the letter
    /// at a place is still ours.
    pub(super) async fn work(
        &mut self,
        cases: &[Case],
        is_held: impl Fn(usize) -> bool,
    ) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(cases.len());
        let (mut payments, mut confirmations) = (Outbox::default(), Outbox::default());
        for case in cases {
            let index = entries.len();
            let (plan, stored) = match self.decide(case).await {
                Ok(decided) => decided,
                Err(reason) => {
                    entries.push(Entry::failed(case, reason));
                    continue;
                }
            };
            let mut entry = Entry::planned(case, &plan);
            if self.mode == Mode::Execute && entry.state == State::Planned {
                let held = case.place.is_none_or(&is_held);
                let written = if held {
                    self.write(case, &plan, stored.as_ref()).await
                } else {
                    Err("its letter is in somebody else's hand by now".to_owned())
                };
                match written {
                    Err(reason) => entry.fail(reason),
                    Ok(Message::Payment(reference, message)) => {
                        if self.comes_late(&reference) {
                            entry.add("it comes after a later payment of its account");
                        }
                        payments.put(index, message);
                    }
                    Ok(Message::Confirmation(message)) => confirmations.put(index, message),
                    Ok(Message::None) => {}
                }
                entry.done();
            }
            entries.push(entry);
        }
        payments.send(&self.payments, &mut entries).await;
        confirmations.send(&self.confirmations, &mut entries).await;
        entries
    }

    /// What is to be done, with what the table holds.
    async fn decide(&mut self, case: &Case) -> Result<(Plan, Option<StoredPayment>), String> {
        if let Some(plan) = case.letter.as_ref().and_then(by_letter) {
            return Ok((plan, None));
        }
        let Some(reference) = &case.reference else {
            return Ok((Plan::Refuse(Refusal::Unreadable), None));
        };
        let stored = match self.store.get(reference).await {
            Ok(stored) => stored,
            Err(PaymentsError::Item(_)) => None,
            Err(error) => return Err(error.to_string()),
        };
        let carrier = case.letter.as_ref().map_or(Carrier::Name, Carrier::Letter);
        let replayed = if self.replayed.contains(&reference.id) {
            Replayed::InThisRun
        } else {
            Replayed::NotYet
        };
        let step = by_table(carrier, stored.as_ref(), self.version, replayed, &self.codes);
        let plan = match (step, &stored) {
            (Step::Decided(plan), _) => plan,
            (Step::Ask(_), None) => Plan::Refuse(Refusal::NotInTable),
            (Step::Ask(right), Some(stored)) => {
                let found = self.ask((&stored.payment).into()).await;
                by_answer(stored, right, found, &self.limits, self.clock.now())
            }
        };
        Ok((plan, stored))
    }

    async fn ask(&mut self, asked: Asked) -> Found {
        let lately = self.asked_at.is_some_and(|asked_at| asked_at.elapsed() < ASK_AGAIN);
        if self.unanswered >= SILENCE && lately {
            let reason = format!("no answer {} times in a row, not asked", self.unanswered);
            return Found::NoAnswer { retry_after: None, reason };
        }
        let found = self.transactions.find(asked).await;
        self.asked_at = Some(Instant::now());
        match &found {
            Found::NoAnswer { .. } => self.unanswered += 1,
            Found::Settled(_) | Found::UnderWay | Found::Rejected { .. } | Found::Nothing => {
                self.unanswered = 0;
            }
        }
        found
    }

    /// Makes the plan's write, and says what is to be sent.
    async fn write(
        &mut self,
        case: &Case,
        plan: &Plan,
        stored: Option<&StoredPayment>,
    ) -> Result<Message, String> {
        let stored = || stored.ok_or("it is not in the table");
        let (stored, replay) = match plan {
            Plan::Replay { attempts, first_claim, right, .. } => {
                (stored()?, (*attempts, *first_claim, right))
            }
            Plan::SendAgain(_) => {
                let stored = stored()?;
                return Ok(message(case, &stored.payment, stored.attempts));
            }
            Plan::ConfirmAgain => {
                let message = confirmation(case).ok_or("its letter holds no confirmation")?;
                return Ok(Message::Confirmation(message));
            }
            Plan::Close(_) | Plan::Refuse(_) => return Ok(Message::None),
        };
        let reference = stored.payment.reference();
        let (attempts, first_claim, right) = replay;
        let decision = |right| Decision { table: &stored.payment, attempts, first_claim, right };
        let (change, paid) = match right {
            Right::Unquestioned => {
                (Change::Replay(&reference, attempts, first_claim), &stored.payment)
            }
            Right::Table => (Change::Decide(decision(RightVersion::Table)), &stored.payment),
            Right::Message(other) => {
                (Change::Decide(decision(RightVersion::Message(other))), &**other)
            }
        };
        let change = [change];
        let results = self.store.apply(&change, self.clock.now()).await;
        match results.map_err(|error| error.to_string())?.pop() {
            Some(Ok(_)) => {
                self.replayed.insert(reference.id);
                Ok(message(case, paid, attempts))
            }
            // A lost answer of this write, or another operator: the message is missing still.
            Some(Err(ChangeError::InStatus(now)))
                if matches!(now.status, Status::Scheduled | Status::Pending)
                    && now.payment.same_instruction(paid) =>
            {
                self.replayed.insert(reference.id);
                Ok(message(case, paid, attempts))
            }
            Some(Err(error)) => Err(format!("it changed in the meantime: {error}")),
            None => Err("the database gave no result".to_owned()),
        }
    }

    /// Notes what is sent, and says whether a later payment of its account was sent before.
    fn comes_late(&mut self, reference: &PaymentRef) -> bool {
        let key = (reference.due, reference.id);
        let latest = self.latest.entry(reference.account.clone()).or_insert(key);
        let late = *latest > key;
        *latest = key.max(*latest);
        late
    }
}

/// What a plan sends.
#[derive(Debug)]
enum Message {
    /// To the dispatchers.
    Payment(PaymentRef, Outgoing),
    /// To the confirmers.
    Confirmation(Outgoing),
    /// Nothing: only the letter goes.
    None,
}

/// The payment as the table holds it now. The deduplication id is that of this letter and of this
/// many attempts: a run that is repeated within five minutes sends one message, and none is
/// swallowed by one that led to a failure since (INV-7).
fn message(case: &Case, payment: &Payment, attempts: u32) -> Message {
    let source =
        case.letter.as_ref().map_or_else(|| payment.id.to_string(), |l| l.message_id.clone());
    let outgoing = Outgoing {
        group: payment.account.to_string(),
        deduplication: format!("replay-{source}-{attempts}"),
        body: serde_json::to_string(payment)
            .unwrap_or_else(|_| unreachable!("a payment holds nothing that JSON lacks")),
    };
    Message::Payment(payment.reference(), outgoing)
}

fn confirmation(case: &Case) -> Option<Outgoing> {
    let letter = case.letter.as_ref()?;
    match &letter.body {
        Body::Confirmation(confirmation) => {
            Some(confirmation.message(&format!("replay-{}", letter.message_id)))
        }
        Body::Written(_) | Body::Payment(_) | Body::Unreadable(_) => None,
    }
}

#[cfg(test)]
mod tests;
