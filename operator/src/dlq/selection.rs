//! Which dead letters a run is about, and which of those that were named it has not met: pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use domain::PaymentRef;
use jiff::Timestamp;

use super::dead_letter::DeadLetterMessage;
use super::filter::{AttemptsRange, DlqFilter};
use super::names::{DeadLetterName, Naming};

/// Which dead letters are meant.
#[derive(Debug)]
pub(super) enum DlqSelection {
    /// Those of these payments, and these messages.
    Named(NamedDeadLetters),
    /// Those that a filter takes; one without demands takes all.
    Filtered(DlqFilter),
}

/// What was named, and what of it was not met so far.
#[derive(Debug, Default)]
pub(super) struct NamedDeadLetters {
    payments: HashSet<PaymentRef>,
    ids: HashSet<String>,
    /// By their texts, in order.
    unmet_payments: BTreeMap<String, PaymentRef>,
    unmet_ids: BTreeSet<String>,
}

impl DlqSelection {
    /// Those of these payments.
    pub(super) fn of_payments(payments: Vec<PaymentRef>) -> Self {
        Self::of_names(payments.into_iter().map(DeadLetterName::Payment))
    }

    /// What was named.
    pub(super) fn of_names(names: impl IntoIterator<Item = DeadLetterName>) -> Self {
        let mut named = NamedDeadLetters::default();
        for name in names {
            match name {
                DeadLetterName::Payment(payment) => {
                    named.unmet_payments.insert(payment.to_string(), payment.clone());
                    named.payments.insert(payment);
                }
                DeadLetterName::Id(id) => {
                    named.unmet_ids.insert(id.clone());
                    named.ids.insert(id);
                }
            }
        }
        Self::Named(named)
    }

    /// Whether each was named.
    pub(super) fn is_named(&self) -> bool {
        match self {
            Self::Named(_) => true,
            Self::Filtered(_) => false,
        }
    }

    /// How often payments must have been attempted.
    pub(super) fn attempts(&self) -> Option<AttemptsRange> {
        match self {
            Self::Named(_) => None,
            Self::Filtered(filter) => filter.attempts,
        }
    }

    /// Whether a dead letter is meant, and how it was come to.
    pub(super) fn takes(
        &mut self,
        dead_letter: &DeadLetterMessage,
        now: Timestamp,
    ) -> Option<Naming> {
        match self {
            Self::Filtered(filter) => filter.takes(dead_letter, now).then_some(Naming::Otherwise),
            Self::Named(named) => named.takes(dead_letter),
        }
    }

    /// The payments and the messages that were named and of which no dead letter was met.
    pub(super) fn unmet(&self) -> (Vec<PaymentRef>, Vec<String>) {
        match self {
            Self::Filtered(_) => (Vec::new(), Vec::new()),
            Self::Named(named) => (
                named.unmet_payments.values().cloned().collect(),
                named.unmet_ids.iter().cloned().collect(),
            ),
        }
    }
}

/// As it was typed, but for the order.
impl fmt::Display for DlqSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filtered(filter) if *filter == DlqFilter::default() => f.write_str("--all"),
            Self::Filtered(filter) => filter.fmt(f),
            Self::Named(named) => {
                let payments = named.payments.iter().map(ToString::to_string);
                let mut names: Vec<_> = payments.chain(named.ids.iter().cloned()).collect();
                names.sort();
                f.write_str(&names.join(" "))
            }
        }
    }
}

impl NamedDeadLetters {
    fn takes(&mut self, dead_letter: &DeadLetterMessage) -> Option<Naming> {
        let reference = dead_letter.reference();
        if let Some(reference) = reference.as_ref().filter(|of| self.payments.contains(of)) {
            self.unmet_payments.remove(&reference.to_string());
        }
        if self.ids.contains(&dead_letter.message_id) {
            self.unmet_ids.remove(&dead_letter.message_id);
            return Some(Naming::ByMessageId);
        }
        let id = reference.as_ref().map(|reference| reference.id.to_string());
        if let Some(id) = id.filter(|id| self.ids.contains(id)) {
            self.unmet_ids.remove(&id);
            return Some(Naming::Otherwise);
        }
        reference.is_some_and(|of| self.payments.contains(&of)).then_some(Naming::Otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYMENT: &str = r#"{"PaymentID":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab","AccountID":"ACC-1","ScheduledDate":"2026-11-23","Amount":1,"Currency":"EUR","BeneficiaryID":"B","TraceKey":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab","CreatedAt":"2026-11-23T01:00:00Z"}"#;

    #[test]
    fn only_a_message_that_is_named_by_its_own_id_counts_as_such_and_what_was_not_met_is_known() {
        let now = "2026-11-23T04:00:00Z".parse().unwrap();
        let dead_letter = DeadLetterMessage::read("m-1", "ACC-1", PAYMENT.to_owned());
        let id = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
        let reference = format!("ACC-1/2026-11-23/{id}");
        for (name, naming) in [
            ("m-1", Some(Naming::ByMessageId)),
            (id, Some(Naming::Otherwise)),
            (&*reference, Some(Naming::Otherwise)),
            ("m-2", None),
        ] {
            let mut selection = DlqSelection::of_names([name.parse().unwrap()]);
            assert_eq!(selection.takes(&dead_letter, now), naming, "{name}");
            let (payments, ids) = selection.unmet();
            assert_eq!(payments.len() + ids.len(), usize::from(naming.is_none()), "{name}");
        }
        let unmet = DlqSelection::of_names(["m-2".parse().unwrap(), reference.parse().unwrap()]);
        let (payments, ids) = unmet.unmet();
        assert_eq!((payments[0].to_string(), ids), (reference, vec!["m-2".to_owned()]));
    }
}
