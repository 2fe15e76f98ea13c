//! Bugs that are planted under the services, at their ports, to see the verdict fail.

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Everything is as it should be.
    None,
    /// A message is deleted as soon as it is received.
    AcknowledgeFirst,
    /// Each submission has a key of its own.
    AttemptInTheKey,
    /// A claim succeeds whatever the table holds.
    UnconditionalClaim,
    /// A payment that must wait comes again behind the rest of its group.
    RestOvertakes,
    /// No pass finds a day long past.
    OldDaysUnseen,
    /// A dispatcher takes a payment up in whatever version its message brings.
    AnyVersion,
    /// What a person has to decide is not written down as such.
    ForgetsWithheld,
    /// Dispatchers live a day ahead of the bank.
    AheadOfTheBank,
    /// A process believes its wall clock, wherever it jumps.
    BelievesItsClock,
    /// Whatever refuses is believed.
    AnyRefusalIsCertain,
    /// Whatever succeeds is believed.
    AnySuccessSettles,
    /// The relay says nothing of items that are wrong.
    SilentRelay,
}
