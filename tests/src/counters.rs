//! Waiting for a counter of a service.

use std::time::Duration;

use anyhow::ensure;
use demo::local_world::Process;
use tokio::time::Instant;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A counter of a service, summed over its labels.
#[derive(Debug, Clone, Copy)]
pub struct Counter {
    /// Its name.
    pub name: &'static str,
    /// It has failed when it stands still for so long.
    pub patience: Duration,
}

impl Counter {
    /// When it had reached `count`, and what it was then.
    ///
    /// # Errors
    /// It stands still, or the service does not answer.
    pub async fn reach(self, service: &mut Process, count: u32) -> anyhow::Result<(Instant, f64)> {
        let Self { name, patience } = self;
        let (mut last, mut moved) = (0.0, Instant::now());
        loop {
            let now = service.samples().await?.sum(name);
            if now >= f64::from(count) {
                return Ok((Instant::now(), now));
            }
            if now > last {
                (last, moved) = (now, Instant::now());
            }
            ensure!(moved.elapsed() < patience, "{name} stands at {now} of {count}");
            tokio::time::sleep(LOOK).await;
        }
    }
}
