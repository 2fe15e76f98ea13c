//! How many requests are served at a time, and who waits for a worker.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::refusal::Refusal;

/// What the service can take. The request after the last place of the queue is
/// answered 503 at once, with nothing done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceCapacity {
    /// Requests served at a time, each for as long as the latency. With none,
    /// every request waits: a service that hangs.
    pub workers: usize,
    /// Requests that wait for a worker, first come, first served.
    pub queue: usize,
}

impl ServiceCapacity {
    /// Places in the queue for each worker: a request waits for at most that
    /// many latencies.
    const QUEUE_PER_WORKER: usize = 20;

    /// `workers`, and 20 places in the queue for each of them.
    #[must_use]
    pub fn of(workers: usize) -> Self {
        Self { workers, queue: workers.saturating_mul(Self::QUEUE_PER_WORKER) }
    }
}

/// Hands out workers. Not used while no capacity is set.
#[derive(Debug, Default)]
pub(crate) struct WorkerPool(Mutex<PoolState>);

#[derive(Debug, Default)]
struct PoolState {
    capacity: Option<ServiceCapacity>,
    busy: usize,
    /// Somebody waits only while no worker is free.
    waiting: VecDeque<oneshot::Sender<Worker>>,
}

/// A worker who serves one request; free again when dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    pool: Option<Arc<WorkerPool>>,
}

enum WorkerClaim {
    Free(Worker),
    Queued(oneshot::Receiver<Worker>),
}

impl WorkerPool {
    /// Changes the capacity. Who is served already goes on; who waits moves up
    /// when there are more workers, and stays when there are fewer.
    pub(crate) fn set(self: &Arc<Self>, capacity: Option<ServiceCapacity>) {
        self.state().capacity = capacity;
        self.assign_free_workers();
    }

    /// Waits for a free worker. A client that hangs up loses its place.
    pub(crate) async fn worker(self: &Arc<Self>) -> Result<Worker, Refusal> {
        match self.claim()? {
            WorkerClaim::Free(worker) => Ok(worker),
            WorkerClaim::Queued(called) => called.await.map_err(|_| Refusal::Overloaded),
        }
    }

    fn claim(self: &Arc<Self>) -> Result<WorkerClaim, Refusal> {
        let mut state = self.state();
        if state.has_free_worker() {
            state.busy += 1;
            return Ok(WorkerClaim::Free(Worker { pool: Some(self.clone()) }));
        }
        if state.is_queue_full() {
            state.waiting.retain(|called| !called.is_closed());
        }
        if state.is_queue_full() {
            return Err(Refusal::Overloaded);
        }
        let (call, called) = oneshot::channel();
        state.waiting.push_back(call);
        Ok(WorkerClaim::Queued(called))
    }

    /// Gives free workers to those who wait. A worker is sent as such, so it is
    /// free again even if its client hangs up before it notices.
    fn assign_free_workers(self: &Arc<Self>) {
        while let Some(call) = self.next_waiting() {
            if let Err(mut unneeded) = call.send(Worker { pool: Some(self.clone()) }) {
                unneeded.pool = None;
                self.state().busy -= 1;
            }
        }
    }

    fn next_waiting(&self) -> Option<oneshot::Sender<Worker>> {
        let mut state = self.state();
        if !state.has_free_worker() {
            return None;
        }
        let call = state.waiting.pop_front()?;
        state.busy += 1;
        Some(call)
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PoolState {
    fn has_free_worker(&self) -> bool {
        self.capacity.is_none_or(|capacity| self.busy < capacity.workers)
    }

    fn is_queue_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.waiting.len() >= capacity.queue)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.state().busy -= 1;
            pool.assign_free_workers();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn pool(workers: usize, queue: usize) -> Arc<WorkerPool> {
        let pool = Arc::new(WorkerPool::default());
        pool.set(Some(ServiceCapacity { workers, queue }));
        pool
    }

    fn served(pool: &Arc<WorkerPool>) -> Worker {
        match pool.claim() {
            Ok(WorkerClaim::Free(worker)) => worker,
            Ok(WorkerClaim::Queued(_)) => panic!("has to wait"),
            Err(refusal) => panic!("{refusal}"),
        }
    }

    fn waiting(pool: &Arc<WorkerPool>) -> oneshot::Receiver<Worker> {
        match pool.claim() {
            Ok(WorkerClaim::Queued(called)) => called,
            Ok(WorkerClaim::Free(_)) => panic!("served at once"),
            Err(refusal) => panic!("{refusal}"),
        }
    }

    fn is_full(pool: &Arc<WorkerPool>) -> bool {
        matches!(pool.claim(), Err(Refusal::Overloaded))
    }

    #[test]
    fn those_who_wait_are_served_in_the_order_they_came_and_the_rest_is_refused() {
        let pool = pool(1, 2);
        let worker = served(&pool);
        let (mut first, mut second) = (waiting(&pool), waiting(&pool));
        assert!(is_full(&pool));
        drop(worker);
        let worker = first.try_recv().unwrap();
        assert!(second.try_recv().is_err());
        drop(worker);
        drop(second.try_recv().unwrap());
        drop(served(&pool));
    }

    #[test]
    fn a_client_that_hangs_up_leaves_neither_its_place_nor_a_worker_taken() {
        let pool = pool(1, 2);
        let worker = served(&pool);
        let (gone, called_and_gone) = (waiting(&pool), waiting(&pool));
        drop(gone);
        let mut patient = waiting(&pool);
        drop(worker);
        // The worker lies in the channel of a client that never looks.
        drop(called_and_gone);
        drop(patient.try_recv().unwrap());
        drop(served(&pool));
        assert_eq!(pool.state().busy, 0);
    }

    #[test]
    fn fewer_workers_finish_what_they_have_and_more_workers_call_up_at_once() {
        let pool = pool(2, 10);
        let (one, two) = (served(&pool), served(&pool));
        let (mut first, mut second, mut third) = (waiting(&pool), waiting(&pool), waiting(&pool));
        pool.set(Some(ServiceCapacity { workers: 1, queue: 10 }));
        drop(one);
        assert!(first.try_recv().is_err());
        drop(two);
        let worker = first.try_recv().unwrap();
        assert!(second.try_recv().is_err());
        pool.set(None);
        assert!(second.try_recv().is_ok() && third.try_recv().is_ok());
        drop(worker);
    }

    #[test]
    fn without_workers_every_request_waits() {
        let pool = pool(0, 1);
        let mut asked = pin!(pool.worker());
        let mut context = Context::from_waker(Waker::noop());
        assert!(asked.as_mut().poll(&mut context).is_pending());
        pool.set(Some(ServiceCapacity::of(1)));
        assert!(matches!(asked.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
    }
}
