//! One life of a process. A dead one hangs at its next call for ever, which is as good as
//! being gone: nothing it does reaches the world again. One that stands still hangs until it
//! is woken, and then goes on with what it knew.

use std::sync::Arc;

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Still,
    Dead,
}

/// The life of a process, shared by all its ports.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    state: Arc<watch::Sender<State>>,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::Running)) }
    }

    pub(crate) fn set(&self, state: State) {
        self.state.send_if_modified(|now| {
            let changes = *now != State::Dead && *now != state;
            if changes {
                *now = state;
            }
            changes
        });
    }

    pub(crate) fn is_dead(&self) -> bool {
        *self.state.borrow() == State::Dead
    }

    /// Returns when the process runs; never for a dead one.
    pub(crate) async fn step(&self) {
        let mut state = self.state.subscribe();
        if state.wait_for(|state| *state == State::Running).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
