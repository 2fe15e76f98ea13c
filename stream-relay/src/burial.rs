//! Burying what cannot be read, beside the reading: a dead-letter queue that does not answer
//! holds up nobody's payments.

use std::sync::Arc;

use shared::domain::{Failure, FailureCode};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::events;
use crate::forwarder::Stopped;
use crate::outlet::Outlet;

/// Most burials under way in one relay. A record has at most 400 KB, so this bounds what
/// they keep in memory; when it is reached, shards with more of them wait.
const OPEN_BURIALS: usize = 64;

/// A record or item that is no payment.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// Tells it from all others.
    pub(crate) source: String,
    /// Itself, whole.
    pub(crate) raw: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// Work that goes on beside the reading of a shard. Each yields the page it belongs to, or
/// nothing when shutdown came first.
pub(crate) type Open = JoinSet<Option<u64>>;

/// Buries for one relay.
#[derive(Debug, Clone)]
pub(crate) struct Burials {
    outlet: Arc<dyn Outlet>,
    places: Arc<Semaphore>,
}

impl Burials {
    pub(crate) fn new(outlet: Arc<dyn Outlet>) -> Self {
        Self { outlet, places: Arc::new(Semaphore::new(OPEN_BURIALS)) }
    }

    /// Starts to bury `malformed`, found in `page`, and returns at once while there is a
    /// place. The burial is repeated until the queue has it; after shutdown it is tried once
    /// more.
    pub(crate) async fn start(
        &self,
        malformed: Malformed,
        page: u64,
        open: &mut Open,
        shutdown: &Shutdown,
    ) -> Result<(), Stopped> {
        let place = shutdown.unless_requested(Arc::clone(&self.places).acquire_owned()).await;
        let Some(Ok(place)) = place else { return Err(Stopped) };
        let (outlet, shutdown) = (Arc::clone(&self.outlet), shutdown.clone());
        open.spawn(async move {
            let _place = place;
            bury(&*outlet, malformed, &shutdown).await.then_some(page)
        });
        Ok(())
    }
}

async fn bury(outlet: &dyn Outlet, malformed: Malformed, shutdown: &Shutdown) -> bool {
    let Malformed { source, raw, reason } = malformed;
    let failure = Failure::new(FailureCode::MalformedRecord, reason);
    let mut pauses = retry::NEVER_GIVE_UP.pauses();
    loop {
        let last = shutdown.is_requested();
        match outlet.bury(&source, raw.clone(), failure.clone()).await {
            Ok(()) => return true,
            Err(unsent) => events::send_failed(&unsent),
        }
        if last {
            return false;
        }
        shutdown.pause(pauses.next().unwrap_or_default()).await;
    }
}
