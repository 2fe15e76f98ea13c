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
pub struct Capacity {
    /// Requests served at a time, each for as long as the latency. With none,
    /// every request waits: a service that hangs.
    pub workers: usize,
    /// Requests that wait for a worker, first come, first served.
    pub queue: usize,
}

impl Capacity {
    /// Places in the queue for each worker: a request waits for at most that
    /// many latencies.
    const QUEUE_PER_WORKER: usize = 20;

    /// `workers`, and 20 places in the queue for each of them.
    #[must_use]
    pub fn of(workers: usize) -> Self {
        Self { workers, queue: workers.saturating_mul(Self::QUEUE_PER_WORKER) }
    }
}

/// Hands out workers. Not asked at all while no capacity is set.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<Staff>);

#[derive(Debug, Default)]
struct Staff {
    capacity: Option<Capacity>,
    busy: usize,
    /// Somebody waits only while no worker is free.
    waiting: VecDeque<oneshot::Sender<Worker>>,
}

/// A worker who serves one request; free again when dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    gate: Option<Arc<Gate>>,
}

enum Turn {
    Now(Worker),
    Later(oneshot::Receiver<Worker>),
}

impl Gate {
    /// Changes the capacity. Who is served already goes on; who waits moves up
    /// when there are more workers, and stays when there are fewer.
    pub(crate) fn set(self: &Arc<Self>, capacity: Option<Capacity>) {
        self.staff().capacity = capacity;
        self.call_up();
    }

    /// Waits for a free worker. A client that hangs up loses its place.
    pub(crate) async fn worker(self: &Arc<Self>) -> Result<Worker, Refusal> {
        match self.turn()? {
            Turn::Now(worker) => Ok(worker),
            Turn::Later(called) => called.await.map_err(|_| Refusal::Overloaded),
        }
    }

    fn turn(self: &Arc<Self>) -> Result<Turn, Refusal> {
        let mut staff = self.staff();
        if staff.has_free_worker() {
            staff.busy += 1;
            return Ok(Turn::Now(Worker { gate: Some(self.clone()) }));
        }
        if staff.is_queue_full() {
            staff.waiting.retain(|called| !called.is_closed());
        }
        if staff.is_queue_full() {
            return Err(Refusal::Overloaded);
        }
        let (call, called) = oneshot::channel();
        staff.waiting.push_back(call);
        Ok(Turn::Later(called))
    }

    /// Gives free workers to those who wait. A worker is sent as such, so it is
    /// free again even if its client hangs up before it notices.
    fn call_up(self: &Arc<Self>) {
        while let Some(call) = self.next_in_line() {
            if let Err(mut unneeded) = call.send(Worker { gate: Some(self.clone()) }) {
                unneeded.gate = None;
                self.staff().busy -= 1;
            }
        }
    }

    fn next_in_line(&self) -> Option<oneshot::Sender<Worker>> {
        let mut staff = self.staff();
        if !staff.has_free_worker() {
            return None;
        }
        let call = staff.waiting.pop_front()?;
        staff.busy += 1;
        Some(call)
    }

    fn staff(&self) -> MutexGuard<'_, Staff> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Staff {
    fn has_free_worker(&self) -> bool {
        self.capacity.is_none_or(|capacity| self.busy < capacity.workers)
    }

    fn is_queue_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.waiting.len() >= capacity.queue)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.staff().busy -= 1;
            gate.call_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn gate(workers: usize, queue: usize) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        gate.set(Some(Capacity { workers, queue }));
        gate
    }

    fn served(gate: &Arc<Gate>) -> Worker {
        match gate.turn() {
            Ok(Turn::Now(worker)) => worker,
            Ok(Turn::Later(_)) => panic!("has to wait"),
            Err(refusal) => panic!("{refusal}"),
        }
    }

    fn waiting(gate: &Arc<Gate>) -> oneshot::Receiver<Worker> {
        match gate.turn() {
            Ok(Turn::Later(called)) => called,
            Ok(Turn::Now(_)) => panic!("served at once"),
            Err(refusal) => panic!("{refusal}"),
        }
    }

    fn is_full(gate: &Arc<Gate>) -> bool {
        matches!(gate.turn(), Err(Refusal::Overloaded))
    }

    #[test]
    fn those_who_wait_are_served_in_the_order_they_came_and_the_rest_is_refused() {
        let gate = gate(1, 2);
        let worker = served(&gate);
        let (mut first, mut second) = (waiting(&gate), waiting(&gate));
        assert!(is_full(&gate));
        drop(worker);
        let worker = first.try_recv().unwrap();
        assert!(second.try_recv().is_err());
        drop(worker);
        drop(second.try_recv().unwrap());
        drop(served(&gate));
    }

    #[test]
    fn a_client_that_hangs_up_leaves_neither_its_place_nor_a_worker_taken() {
        let gate = gate(1, 2);
        let worker = served(&gate);
        let (gone, called_and_gone) = (waiting(&gate), waiting(&gate));
        drop(gone);
        let mut patient = waiting(&gate);
        drop(worker);
        // The worker lies in the channel of a client that never looks.
        drop(called_and_gone);
        drop(patient.try_recv().unwrap());
        drop(served(&gate));
        assert_eq!(gate.staff().busy, 0);
    }

    #[test]
    fn fewer_workers_finish_what_they_have_and_more_workers_call_up_at_once() {
        let gate = gate(2, 10);
        let (one, two) = (served(&gate), served(&gate));
        let (mut first, mut second, mut third) = (waiting(&gate), waiting(&gate), waiting(&gate));
        gate.set(Some(Capacity { workers: 1, queue: 10 }));
        drop(one);
        assert!(first.try_recv().is_err());
        drop(two);
        let worker = first.try_recv().unwrap();
        assert!(second.try_recv().is_err());
        gate.set(None);
        assert!(second.try_recv().is_ok() && third.try_recv().is_ok());
        drop(worker);
    }

    #[test]
    fn without_workers_every_request_waits() {
        let gate = gate(0, 1);
        let mut asked = pin!(gate.worker());
        let mut context = Context::from_waker(Waker::noop());
        assert!(asked.as_mut().poll(&mut context).is_pending());
        gate.set(Some(Capacity::of(1)));
        assert!(matches!(asked.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
    }
}
