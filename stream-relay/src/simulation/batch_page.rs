//! The pages of all relays, as far as the batch clock is on them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use domain::BatchReading;
use shared::queue::QueueDepth;

use crate::batch_page::BatchPage;
use crate::labels::QueueKind;

/// What the relays show.
#[derive(Debug, Default)]
pub(super) struct Pages(Mutex<BTreeMap<String, Shown>>);

/// What one relay shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) reading: Option<BatchReading>,
    pub(super) payments: Option<QueueDepth>,
}

impl Pages {
    fn shown(&self) -> MutexGuard<'_, BTreeMap<String, Shown>> {
        self.0.lock().unwrap()
    }

    /// The page of a relay.
    pub(super) fn of(self: &Arc<Self>, name: &str) -> Arc<dyn BatchPage> {
        Arc::new(RelayPage { pages: Arc::clone(self), name: name.to_owned() })
    }

    /// A relay was killed: nobody can read its page.
    pub(super) fn gone(&self, name: &str) {
        self.shown().remove(name);
    }

    /// Who shows anything.
    pub(super) fn shows(&self) -> Vec<String> {
        self.shown().keys().cloned().collect()
    }

    /// What is shown, by whoever does.
    pub(super) fn reading(&self) -> Option<BatchReading> {
        self.shown().values().find_map(|shown| shown.reading)
    }

    /// Messages of `payments.fifo` that are shown.
    pub(super) fn payments(&self) -> Option<u64> {
        self.shown().values().find_map(|shown| shown.payments).map(|depth| depth.visible)
    }
}

/// The page of one relay. Whenever something comes onto it, no other may show anything.
#[derive(Debug)]
struct RelayPage {
    pages: Arc<Pages>,
    name: String,
}

impl RelayPage {
    fn change(&self, change: impl FnOnce(&mut Shown)) {
        let mut shown = self.pages.shown();
        change(shown.entry(self.name.clone()).or_default());
        assert_eq!(shown.len(), 1, "two relays show: {shown:?}");
    }
}

impl BatchPage for RelayPage {
    fn show(&self, reading: &BatchReading) {
        self.change(|shown| shown.reading = Some(*reading));
    }

    fn show_depth(&self, queue: QueueKind, depth: Option<QueueDepth>) {
        if queue == QueueKind::Payments {
            self.change(|shown| shown.payments = depth);
        }
    }

    fn clear(&self) {
        self.pages.gone(&self.name);
    }
}
