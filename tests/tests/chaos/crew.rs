//! Keeping a process at its post, and doing to it what the plan says.

use std::time::Duration;

use anyhow::Context;
use demo::local_world::Process;
use tokio::time::Instant;

use crate::plan::{Deed, Post};
use crate::stage::Shared;

/// How often a process is looked after.
const LOOK: Duration = Duration::from_millis(100);

/// What was done to processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Deeds {
    pub(crate) kills: u32,
    pub(crate) freezes: u32,
    pub(crate) restarts: u32,
    /// Ended by themselves, which a service should not do.
    pub(crate) deaths: u32,
}

impl Deeds {
    pub(crate) fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.freezes += other.freezes;
        self.restarts += other.restarts;
        self.deaths += other.deaths;
    }
}

/// Runs a post's process through its steps and returns it, running.
pub(crate) async fn man(
    stage: Shared,
    post: Post,
    started_at: Instant,
) -> anyhow::Result<(Process, Deeds)> {
    let start = || async {
        stage.start(post.service, &post.name).await.with_context(|| format!("at {}", post.name))
    };
    let mut deeds = Deeds::default();
    let mut process = start().await?;
    for step in &post.steps {
        let due = started_at + step.at;
        while Instant::now() < due {
            if process.ended()?.is_some() {
                deeds.deaths += 1;
                process = start().await?;
            }
            tokio::time::sleep_until(due.min(Instant::now() + LOOK)).await;
        }
        process = match step.deed {
            Deed::Kill(down) => {
                deeds.kills += 1;
                process.kill().await?;
                tokio::time::sleep(down).await;
                start().await?
            }
            Deed::Freeze(time) => {
                deeds.freezes += 1;
                process.freeze()?;
                tokio::time::sleep(time).await;
                process.thaw()?;
                process
            }
            Deed::Restart(down) => {
                deeds.restarts += 1;
                // It may fail to finish what it has in hand: the queue delivers it again.
                process.stop().await?;
                tokio::time::sleep(down).await;
                start().await?
            }
        };
    }
    Ok((process, deeds))
}
