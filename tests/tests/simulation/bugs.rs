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
}
