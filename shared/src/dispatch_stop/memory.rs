//! The stop in memory, for simulations: each call is atomic.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{DispatchStop, DispatchStops, LiftResult, StopError, StopId};

/// A stop that is kept in memory.
#[derive(Debug, Default)]
pub struct StopInMemory(Mutex<Option<DispatchStop>>);

impl StopInMemory {
    fn lock(&self) -> MutexGuard<'_, Option<DispatchStop>> {
        // Each critical section is one assignment: a panic cannot leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DispatchStops for StopInMemory {
    async fn read(&self) -> Result<Option<DispatchStop>, StopError> {
        Ok(self.lock().clone())
    }

    async fn place(&self, stop: &DispatchStop) -> Result<DispatchStop, StopError> {
        Ok(self.lock().get_or_insert_with(|| stop.clone()).clone())
    }

    async fn lift(&self, id: StopId) -> Result<LiftResult, StopError> {
        let mut stands = self.lock();
        Ok(match stands.as_ref() {
            None => LiftResult::NoneThere,
            Some(stop) if stop.id == id => {
                *stands = None;
                LiftResult::Now
            }
            Some(other) => LiftResult::Another(Box::new(other.clone())),
        })
    }
}
