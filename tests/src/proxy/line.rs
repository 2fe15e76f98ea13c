//! One request after the other: what was drawn for it, around forwarding it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use super::bugs::{Bug, Memory};
use super::faults::Coin;
use super::partly::Batch;
use super::upstream::{Answer, Request, Upstream};
use super::{Counts, Fault, Faults, Service};

/// What the client gets.
#[derive(Debug)]
pub(super) enum Reply {
    /// An answer.
    Whole(Answer),
    /// The head of an answer and half of its body, then nothing.
    Half(Answer),
    /// Nothing.
    Cut,
}

/// The line to one service. Its locks are never held across an await.
#[derive(Debug)]
pub(super) struct Line {
    service: Service,
    pub(super) upstream: Upstream,
    faults: RwLock<Faults>,
    bug: RwLock<Option<Bug>>,
    pub(super) memory: Memory,
    requests: AtomicU64,
    counts: Mutex<Counts>,
    overtaken: Mutex<HashSet<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    pub(super) fn new(service: Service, upstream: Upstream) -> Self {
        Self {
            service,
            upstream,
            faults: RwLock::default(),
            bug: RwLock::default(),
            memory: Memory::default(),
            requests: AtomicU64::default(),
            counts: Mutex::default(),
            overtaken: Mutex::default(),
        }
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    pub(super) fn plant(&self, bug: Bug) {
        *self.bug.write().unwrap_or_else(PoisonError::into_inner) = Some(bug);
    }

    pub(super) fn counts(&self) -> Counts {
        locked(&self.counts).clone()
    }

    pub(super) fn overtaken(&self) -> HashSet<String> {
        locked(&self.overtaken).clone()
    }

    /// Serves the next request.
    pub(super) async fn serve(&self, request: Request) -> Reply {
        let number = self.requests.fetch_add(1, Relaxed);
        let faults = *self.faults.read().unwrap_or_else(PoisonError::into_inner);
        let mut fault = faults.fault(self.service, number);
        let batch = match fault {
            Fault::Partly => Batch::read(request.target(), &request.body),
            _ => None,
        };
        if fault == Fault::Partly && batch.is_none() {
            fault = Fault::Passed;
        }
        locked(&self.counts).count(fault);
        let delay = faults.delay(self.service, number);
        match fault {
            Fault::Passed => self.pass(request).await,
            Fault::Unavailable => Reply::Whole(self.service.unavailable(faults.coin(number, 0))),
            Fault::Throttled => Reply::Whole(self.service.throttled(request.target())),
            Fault::Partly => match batch {
                Some(batch) => self.partly(request, &batch, &faults, number).await,
                None => self.pass(request).await,
            },
            Fault::CutBefore => Reply::Cut,
            Fault::CutAfter => {
                self.pass(request).await;
                Reply::Cut
            }
            Fault::Half => match self.pass(request).await {
                Reply::Whole(answer) => Reply::Half(answer),
                broken @ (Reply::Half(_) | Reply::Cut) => broken,
            },
            Fault::LateRequest => {
                tokio::time::sleep(delay).await;
                self.pass(request).await
            }
            Fault::LateAnswer => {
                let reply = self.pass(request).await;
                tokio::time::sleep(delay).await;
                reply
            }
        }
    }

    /// Forwards the entries that the draw leaves and answers for all.
    async fn partly(
        &self,
        mut request: Request,
        batch: &Batch,
        faults: &Faults,
        number: u64,
    ) -> Reply {
        let entries = 0..batch.len();
        let refused: Vec<usize> =
            entries.filter(|index| faults.coin(number, *index as u64 + 1) == Coin::Heads).collect();
        locked(&self.overtaken).extend(batch.overtaken(&refused));
        let Some(body) = batch.without(&refused) else {
            let ok = Answer { body: Vec::new(), ..self.service.unavailable(Coin::Heads) };
            let answer = Answer { status: hyper::StatusCode::OK, ..ok };
            return merged(batch, &refused, None, answer);
        };
        request.body = body;
        match self.pass(request).await {
            Reply::Whole(answer) if answer.status.is_success() => {
                let body = answer.body.clone();
                merged(batch, &refused, Some(&body), answer)
            }
            other => other,
        }
    }

    /// Forwards, with the planted bug if there is one.
    async fn pass(&self, request: Request) -> Reply {
        let bug = *self.bug.read().unwrap_or_else(PoisonError::into_inner);
        let answer = match bug {
            Some(bug) => self.with_bug(bug, request).await,
            None => self.upstream.forward(request).await,
        };
        match answer {
            Ok(answer) => Reply::Whole(answer),
            Err(_) => Reply::Cut,
        }
    }
}

fn merged(batch: &Batch, refused: &[usize], part: Option<&[u8]>, answer: Answer) -> Reply {
    match batch.answer(refused, part) {
        Some(body) => Reply::Whole(Answer { body, ..answer }),
        None => Reply::Whole(answer),
    }
}
