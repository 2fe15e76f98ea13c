//! Carries out replay plans. The order makes every crash harmless: first the write (FAILED →
//! SCHEDULED), then the message, then the dead letter is deleted. A process that dies in between
//! leaves the dead letter, and the next run finds the payment SCHEDULED or PENDING and sends the
//! message (again).
//!
//! Several receivers work side by side, each on a window of its own. All dead letters of a group
//! that can be seen are in one window, so the order within an account is the order within its
//! window, and a window is sent before it is settled.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatcher::QueryLimiter;
use domain::{
    AccountId, AttemptLimits, DueDate, KeyStatus, Payment, PaymentId, PaymentRef, RefusalCodes,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use shared::clock::Clock;
use shared::pacer::Pacer;
use shared::payments::{ApplyResult, ChangeError, PaymentStore, PaymentsError, StoredPayment};
use shared::queue::{OutgoingMessage, Producer};
use shared::shutdown::Shutdown;
use shared::transaction::TransactionService;
use tokio::time::Instant;

use super::candidate::{Candidate, Replay, ReplayMode, ReplayOutcome, ReplayState};
use super::dead_letter::DeadLetterMessage;
use super::discard_plan::{self, DiscardDecision, DiscardRules};
use super::plan::{
    EarlierReplay, ReplayPlan, ReplayRefusal, TableDecision, by_answer, by_dead_letter, by_table,
};
use super::versions::WhichVersion;
use super::work::ReplayMessage;
use crate::actions::ActionRun;

/// Questions in a row without an answer after which one is asked only now and then: each may
/// take as long as the time limit of a call.
const SILENCE: u32 = 20;

/// Why nothing is decided: the age of a key goes by the clock.
const CLOCK_IN_DOUBT: &str = "this machine's clock has moved by more than a minute against the time that has passed: put it right and run it again";

/// Why nothing is done any more.
const INTERRUPTED: &str = "interrupted before it was done; run it again";

/// Time after such a question until the next: the service may be back, or have no answer only
/// for the payments asked for so far.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// Reads, asks, writes and sends, for several receivers at once.
#[derive(Debug)]
pub(super) struct Replayer<S, T> {
    pub(super) store: S,
    pub(super) transactions: T,
    /// The call limiter of the questions.
    pub(super) questions: QueryLimiter,
    pub(super) payments: Producer,
    pub(super) confirmations: Producer,
    pub(super) limits: AttemptLimits,
    /// What a certain rejection looks like.
    pub(super) codes: RefusalCodes,
    pub(super) clock: Clock,
    pub(super) mode: ReplayMode,
    /// Which version of a payment is right, where there are two.
    pub(super) version: Option<WhichVersion>,
    pub(super) purpose: RunPurpose,
    /// Where it is written down what is changed; `None` when nothing is.
    pub(super) actions: Option<ActionRun>,
    /// At which rate payments are changed, if at a given one.
    pub(super) pacer: Option<Pacer>,
    /// Ends the waiting for a turn or an answer.
    pub(super) shutdown: Shutdown,
    pub(super) memory: Mutex<ReplayMemory>,
}

/// What becomes of payments that FAILED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RunPurpose {
    /// They are sent again.
    Replay,
    /// They are given up.
    Discard {
        /// What shows that no money has moved, where the key may be forgotten.
        evidence: Option<String>,
    },
}

/// What a run remembers.
#[derive(Debug, Default)]
pub(super) struct ReplayMemory {
    /// Questions in a row that had no answer.
    unanswered: u32,
    /// When the last of them was asked.
    asked_at: Option<Instant>,
    /// What this run has replayed.
    replayed: HashSet<PaymentId>,
    /// The latest payment of each account that this run has sent.
    latest: HashMap<AccountId, (DueDate, PaymentId)>,
}

impl<S: PaymentStore, T: TransactionService> Replayer<S, T> {
    /// Deals with candidates, those of an account in their order.
    pub(super) async fn work(&self, candidates: Vec<Candidate>) -> Vec<Replay> {
        let mut replays = Vec::with_capacity(candidates.len());
        for round in rounds(candidates) {
            replays.extend(self.work_on(round).await);
        }
        replays
    }

    /// Deals with candidates of different payments.
    async fn work_on(&self, candidates: Vec<Candidate>) -> Vec<Replay> {
        let Some(now) = self.clock.sure() else {
            let failed = |candidate| Replay::undecided(candidate, CLOCK_IN_DOUBT.to_owned());
            return candidates.into_iter().map(failed).collect();
        };
        let plans = join_all(candidates.iter().map(|candidate| self.plan(candidate, now))).await;
        let planned = candidates.into_iter().zip(plans).map(|(candidate, plan)| match plan {
            Ok((plan, stored)) => Replay::planned(candidate, &plan, stored),
            Err(reason) => Replay::undecided(candidate, reason),
        });
        let mut replays: Vec<_> = planned.collect();
        if self.mode == ReplayMode::DryRun {
            return replays;
        }
        self.turn(&mut replays).await;
        for Replay { candidate, outcome, .. } in &mut replays {
            if outcome.state == ReplayState::Planned && !candidate.is_held() {
                outcome.fail(
                    "another command may have its dead letter by now; run it again".to_owned(),
                );
            }
        }
        let noted = self.note(&mut replays).await;
        self.write(&mut replays, now).await;
        self.send(&mut replays).await;
        replays.iter_mut().for_each(|replay| replay.outcome.done());
        self.note_failed(&replays, &noted).await;
        replays
    }

    /// Writes down what is about to be done, and says of which it is. What cannot be written down
    /// is not done.
    async fn note(&self, replays: &mut [Replay]) -> Vec<usize> {
        let Some(actions) = &self.actions else { return Vec::new() };
        let all = replays.iter().enumerate();
        let planned = all.filter(|(_, replay)| replay.outcome.state == ReplayState::Planned);
        let (planned, entries): (Vec<_>, Vec<_>) =
            planned.map(|(index, replay)| (index, replay.action())).unzip();
        if planned.is_empty() {
            return planned;
        }
        match actions.note(entries).await {
            Ok(()) => planned,
            Err(error) => {
                let is_planned =
                    |replay: &&mut Replay| replay.outcome.state == ReplayState::Planned;
                let undone = replays.iter_mut().filter(is_planned);
                undone.for_each(|replay| replay.outcome.fail(format!("not done: {error}")));
                Vec::new()
            }
        }
    }

    /// Writes down what could not be done though it was noted.
    async fn note_failed(&self, replays: &[Replay], noted: &[usize]) {
        let Some(actions) = &self.actions else { return };
        let noted = noted.iter().filter_map(|index| replays.get(*index));
        let failed = noted.filter(|replay| replay.outcome.state == ReplayState::Failed);
        actions.note_afterwards(failed.map(Replay::action).collect()).await;
    }

    /// Waits until it is the turn of what is planned. What was interrupted before is not done.
    async fn turn(&self, replays: &mut [Replay]) {
        let planned = |replay: &&mut Replay| replay.outcome.state == ReplayState::Planned;
        let count = replays.iter_mut().filter(planned).count();
        let turn = async {
            if let Some(pacer) = &self.pacer {
                pacer.turn(count).await;
            }
        };
        if count > 0 && self.shutdown.unless_requested(turn).await.is_none() {
            let interrupted = replays.iter_mut().filter(planned);
            interrupted.for_each(|replay| replay.outcome.fail(INTERRUPTED.to_owned()));
        }
    }

    /// The plan for a candidate, with what the table holds if it was read; or why there is none.
    async fn plan(
        &self,
        candidate: &Candidate,
        now: Timestamp,
    ) -> Result<(ReplayPlan, Option<Box<StoredPayment>>), String> {
        let (dead_letter, naming) = (candidate.dead_letter.as_ref(), candidate.naming);
        let decided = dead_letter.and_then(|dead_letter| match &self.purpose {
            RunPurpose::Replay => by_dead_letter(dead_letter),
            RunPurpose::Discard { .. } => discard_plan::by_dead_letter(dead_letter, naming),
        });
        if let Some(plan) = decided {
            return Ok((plan, None));
        }
        let Some(reference) = &candidate.reference else {
            return Ok((ReplayPlan::Refuse(ReplayRefusal::Unreadable), None));
        };
        let stored = match self.store.get(reference).await {
            Ok(Some(stored)) => Box::new(stored),
            Ok(None) | Err(PaymentsError::Item(_)) => {
                return Ok((self.without_item(candidate).await, None));
            }
            Err(error) => return Err(error.to_string()),
        };
        let earlier = if self.memory().replayed.contains(&reference.id) {
            EarlierReplay::InThisRun
        } else {
            EarlierReplay::NotInThisRun
        };
        let plan = match &self.purpose {
            RunPurpose::Replay => {
                match by_table(dead_letter, &stored, self.version, earlier, &self.codes) {
                    TableDecision::Plan(plan) => plan,
                    TableDecision::Ask(version) => {
                        let found = self.ask(&stored.payment).await;
                        by_answer(&stored, version, found, &self.limits, now)
                    }
                }
            }
            RunPurpose::Discard { evidence } => {
                let (codes, limits, evidence) = (&self.codes, &self.limits, evidence.as_deref());
                let rules = DiscardRules { codes, limits, evidence };
                match discard_plan::by_table(dead_letter, naming, &stored, earlier) {
                    DiscardDecision::Plan(plan) => plan,
                    DiscardDecision::Ask => {
                        let found = self.ask(&stored.payment).await;
                        discard_plan::by_answer(dead_letter, &stored, found, rules, now)
                    }
                }
            }
        };
        Ok((plan, Some(stored)))
    }

    /// The plan for a payment that the table does not hold.
    async fn without_item(&self, candidate: &Candidate) -> ReplayPlan {
        let dead_letter = candidate.dead_letter.as_ref();
        match (&self.purpose, discard_plan::without_item(dead_letter, candidate.naming)) {
            (RunPurpose::Replay, _) => ReplayPlan::Refuse(ReplayRefusal::NotInTable),
            (RunPurpose::Discard { .. }, DiscardDecision::Plan(plan)) => plan,
            (RunPurpose::Discard { .. }, DiscardDecision::Ask) => {
                let version = dead_letter.and_then(DeadLetterMessage::any_version);
                match version {
                    Some(payment) => discard_plan::by_answer_without_item(self.ask(&payment).await),
                    None => ReplayPlan::Refuse(ReplayRefusal::Unreadable),
                }
            }
        }
    }

    /// Asks the transaction service for a payment, once the call limiter lets it.
    async fn ask(&self, payment: &Payment) -> KeyStatus {
        if let Some(unanswered) = self.memory().unanswered_since() {
            let reason = format!("no answer {unanswered} times in a row, not asked");
            return KeyStatus::NoAnswer { retry_after: None, reason };
        }
        let asking = self.questions.ask(self.transactions.find(payment.into()));
        let Some(found) = self.shutdown.unless_requested(asking).await else {
            return KeyStatus::NoAnswer { retry_after: None, reason: INTERRUPTED.to_owned() };
        };
        self.memory().answered(&found);
        found
    }

    /// Makes the writes of what is planned, in one request. A replay whose write was not made
    /// fails, unless the payment is under way already, as planned.
    async fn write(&self, replays: &mut [Replay], now: Timestamp) {
        let mut writing: Vec<_> = replays.iter_mut().filter_map(Replay::planned_write).collect();
        if writing.is_empty() {
            return;
        }
        let changes: Vec<_> = writing.iter().map(|(write, _)| write.change()).collect();
        let mut results = match self.store.apply(&changes, now).await {
            Ok(results) => results.into_iter(),
            Err(error) => {
                writing.iter_mut().for_each(|(_, outcome)| outcome.fail(error.to_string()));
                return;
            }
        };
        for (write, outcome) in writing {
            match results.next() {
                Some(Ok(ApplyResult::Now | ApplyResult::Before)) => {
                    self.note_replayed(write.reference.id)
                }
                // A lost answer of this write, or another operator: the message is missing still.
                Some(Err(ChangeError::InStatus(now))) if write.is_made(&now) => {
                    self.note_replayed(write.reference.id);
                }
                Some(Err(error)) => outcome.fail(format!("it changed in the meantime: {error}")),
                None => outcome.fail("the database gave no result".to_owned()),
            }
        }
    }

    /// Sends the messages of what is planned and written, in order.
    async fn send(&self, replays: &mut [Replay]) {
        let (mut payments, mut confirmations) = (Vec::new(), Vec::new());
        for (message, outcome) in replays.iter_mut().filter_map(Replay::planned_message) {
            match message {
                ReplayMessage::Payment(reference, message) => {
                    if self.comes_late(&reference) {
                        outcome.add("it comes after a later payment of its account");
                    }
                    payments.push((message, outcome));
                }
                ReplayMessage::Confirmation(message) => confirmations.push((message, outcome)),
            }
        }
        send_all(&self.payments, payments).await;
        send_all(&self.confirmations, confirmations).await;
    }

    fn note_replayed(&self, payment: PaymentId) {
        self.memory().replayed.insert(payment);
    }

    /// Notes what is sent, and says whether a later payment of its account was sent before.
    fn comes_late(&self, reference: &PaymentRef) -> bool {
        let key = (reference.due, reference.id);
        let mut memory = self.memory();
        let latest = memory.latest.entry(reference.account.clone()).or_insert(key);
        let late = *latest > key;
        *latest = key.max(*latest);
        late
    }

    fn memory(&self) -> MutexGuard<'_, ReplayMemory> {
        // Each critical section changes a few values and cannot panic in between.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReplayMemory {
    /// After how many questions without an answer none is asked now.
    fn unanswered_since(&self) -> Option<u32> {
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

/// Sends messages, in order. What was not sent has failed; its dead letter stays.
async fn send_all(producer: &Producer, messages: Vec<(OutgoingMessage, &mut ReplayOutcome)>) {
    let (messages, mut outcomes): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
    let Err(unsent) = producer.send(&messages).await else { return };
    for index in unsent.indices {
        if let Some(outcome) = outcomes.get_mut(index) {
            outcome.fail(format!("its message was not sent: {}", unsent.reason));
        }
    }
}

/// Rounds of candidates of different payments, each in order: a payment may have several dead
/// letters, and the later ones are decided by what the first has come to.
fn rounds(candidates: Vec<Candidate>) -> Vec<Vec<Candidate>> {
    let mut rounds: Vec<Vec<Candidate>> = Vec::new();
    let mut earlier: HashMap<PaymentId, usize> = HashMap::new();
    for candidate in candidates {
        let round = candidate.reference.as_ref().map_or(0, |reference| {
            let next = earlier.entry(reference.id).or_default();
            *next += 1;
            *next - 1
        });
        match rounds.get_mut(round) {
            Some(round) => round.push(candidate),
            None => rounds.push(vec![candidate]),
        }
    }
    rounds
}

#[cfg(test)]
mod tests;
