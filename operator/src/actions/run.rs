//! The entries of one command. What is about to be changed is written down before it is: an entry
//! without an end is of a command that may have died before it did what it says.

use std::sync::Arc;

use jiff::Timestamp;
use shared::aws::Aws;
use shared::config::Names;
use uuid::Uuid;

use super::caller::Caller;
use super::entry::{ActionEntry, ActionOnPayment, ActionStage};
use super::table::{ActionLogError, ActionStore, ActionsTable};

/// Most bytes of what was asked for, and of how it ended.
const MAX_TEXT: usize = 2_000;

/// What a command is about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Intent {
    /// Its name, such as `dlq discard`.
    pub(crate) command: &'static str,
    /// The operator's reason.
    pub(crate) because: Option<String>,
    /// What was asked for.
    pub(crate) what: String,
}

/// A command that writes down what it does.
#[derive(Debug, Clone)]
pub(crate) struct ActionRun {
    store: Arc<dyn ActionStore>,
    run: String,
    caller: Caller,
    intent: Intent,
}

impl ActionRun {
    /// Writes down that a command begins.
    ///
    /// # Errors
    /// [`ActionLogError`]: then nothing should be changed.
    pub(crate) async fn begin(
        aws: &Aws,
        names: &Names,
        intent: Intent,
    ) -> Result<Self, ActionLogError> {
        let table = ActionsTable::new(aws.dynamodb("actions"), names.actions_table());
        let caller = Caller::of_this_process(aws).await;
        Self::begin_in(Arc::new(table), caller, intent).await
    }

    /// The same in any store.
    pub(super) async fn begin_in(
        store: Arc<dyn ActionStore>,
        caller: Caller,
        intent: Intent,
    ) -> Result<Self, ActionLogError> {
        let run = Self { store, run: Uuid::now_v7().to_string(), caller, intent };
        let what = run.intent.what.clone();
        let began =
            ActionEntry { id: run.run.clone(), ..run.entry(ActionStage::Began, what, None) };
        run.store.put(&[began]).await?;
        Ok(run)
    }

    /// Writes down what is about to be done with payments, or why it was not.
    ///
    /// # Errors
    /// [`ActionLogError`]: then it should not be done.
    pub(crate) async fn note(&self, payments: Vec<ActionOnPayment>) -> Result<(), ActionLogError> {
        let entries = payments.into_iter().map(|ActionOnPayment { subject, outcome }| {
            self.entry(ActionStage::Payment, subject, Some(outcome))
        });
        self.store.put(&entries.collect::<Vec<_>>()).await
    }

    /// As [`ActionRun::note`], of what has happened already: that it cannot be written down is
    /// only said.
    pub(crate) async fn note_afterwards(&self, payments: Vec<ActionOnPayment>) {
        if payments.is_empty() {
            return;
        }
        if let Err(error) = self.note(payments).await {
            eprintln!("dueflow: {error}");
        }
    }

    /// Writes down how the command has ended.
    pub(crate) async fn end(&self, outcome: String) {
        let ended = self.entry(ActionStage::Ended, self.intent.what.clone(), Some(outcome));
        if let Err(error) = self.store.put(&[ended]).await {
            eprintln!("dueflow: {error}");
        }
    }

    fn entry(&self, stage: ActionStage, what: String, outcome: Option<String>) -> ActionEntry {
        ActionEntry {
            at: Timestamp::now(),
            id: Uuid::now_v7().to_string(),
            run: self.run.clone(),
            stage,
            command: self.intent.command.to_owned(),
            caller: self.caller.clone(),
            because: self.intent.because.clone(),
            what: cut(what),
            outcome: outcome.map(cut),
        }
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}

/// A log in memory, for tests of what is written down and when.
#[cfg(test)]
pub(crate) mod testing {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;

    /// The entries so far; `None` when none can be written any more.
    #[derive(Debug, Default)]
    pub(crate) struct ActionsInMemory(Mutex<Vec<ActionEntry>>, Mutex<bool>);

    #[async_trait]
    impl ActionStore for ActionsInMemory {
        async fn put(&self, entries: &[ActionEntry]) -> Result<(), ActionLogError> {
            if *self.1.lock().unwrap() {
                let (table, reason) = ("t".to_owned(), "it is full".to_owned());
                return Err(ActionLogError { table, reason });
            }
            self.0.lock().unwrap().extend_from_slice(entries);
            Ok(())
        }
    }

    impl ActionsInMemory {
        /// Has every further entry fail.
        pub(crate) fn fail(&self) {
            *self.1.lock().unwrap() = true;
        }

        /// What was written of payments.
        pub(crate) fn outcomes(&self) -> Vec<String> {
            let entries = self.0.lock().unwrap();
            let payments = entries.iter().filter(|entry| entry.stage == ActionStage::Payment);
            payments.filter_map(|entry| entry.outcome.clone()).collect()
        }
    }

    /// A run over a log in memory.
    pub(crate) async fn run() -> (Arc<ActionsInMemory>, ActionRun) {
        let store = Arc::new(ActionsInMemory::default());
        let caller = Caller { proven: None, claimed: "ana".to_owned() };
        let intent =
            Intent { command: "dlq discard", because: None, what: "--reason unknown".to_owned() };
        let shared = Arc::clone(&store) as Arc<dyn ActionStore>;
        (store, ActionRun::begin_in(shared, caller, intent).await.unwrap())
    }
}
