//! Queues in memory, which fail, take only the first part, or lose their answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use shared::domain::Failure;
use shared::queue::{Outgoing, Unsent};

use super::Weather;
use crate::outlet::Outlet;

/// Both queues, for any number of relays.
#[derive(Debug)]
pub(super) struct FakeOutlet {
    weather: Arc<Weather>,
    dead_letters_down: AtomicBool,
    arrivals: Mutex<Arrivals>,
}

#[derive(Debug, Default)]
struct Arrivals {
    count: usize,
    /// By payment id: when it came first, how often it came.
    payments: HashMap<String, (usize, usize)>,
    buried: Vec<(String, String)>,
}

impl FakeOutlet {
    pub(super) fn new(weather: Arc<Weather>) -> Self {
        Self { weather, dead_letters_down: AtomicBool::new(false), arrivals: Mutex::default() }
    }

    pub(super) fn first_arrival(&self, id: &str) -> Option<usize> {
        self.arrivals.lock().unwrap().payments.get(id).map(|(first, _)| *first)
    }

    pub(super) fn arrived(&self, id: &str) -> bool {
        self.first_arrival(id).is_some()
    }

    /// Messages, counted as often as they came.
    pub(super) fn count(&self) -> usize {
        self.arrivals.lock().unwrap().count
    }

    /// What is in the dead-letter queue, by source and text.
    pub(super) fn buried(&self) -> Vec<(String, String)> {
        self.arrivals.lock().unwrap().buried.clone()
    }

    pub(super) fn break_dead_letters(&self) {
        self.dead_letters_down.store(true, Ordering::Relaxed);
    }

    pub(super) fn mend_dead_letters(&self) {
        self.dead_letters_down.store(false, Ordering::Relaxed);
    }

    fn unsent(indices: Vec<usize>) -> Unsent {
        Unsent { queue: "q".to_owned(), indices, reason: "a storm".to_owned() }
    }
}

#[async_trait]
impl Outlet for FakeOutlet {
    async fn send(&self, messages: &[Outgoing]) -> Result<(), Unsent> {
        self.weather.travel().await;
        let lost = self.weather.strikes();
        let taken = if lost { self.weather.below(messages.len() + 1) } else { messages.len() };
        {
            let mut arrivals = self.arrivals.lock().unwrap();
            for message in &messages[..taken] {
                arrivals.count += 1;
                let now = arrivals.count;
                // The deduplication id is the due date, which has ten letters, and the id.
                let id = message.deduplication[11..].to_owned();
                arrivals.payments.entry(id).or_insert((now, 0)).1 += 1;
            }
        }
        self.weather.travel().await;
        if lost {
            // What was taken may be reported as not taken too.
            let first = self.weather.below(taken + 1);
            return Err(Self::unsent((first..messages.len()).collect()));
        }
        Ok(())
    }

    async fn bury(&self, source: &str, raw: String, _failure: Failure) -> Result<(), Unsent> {
        self.weather.travel().await;
        if self.dead_letters_down.load(Ordering::Relaxed) || self.weather.strikes() {
            return Err(Self::unsent(vec![0]));
        }
        self.arrivals.lock().unwrap().buried.push((source.to_owned(), raw));
        Ok(())
    }
}
