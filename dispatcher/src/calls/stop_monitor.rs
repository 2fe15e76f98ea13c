//! Keeps the gate and the stored stop together: stores the stop that this dispatcher calls
//! for, and reads, again and again, whether one stands.

use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::dispatch_stop::{DispatchStop, DispatchStops, StopError};
use shared::retry;
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Readiness;
use tokio::time::Instant;

use crate::calls::limiter::Gate;
use crate::events;

/// What the watch needs.
#[derive(Debug)]
pub(crate) struct StopWatch {
    pub(crate) stops: Arc<dyn DispatchStops>,
    pub(crate) gate: Gate,
    pub(crate) clock: Clock,
    /// Who this dispatcher is, for people.
    pub(crate) name: String,
    /// Time between two readings.
    pub(crate) interval: Duration,
    /// The gate's own stop, made once, so that a repeated write is recognised.
    own: Option<DispatchStop>,
}

impl StopWatch {
    /// A watch that has read nothing yet.
    pub(crate) fn new(
        stops: Arc<dyn DispatchStops>,
        gate: Gate,
        clock: Clock,
        name: String,
        interval: Duration,
    ) -> Self {
        Self { stops, gate, clock, name, interval, own: None }
    }

    /// Watches until shutdown, and is ready after the first reading. A stop that is not stored
    /// by then is still tried until the caller's drain deadline.
    pub(crate) async fn run(mut self, readiness: Readiness, shutdown: Shutdown) {
        let calls = readiness.watch("reading whether dispatching is stopped");
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            let result = self.step().await;
            calls.note(&result);
            match result {
                Ok(()) => {
                    readiness.ready();
                    pauses = retry::NEVER_GIVE_UP.pauses();
                    if shutdown.is_requested() && self.gate.unstored().is_none() {
                        return;
                    }
                    tokio::select! {
                        () = shutdown.requested() => {}
                        _ = self.gate.tripped() => {}
                        () = tokio::time::sleep(self.interval) => {}
                    }
                }
                Err(error) => {
                    events::stop_error(&error);
                    if shutdown.is_requested() && self.gate.unstored().is_none() {
                        return;
                    }
                    // What is not stored holds nobody else up, and what cannot be read holds
                    // this dispatcher up: neither waits for longer than a reading does.
                    let pause = pauses.next().unwrap_or_default().min(self.interval);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Stores the gate's own stop, or reads.
    async fn step(&mut self) -> Result<(), StopError> {
        let Some(trip) = self.gate.unstored() else {
            self.own = None;
            let at = Instant::now();
            let found = self.stops.read().await?;
            self.gate.read(found, at);
            return Ok(());
        };
        let (name, now) = (&self.name, self.clock.now());
        let own = self.own.get_or_insert_with(|| {
            DispatchStop::new(trip.cause, &trip.reason, name, trip.count, now)
        });
        let stands = self.stops.place(own).await?;
        self.own = None;
        self.gate.stands(stands);
        Ok(())
    }
}
