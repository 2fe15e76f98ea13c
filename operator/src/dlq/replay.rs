//! `dueflow dlq replay`: sends payments of the dead-letter queue again. A discard is carried out in
//! the same way.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatcher::QueryLimiter;
use jiff::Timestamp;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Common;
use shared::pacer::Pacer;
use shared::payments::{PaymentStore, PaymentsTable};
use shared::queue::{MAX_BATCH, Producer};
use shared::shutdown::Shutdown;
use shared::transaction::{TransactionClient, TransactionService};
use tokio::task::JoinSet;

use super::candidate::{Candidate, Replay, ReplayMode, ReplayState};
use super::dead_letter::DeadLetterMessage;
use super::discard_grounds::DiscardRefusal;
use super::options::{DlqReplayOptions, DlqRunOptions, ReplaySettings};
use super::plan::{ReplayPlan, ReplayRefusal};
use super::reader::{DeadLetterReader, ReadWindow, ReceivedDeadLetter};
use super::reading::{RECEIVERS, attempted};
use super::replayer::{Replayer, RunPurpose};
use super::report::ReplayReport;
use super::selection::DlqSelection;
use super::versions::WhichVersion;
use crate::actions::{ActionRun, Intent};

/// The command.
pub(crate) async fn replay(
    common: &Common,
    settings: &ReplaySettings,
    options: DlqReplayOptions,
) -> anyhow::Result<ExitCode> {
    let selection = match options.references {
        references if references.is_empty() => DlqSelection::Filtered(options.filter),
        references => DlqSelection::of_payments(references),
    };
    let order = RunOrder {
        selection,
        purpose: RunPurpose::Replay,
        version: options.version,
        because: options.because,
        run: options.run,
    };
    carry_out(common, settings, order).await
}

/// What is to be done with which dead letters.
pub(super) struct RunOrder {
    pub(super) selection: DlqSelection,
    pub(super) purpose: RunPurpose,
    pub(super) version: Option<WhichVersion>,
    /// The operator's reason.
    pub(super) because: Option<String>,
    pub(super) run: DlqRunOptions,
}

impl RunOrder {
    /// What the action log says of it; `None` of a dry run.
    fn intent(&self) -> Option<Intent> {
        let mut what = self.selection.to_string();
        if let Some(version) = self.version {
            what = format!("{what}, version {version:?}");
        }
        let command = match &self.purpose {
            RunPurpose::Replay => "dlq replay",
            RunPurpose::Discard { evidence } => {
                if let Some(evidence) = evidence {
                    what = format!("{what}, evidence: {evidence}");
                }
                "dlq discard"
            }
        };
        let because = self.because.clone();
        self.run.execute.then_some(Intent { command, because, what })
    }
}

/// Carries out a replay or a discard.
pub(super) async fn carry_out(
    common: &Common,
    settings: &ReplaySettings,
    order: RunOrder,
) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let actions = match order.intent() {
        Some(intent) => Some(ActionRun::begin(&aws, &common.names, intent).await?),
        None => None,
    };
    let RunOrder { selection, purpose, version, run: options, .. } = order;
    let mode = if options.execute { ReplayMode::Execute } else { ReplayMode::DryRun };
    let names = &common.names;
    let table =
        PaymentsTable::new(aws.dynamodb("replay"), &names.payments_table(), common.due_shards);
    let clock = Clock::system();
    let signals = Shutdown::new(Duration::ZERO).on_signals()?;
    let replayer = Replayer {
        store: table,
        transactions: TransactionClient::new(&settings.transaction)?,
        questions: QueryLimiter::new(settings.calls, clock.now()),
        payments: Producer::open(&aws, names.payments_queue()).await?,
        confirmations: Producer::open(&aws, names.confirmations_queue()).await?,
        limits: settings.limits,
        codes: settings.transaction.contract.codes.clone(),
        clock,
        mode,
        version,
        purpose,
        actions: actions.clone(),
        pacer: options.rate.map(Pacer::new),
        shutdown: signals.clone(),
        memory: Mutex::default(),
    };
    // A payment is named to be sent: that it has ended is a refusal then.
    let must_go_on = selection.is_named() && replayer.purpose == RunPurpose::Replay;
    let report = ReplayReport::new(mode, options.json, options.limit);
    let state = RunState { selection, report, began: Timestamp::now() };
    let reader = DeadLetterReader::open(&aws, names, signals).await?;
    let run = Arc::new(ReplayRun { replayer, reader, state: Mutex::new(state) });
    let done = match Arc::clone(&run).receive_all().await {
        Ok(()) => run.named_without_dead_letter().await,
        Err(error) => Err(error),
    };
    let unread = run.reader.finish(&aws, names).await;
    if let Some(actions) = actions {
        let counts = run.state().report.counts();
        actions
            .end(
                done.as_ref()
                    .map_or_else(|error| format!("{counts}; {error:#}"), |()| counts.clone()),
            )
            .await;
    }
    done?;
    let unread = unread?;
    let state = run.state();
    state.report.finish(unread)?;
    let refused = must_go_on && state.report.closed() > 0;
    let clean = state.report.is_clean(unread) && !refused;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All that the receivers share.
struct ReplayRun<S, T> {
    replayer: Replayer<S, T>,
    reader: DeadLetterReader,
    state: Mutex<RunState>,
}

impl<S: PaymentStore + 'static, T: TransactionService + 'static> ReplayRun<S, T> {
    /// Reads the queue with several receivers at once, until all is read. The first that fails
    /// has the others end after their windows.
    async fn receive_all(self: Arc<Self>) -> anyhow::Result<()> {
        let mut receivers = JoinSet::new();
        for _ in 0..RECEIVERS {
            receivers.spawn(Arc::clone(&self).receive());
        }
        let mut done = Ok(());
        while let Some(ended) = receivers.join_next().await {
            let ended = ended.map_err(anyhow::Error::from).flatten();
            if ended.is_err() {
                self.reader.stop();
            }
            done = done.and(ended);
        }
        done
    }

    async fn receive(self: Arc<Self>) -> anyhow::Result<()> {
        while let Some(window) = self.reader.next().await? {
            if self.reader.is_interrupted() {
                self.reader.keep(window);
                continue;
            }
            let (candidates, mut kept) = self.state().select(window);
            let candidates = self.attempted(candidates, &mut kept).await?;
            let mut replays = self.replayer.work(candidates).await;
            let mut done = Vec::new();
            for Replay { candidate, outcome, .. } in &mut replays {
                let is_done = outcome.state == ReplayState::Done;
                let side = if is_done { &mut done } else { &mut kept };
                side.extend(candidate.received.take());
            }
            // The dead letters first: a reader of the output that has gone away changes nothing.
            self.reader.settle(done, kept).await;
            self.state().report.enter(&replays)?;
        }
        Ok(())
    }

    /// Leaves out the candidates that were attempted more or less often than is asked for.
    async fn attempted(
        &self,
        candidates: Vec<Candidate>,
        kept: &mut Vec<ReceivedDeadLetter>,
    ) -> anyhow::Result<Vec<Candidate>> {
        let Some(range) = self.state().selection.attempts() else { return Ok(candidates) };
        let store = &self.replayer.store;
        let (taken, others) =
            attempted(store, range, candidates, |candidate| candidate.dead_letter.as_ref()).await?;
        kept.extend(others.into_iter().filter_map(|candidate| candidate.received));
        Ok(taken)
    }

    /// Deals with the payments that were named and of which no dead letter was met.
    async fn named_without_dead_letter(&self) -> anyhow::Result<()> {
        let (unmet, messages) = self.state().selection.unmet();
        for some in unmet.chunks(MAX_BATCH) {
            if self.reader.is_interrupted() {
                break;
            }
            let candidates: Vec<_> = some.iter().cloned().map(Candidate::named).collect();
            let replays = if self.reader.has_unseen() && self.replayer.version.is_none() {
                let refused = ReplayPlan::Refuse(ReplayRefusal::DeadLetterUnseen);
                let refuse = |candidate| Replay::planned(candidate, &refused, None);
                candidates.into_iter().map(refuse).collect()
            } else {
                self.replayer.work(candidates).await
            };
            self.state().report.enter(&replays)?;
        }
        let not_there = ReplayPlan::Refuse(ReplayRefusal::NotDiscarded(DiscardRefusal::NoMessage));
        let replays: Vec<_> = messages
            .into_iter()
            .map(|id| Replay::planned(Candidate::message(id), &not_there, None))
            .collect();
        self.state().report.enter(&replays)?;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, RunState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the receivers change.
struct RunState {
    selection: DlqSelection,
    report: ReplayReport,
    began: Timestamp,
}

impl RunState {
    /// Whether a dead letter is left alone because it was written after the run began: the run
    /// itself may have caused it. The two times are of two clocks, so a payment that is named is
    /// dealt with anyway; the replayer knows by its id that it does not replay it twice.
    fn is_newer(&self, dead_letter: &DeadLetterMessage) -> bool {
        !self.selection.is_named() && dead_letter.at().is_some_and(|at| at > self.began)
    }

    /// The selected dead letters of a window, those of each account in the order of its payments,
    /// and the messages that stay.
    fn select(&mut self, window: ReadWindow) -> (Vec<Candidate>, Vec<ReceivedDeadLetter>) {
        let ReadWindow { new, again: mut kept } = window;
        let mut candidates = Vec::with_capacity(new.len());
        for (received, dead_letter) in new {
            let taken = self.selection.takes(&dead_letter, self.began);
            let is_newer = taken.is_some() && self.is_newer(&dead_letter);
            self.report.newer += u64::from(is_newer);
            match taken.filter(|_| !is_newer) {
                Some(naming) => {
                    candidates.push(Candidate::new(received, dead_letter).with(naming));
                }
                None => kept.push(received),
            }
        }
        // Of several accounts at once: only the order within each matters.
        candidates.sort_by_key(Candidate::order);
        (candidates, kept)
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::DlqFilter;
    use super::*;

    #[test]
    fn a_payment_that_is_named_is_not_left_out_because_of_another_machines_clock() {
        let began: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let text = r#"{"code":"rejected","reason":"x","service":"dispatcher","at":"2026-11-23T12:00:01Z"}"#;
        let dead_letter = DeadLetterMessage::read("m", "ACC", text.to_owned());
        assert!(dead_letter.at().is_some_and(|at| at > began), "{dead_letter:?}");
        let state = |selection| RunState {
            selection,
            report: ReplayReport::new(ReplayMode::DryRun, false, None),
            began,
        };
        assert!(state(DlqSelection::Filtered(DlqFilter::default())).is_newer(&dead_letter));
        assert!(
            state(DlqSelection::Filtered(DlqFilter {
                reason: Some(dead_letter.reason()),
                ..DlqFilter::default()
            }))
            .is_newer(&dead_letter)
        );
        let named = DlqSelection::of_payments(Vec::new());
        assert!(!state(named).is_newer(&dead_letter));
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod side_by_side;
