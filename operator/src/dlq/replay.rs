//! `dueflow dlq replay`: sends payments of the dead-letter queue again.

use std::collections::{BTreeSet, HashSet};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dispatcher::{CallLimits, Questions};
use domain::{AttemptLimits, PaymentRef};
use jiff::Timestamp;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{Common, Settings, attempt_limits};
use shared::payments::{PaymentStore, PaymentsTable};
use shared::queue::{MAX_BATCH, Producer};
use shared::transaction::{TransactionClient, TransactionService, TransactionSettings};
use tokio::task::JoinSet;

use super::letter::{Letter, Reason};
use super::plan::{Plan, Refusal};
use super::reader::{Look, Reader};
use super::replayer::{Case, Mode, Replayer};
use super::report::{Entry, Report, State};
use crate::cli::DlqReplayOptions;

/// Receivers that work side by side, each on a look of its own, of at most ten letters.
const RECEIVERS: usize = 16;

/// Settings of a replay.
#[derive(Debug)]
pub(crate) struct ReplaySettings {
    transaction: TransactionSettings,
    limits: AttemptLimits,
    calls: CallLimits,
}

impl ReplaySettings {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub(crate) fn read(settings: &mut Settings) -> Option<Self> {
        let transaction = TransactionSettings::read(settings);
        let limits = attempt_limits(settings);
        let calls = CallLimits::read(settings);
        Some(Self { transaction: transaction?, limits: limits?, calls: calls? })
    }
}

/// Which letters are meant.
#[derive(Debug)]
enum Selection {
    /// Those of these payments, of which no letter was met so far.
    Named { all: HashSet<PaymentRef>, unmet: BTreeSet<String> },
    /// Those with this reason.
    Reason(Reason),
    /// Every one.
    All,
}

impl Selection {
    fn of(options: &DlqReplayOptions) -> Self {
        match options.reason {
            Some(reason) => Self::Reason(reason),
            None if options.all => Self::All,
            None => {
                let all: HashSet<_> = options.references.iter().cloned().collect();
                let unmet = all.iter().map(ToString::to_string).collect();
                Self::Named { all, unmet }
            }
        }
    }

    fn takes(&mut self, letter: &Letter) -> bool {
        match self {
            Self::All => true,
            Self::Reason(reason) => letter.reason() == *reason,
            Self::Named { all, unmet } => letter.reference().is_some_and(|reference| {
                let named = all.contains(&reference);
                if named {
                    unmet.remove(&reference.to_string());
                }
                named
            }),
        }
    }

    /// The named payments of which no letter was met.
    fn unmet(&self) -> Vec<PaymentRef> {
        match self {
            Self::All | Self::Reason(_) => Vec::new(),
            Self::Named { all, unmet } => {
                let mut left: Vec<_> =
                    all.iter().filter(|r| unmet.contains(&r.to_string())).cloned().collect();
                left.sort_by(|a, b| (&a.account, a.due, a.id).cmp(&(&b.account, b.due, b.id)));
                left
            }
        }
    }
}

/// The command.
pub(crate) async fn replay(
    common: &Common,
    settings: &ReplaySettings,
    options: DlqReplayOptions,
) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let mode = if options.execute { Mode::Execute } else { Mode::DryRun };
    let names = &common.names;
    let table =
        PaymentsTable::new(aws.dynamodb("replay"), &names.payments_table(), common.due_shards);
    let clock = Clock::system();
    let replayer = Replayer {
        store: Arc::new(table),
        transactions: Arc::new(TransactionClient::new(&settings.transaction)?),
        questions: Questions::new(settings.calls, clock.now()),
        payments: Producer::open(&aws, names.payments_queue()).await?,
        confirmations: Producer::open(&aws, names.confirmations_queue()).await?,
        limits: settings.limits,
        codes: settings.transaction.contract.codes.clone(),
        clock,
        mode,
        version: options.version,
        memory: Arc::default(),
    };
    let run = Run {
        selection: Selection::of(&options),
        report: Report::new(mode, options.json),
        began: Timestamp::now(),
    };
    let replay =
        Replay { replayer, reader: Reader::open(&aws, names).await?, run: Mutex::new(run) };
    let replay = Arc::new(replay);
    let done = Arc::clone(&replay).receive_all().await;
    let done = match done {
        Ok(()) => replay.unmet().await,
        Err(error) => Err(error),
    };
    let left = replay.reader.finish(&aws, names).await;
    done?;
    let left = left?;
    let run = replay.run();
    run.report.finish(left)?;
    // Whoever names a payment wants it sent: that it has ended is a refusal then.
    let refused = !options.references.is_empty() && run.report.closed() > 0;
    Ok(if run.report.is_clean(left) && !refused { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All that the receivers share.
struct Replay<S, T> {
    replayer: Replayer<S, T>,
    reader: Reader,
    run: Mutex<Run>,
}

impl<S: PaymentStore + 'static, T: TransactionService + 'static> Replay<S, T> {
    /// Looks at the queue with several receivers at once, until nothing is left to see. The
    /// first that fails has the others end after what they have in hand.
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
        while let Some(mut look) = self.reader.next().await? {
            if self.reader.is_interrupted() {
                self.reader.keep(look);
                continue;
            }
            let cases = self.run().cases(&mut look);
            let entries = self.replayer.work(&cases, |place| look.is_held(place)).await;
            let done = entries.iter().filter(|entry| entry.state == State::Done);
            let done = done.filter_map(|entry| entry.place).collect();
            // The letters first: a reader of the output that has gone away changes nothing.
            self.reader.settle(look, &done).await;
            self.run().report.enter(&entries)?;
        }
        Ok(())
    }

    /// Deals with the payments that were named and of which no letter was met.
    async fn unmet(&self) -> anyhow::Result<()> {
        let unmet = self.run().selection.unmet();
        for some in unmet.chunks(MAX_BATCH) {
            if self.reader.is_interrupted() {
                break;
            }
            let case = |reference: &PaymentRef| Case {
                place: None,
                letter: None,
                reference: Some(reference.clone()),
            };
            let cases: Vec<_> = some.iter().map(case).collect();
            let entries = if self.reader.has_unseen() && self.replayer.version.is_none() {
                let refused = Plan::Refuse(Refusal::DeadLetterUnseen);
                cases.iter().map(|case| Entry::planned(case, &refused)).collect()
            } else {
                self.replayer.work(&cases, |_| false).await
            };
            self.run().report.enter(&entries)?;
        }
        Ok(())
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One run.
struct Run {
    selection: Selection,
    report: Report,
    began: Timestamp,
}

impl Run {
    /// Whether a letter is left alone because it was written after the run began: it may be
    /// what the run itself brought about. The two times are of two clocks, so whoever names a
    /// payment gets it: that it is not replayed twice, the replayer knows by its id.
    fn is_newer(&self, letter: &Letter) -> bool {
        match self.selection {
            Selection::Named { .. } => false,
            Selection::Reason(_) | Selection::All => letter.at().is_some_and(|at| at > self.began),
        }
    }

    /// The selected letters of a look, those of each account in the order of its payments.
    fn cases(&mut self, look: &mut Look) -> Vec<Case> {
        let mut cases = Vec::with_capacity(look.letters.len());
        for (place, letter) in std::mem::take(&mut look.letters) {
            if !self.selection.takes(&letter) {
                continue;
            }
            if self.is_newer(&letter) {
                self.report.newer += 1;
                continue;
            }
            let reference = letter.reference();
            cases.push(Case { place: Some(place), letter: Some(letter), reference });
        }
        // Of several accounts at once: only the order within each matters.
        cases.sort_by_key(Case::order);
        cases
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_that_is_named_is_not_left_out_because_of_another_machines_clock() {
        let began: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let text = r#"{"code":"rejected","reason":"x","service":"dispatcher","at":"2026-11-23T12:00:01Z"}"#;
        let letter = Letter::read("m", "ACC", text.to_owned());
        assert!(letter.at().is_some_and(|at| at > began), "{letter:?}");
        let run = |selection| Run { selection, report: Report::new(Mode::DryRun, false), began };
        assert!(run(Selection::All).is_newer(&letter));
        assert!(run(Selection::Reason(letter.reason())).is_newer(&letter));
        let named = Selection::Named { all: HashSet::new(), unmet: BTreeSet::new() };
        assert!(!run(named).is_newer(&letter));
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod side_by_side;
