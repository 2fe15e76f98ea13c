//! What was done to how many requests.

use std::collections::BTreeMap;
use std::fmt;

use super::Fault;

/// Requests by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Fault, u64>);

impl Counts {
    pub(super) fn count(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }

    /// Requests that something was done to.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.0.iter().filter(|(fault, _)| **fault != Fault::Passed).map(|(_, count)| count).sum()
    }

    /// Requests that met with `fault`.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or_default()
    }

    /// Adds those of another proxy.
    pub fn add(&mut self, other: &Self) {
        for (fault, count) in &other.0 {
            *self.0.entry(*fault).or_default() += count;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (fault, count)) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { ", " };
            write!(f, "{between}{fault:?} {count}")?;
        }
        Ok(())
    }
}
