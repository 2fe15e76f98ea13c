//! Carries out plans. The order makes every crash harmless: the write (FAILED → SCHEDULED),
//! then the message, then the letter goes. Whoever dies in between leaves the letter, and the
//! next run finds the payment SCHEDULED or PENDING and sends the message (again).
//!
//! Several receivers work side by side, each on a look of its own. All letters of a group that
//! can be seen are in one look, so the order within an account is the order within its look,
//! and a look is sent before it is taken back.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatcher::Questions;
use domain::{
    AccountId, AttemptLimits, DueDate, KeyStatus, Payment, PaymentId, PaymentRef, RefusalCodes,
    Status,
};
use jiff::Timestamp;
use shared::clock::Clock;
use shared::payments::{
    ApplyResult, Change, ChangeError, OperatorDecision, PaymentStore, PaymentsError, RightVersion,
    StoredPayment,
};
use shared::queue::{
    ConfirmationSource, DeduplicationId, OutgoingMessage, Producer, payment_message,
};
use shared::transaction::TransactionService;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::letter::{Body, Letter};
use super::plan::{Carrier, Plan, Refusal, Replayed, Step, by_answer, by_letter, by_table};
use super::report::{Entry, State};
use super::versions::{Right, Version};

/// Questions in a row without an answer after which one is asked only now and then: each may
/// take as long as the time limit of a call.
const SILENCE: u32 = 20;

/// Why nothing is decided: the age of a key goes by the clock.
const CLOCK_IN_DOUBT: &str = "this machine's clock has moved by more than a minute against the time that has passed: put it right and run it again";

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

/// Reads, asks, writes and sends, for several receivers at once.
#[derive(Debug)]
pub(super) struct Replayer<S, T> {
    pub(super) store: Arc<S>,
    pub(super) transactions: Arc<T>,
    /// The way out for questions.
    pub(super) questions: Questions,
    pub(super) payments: Producer,
    pub(super) confirmations: Producer,
    pub(super) limits: AttemptLimits,
    /// What a certain rejection looks like.
    pub(super) codes: RefusalCodes,
    pub(super) clock: Clock,
    pub(super) mode: Mode,
    /// Which version of a payment is right, where there are two.
    pub(super) version: Option<Version>,
    pub(super) memory: Arc<Mutex<Memory>>,
}

/// What a run remembers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Questions in a row that had no answer.
    unanswered: u32,
    /// When the last of them was asked.
    asked_at: Option<Instant>,
    /// What this run has replayed.
    replayed: HashSet<PaymentId>,
    /// The latest payment of each account that this run has sent.
    latest: HashMap<AccountId, (DueDate, PaymentId)>,
}

/// What goes into a queue, and for which entry.
#[derive(Debug, Default)]
struct Outbox {
    entries: Vec<usize>,
    messages: Vec<OutgoingMessage>,
}

impl Outbox {
    fn put(&mut self, entry: usize, message: OutgoingMessage) {
        self.entries.push(entry);
        self.messages.push(message);
    }

    /// Sends all, in order. What was not sent has failed; its letter stays.
    async fn send(self, producer: &Producer, entries: &mut [Entry]) {
        if self.messages.is_empty() {
            return;
        }
        let Err(unsent) = producer.send(&self.messages).await else { return };
        for index in &unsent.indices {
            if let Some(entry) = self.entries.get(*index).and_then(|entry| entries.get_mut(*entry))
            {
                entry.fail(format!("its message was not sent: {}", unsent.reason));
            }
        }
    }
}

/// What is to be done with a case, with what the table holds; or why nobody knows.
type Decided = Result<(Plan, Option<StoredPayment>), String>;

impl<S: PaymentStore + 'static, T: TransactionService + 'static> Replayer<S, T> {
    /// Deals with cases, those of an account in their order. `is_held` says whether the letter
    /// at a place is still ours. The entries are in the order of the cases.
    pub(super) async fn work(&self, cases: &[Case], is_held: impl Fn(usize) -> bool) -> Vec<Entry> {
        let mut entries: Vec<(usize, Entry)> = Vec::with_capacity(cases.len());
        for wave in waves(cases) {
            let of_wave: Vec<_> = wave.iter().filter_map(|at| cases.get(*at)).collect();
            let dealt_with = self.work_on(&of_wave, &is_held).await;
            entries.extend(wave.into_iter().zip(dealt_with));
        }
        entries.sort_by_key(|(at, _)| *at);
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Deals with cases of different payments.
    async fn work_on(&self, cases: &[&Case], is_held: impl Fn(usize) -> bool) -> Vec<Entry> {
        let Some(now) = self.clock.sure() else {
            let failed = |case: &&Case| Entry::failed(case, CLOCK_IN_DOUBT.to_owned());
            return cases.iter().map(failed).collect();
        };
        let decided = self.decide(cases, now).await;
        let mut entries: Vec<Entry> = Vec::with_capacity(cases.len());
        for (case, decided) in cases.iter().zip(&decided) {
            entries.push(match decided {
                Ok((plan, _)) => Entry::planned(case, plan),
                Err(reason) => Entry::failed(case, reason.clone()),
            });
        }
        if self.mode == Mode::DryRun {
            return entries;
        }
        for (case, entry) in cases.iter().zip(&mut entries) {
            if entry.state == State::Planned && !case.place.is_none_or(&is_held) {
                entry.fail("its letter is in somebody else's hand by now".to_owned());
            }
        }
        self.write(&decided, &mut entries, now).await;
        let (mut payments, mut confirmations) = (Outbox::default(), Outbox::default());
        for (index, (case, decided)) in cases.iter().zip(&decided).enumerate() {
            let (Ok((plan, stored)), Some(entry)) = (decided, entries.get_mut(index)) else {
                continue;
            };
            if entry.state != State::Planned {
                continue;
            }
            match sent(case, plan, stored.as_ref()) {
                Err(reason) => entry.fail(reason.to_owned()),
                Ok(Message::Payment(reference, message)) => {
                    if self.comes_late(&reference) {
                        entry.add("it comes after a later payment of its account");
                    }
                    payments.put(index, message);
                }
                Ok(Message::Confirmation(message)) => confirmations.put(index, message),
                Ok(Message::None) => {}
            }
        }
        payments.send(&self.payments, &mut entries).await;
        confirmations.send(&self.confirmations, &mut entries).await;
        entries.iter_mut().for_each(Entry::done);
        entries
    }

    /// What is to be done with each case: the table is read and the transaction service asked
    /// about all of them side by side.
    async fn decide(&self, cases: &[&Case], now: Timestamp) -> Vec<Decided> {
        let mut read = self.read(cases).await;
        let mut decided: Vec<Decided> = Vec::with_capacity(cases.len());
        let mut asking = JoinSet::new();
        for (at, case) in cases.iter().enumerate() {
            let stored = read.remove(&at).unwrap_or(Ok(None));
            decided.push(match (self.step(case, &stored), stored) {
                (Err(reason), _) | (Ok(_), Err(reason)) => Err(reason),
                (Ok(Step::Decided(plan)), Ok(stored)) => Ok((plan, stored)),
                (Ok(Step::Ask(_)), Ok(None)) => Ok((Plan::Refuse(Refusal::NotInTable), None)),
                (Ok(Step::Ask(right)), Ok(Some(stored))) => {
                    let question = self.question(stored.payment.clone());
                    asking.spawn(async move { (at, stored, right, question.await) });
                    Err("asking the transaction service was broken off".to_owned())
                }
            });
        }
        while let Some(answer) = asking.join_next().await {
            let Ok((at, stored, right, found)) = answer else { continue };
            let plan = by_answer(&stored, right, found, &self.limits, now);
            if let Some(place) = decided.get_mut(at) {
                *place = Ok((plan, Some(stored)));
            }
        }
        decided
    }

    /// What the table holds of each case that it has to be asked about.
    async fn read(&self, cases: &[&Case]) -> HashMap<usize, Result<Option<StoredPayment>, String>> {
        let mut reading = JoinSet::new();
        for (at, case) in cases.iter().enumerate() {
            if case.letter.as_ref().and_then(by_letter).is_some() {
                continue;
            }
            if let Some(reference) = case.reference.clone() {
                let store = Arc::clone(&self.store);
                reading.spawn(async move { (at, store.get(&reference).await) });
            }
        }
        let mut stored = HashMap::new();
        while let Some(read) = reading.join_next().await {
            let Ok((at, read)) = read else { continue };
            let read = match read {
                Ok(stored) => Ok(stored),
                Err(PaymentsError::Item(_)) => Ok(None),
                Err(error) => Err(error.to_string()),
            };
            stored.insert(at, read);
        }
        stored
    }

    /// What letter and table decide.
    fn step(
        &self,
        case: &Case,
        stored: &Result<Option<StoredPayment>, String>,
    ) -> Result<Step, String> {
        if let Some(plan) = case.letter.as_ref().and_then(by_letter) {
            return Ok(Step::Decided(plan));
        }
        let Some(reference) = &case.reference else {
            return Ok(Step::Decided(Plan::Refuse(Refusal::Unreadable)));
        };
        let stored = stored.as_ref().map_err(Clone::clone)?;
        let carrier = case.letter.as_ref().map_or(Carrier::Name, Carrier::Letter);
        let replayed = if lock(&self.memory).replayed.contains(&reference.id) {
            Replayed::InThisRun
        } else {
            Replayed::NotYet
        };
        Ok(by_table(carrier, stored.as_ref(), self.version, replayed, &self.codes))
    }

    /// Asks for a payment when its turn at the way out has come.
    fn question(&self, payment: Payment) -> impl Future<Output = KeyStatus> + Send + use<S, T> {
        let (questions, transactions) = (self.questions.clone(), Arc::clone(&self.transactions));
        let memory = Arc::clone(&self.memory);
        async move {
            if let Some(unanswered) = lock(&memory).silence() {
                let reason = format!("no answer {unanswered} times in a row, not asked");
                return KeyStatus::NoAnswer { retry_after: None, reason };
            }
            let found = questions.ask(transactions.find((&payment).into())).await;
            lock(&memory).answered(&found);
            found
        }
    }

    /// Makes the writes that the plans ask for, in one request. An entry whose write was not
    /// made fails, unless the payment is under way already, as the plan has it.
    async fn write(&self, decided: &[Decided], entries: &mut [Entry], now: Timestamp) {
        let replays = decided.iter().zip(entries.iter_mut()).filter_map(|(decided, entry)| {
            let Ok((Plan::Replay { attempts, first_claim, right, .. }, Some(stored))) = decided
            else {
                return None;
            };
            let reference = stored.payment.reference();
            let planned = entry.state == State::Planned;
            planned.then_some((entry, reference, stored, right, (*attempts, *first_claim)))
        });
        let mut replays: Vec<_> = replays.collect();
        if replays.is_empty() {
            return;
        }
        let changes =
            replays.iter().map(|(_, reference, stored, right, (attempts, first_claim))| {
                let (table, attempts, first_claim) = (&stored.payment, *attempts, *first_claim);
                match right {
                    Right::Unquestioned => Change::Replay(reference, attempts, first_claim),
                    Right::Table => {
                        let right = RightVersion::Table;
                        Change::Decide(OperatorDecision { table, attempts, first_claim, right })
                    }
                    Right::Message(other) => {
                        let right = RightVersion::Message(other);
                        Change::Decide(OperatorDecision { table, attempts, first_claim, right })
                    }
                }
            });
        let changes: Vec<_> = changes.collect();
        let mut results = match self.store.apply(&changes, now).await {
            Ok(results) => results.into_iter(),
            Err(error) => {
                let reason = error.to_string();
                replays.iter_mut().for_each(|(entry, ..)| entry.fail(reason.clone()));
                return;
            }
        };
        for (entry, reference, stored, right, _) in &mut replays {
            match results.next() {
                Some(Ok(ApplyResult::Now | ApplyResult::Before)) => {
                    self.note_replayed(reference.id)
                }
                // A lost answer of this write, or another operator: the message is missing still.
                Some(Err(ChangeError::InStatus(now)))
                    if matches!(now.status, Status::Scheduled | Status::Pending)
                        && now.payment.same_instruction(paid(stored, right)) =>
                {
                    self.note_replayed(reference.id);
                }
                Some(Err(error)) => entry.fail(format!("it changed in the meantime: {error}")),
                None => entry.fail("the database gave no result".to_owned()),
            }
        }
    }

    fn note_replayed(&self, payment: PaymentId) {
        lock(&self.memory).replayed.insert(payment);
    }

    /// Notes what is sent, and says whether a later payment of its account was sent before.
    fn comes_late(&self, reference: &PaymentRef) -> bool {
        let key = (reference.due, reference.id);
        let mut memory = lock(&self.memory);
        let latest = memory.latest.entry(reference.account.clone()).or_insert(key);
        let late = *latest > key;
        *latest = key.max(*latest);
        late
    }
}

impl Memory {
    /// After how many questions without an answer none is asked now.
    fn silence(&self) -> Option<u32> {
        let lately = self.asked_at.is_some_and(|asked_at| asked_at.elapsed() < ASK_AGAIN);
        (self.unanswered >= SILENCE && lately).then_some(self.unanswered)
    }

    fn answered(&mut self, found: &KeyStatus) {
        self.asked_at = Some(Instant::now());
        match found {
            KeyStatus::NoAnswer { .. } => self.unanswered += 1,
            KeyStatus::Settled(_)
            | KeyStatus::UnderWay
            | KeyStatus::Rejected { .. }
            | KeyStatus::Nothing => {
                self.unanswered = 0;
            }
        }
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    // Each critical section changes a few values and cannot panic in between.
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The places of cases in rounds of different payments, each in order: a payment may have
/// several letters, and the later ones are decided by what the first has come to.
fn waves(cases: &[Case]) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut met: HashMap<PaymentId, usize> = HashMap::new();
    for (at, case) in cases.iter().enumerate() {
        let wave = case.reference.as_ref().map_or(0, |reference| {
            let met = met.entry(reference.id).or_default();
            *met += 1;
            *met - 1
        });
        if waves.len() <= wave {
            waves.resize_with(wave + 1, Vec::new);
        }
        if let Some(wave) = waves.get_mut(wave) {
            wave.push(at);
        }
    }
    waves
}

/// What a plan sends.
#[derive(Debug)]
enum Message {
    /// To the dispatchers.
    Payment(PaymentRef, OutgoingMessage),
    /// To the confirmers.
    Confirmation(OutgoingMessage),
    /// Nothing: only the letter goes.
    None,
}

/// The version of a payment that is to be paid.
fn paid<'a>(stored: &'a StoredPayment, right: &'a Right) -> &'a Payment {
    match right {
        Right::Unquestioned | Right::Table => &stored.payment,
        Right::Message(other) => other,
    }
}

/// What a plan that was carried out sends.
fn sent(case: &Case, plan: &Plan, stored: Option<&StoredPayment>) -> Result<Message, &'static str> {
    let stored = || stored.ok_or("it is not in the table");
    match plan {
        Plan::Replay { attempts, right, .. } => {
            stored().map(|stored| message(case, paid(stored, right), *attempts))
        }
        Plan::SendAgain(_) => {
            stored().map(|stored| message(case, &stored.payment, stored.attempts))
        }
        Plan::ConfirmAgain => {
            let message = confirmation(case).ok_or("its letter holds no confirmation")?;
            Ok(Message::Confirmation(message))
        }
        Plan::Close(_) | Plan::Refuse(_) => Ok(Message::None),
    }
}

/// The payment as the table holds it now. The deduplication id is that of this letter and of this
/// many attempts: a run that is repeated within five minutes sends one message, and none is
/// swallowed by one that led to a failure since (INV-7).
fn message(case: &Case, payment: &Payment, attempts: u32) -> Message {
    let source =
        case.letter.as_ref().map_or_else(|| payment.id.to_string(), |l| l.message_id.clone());
    let outgoing = payment_message(DeduplicationId::Replay(&source, attempts), payment);
    Message::Payment(payment.reference(), outgoing)
}

fn confirmation(case: &Case) -> Option<OutgoingMessage> {
    let letter = case.letter.as_ref()?;
    match &letter.body {
        Body::Confirmation(confirmation) => {
            Some(confirmation.message(ConfirmationSource::Replay(&letter.message_id)))
        }
        Body::Written(_) | Body::Payment(_) | Body::Unreadable(_) => None,
    }
}

#[cfg(test)]
mod tests;
