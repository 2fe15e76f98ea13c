//! Reasons and queues that metrics and logs name: closed lists, apart from the code that decides on
//! them.

/// Why there is nothing to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SkipReason {
    /// Due on a later day: the opening of that day forwards it, because it was inserted before
    /// the day began.
    NotDue,
    /// A change or removal, or an item that has ended: dueflow's own writes.
    NotNew,
    /// The blob of a large payment: the payment's own item follows.
    Blob,
}

impl SkipReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NotDue => "not_due",
            Self::NotNew => "not_new",
            Self::Blob => "blob",
        }
    }
}

/// Why a scan leaves a SCHEDULED item where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SweepSkipReason {
    /// Its keys are those of another payment.
    Keys,
    /// It is due on another day than the index says.
    Day,
    /// It says that it was created in the future.
    CreatedAhead,
    /// It holds what only a payment has that was claimed or has ended: it was written over.
    Leftovers,
}

impl SweepSkipReason {
    /// Its label in the metric.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Day => "day",
            Self::CreatedAhead => "created_ahead",
            Self::Leftovers => "overwritten",
        }
    }
}

/// A queue of the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum QueueKind {
    /// Payments to be dispatched.
    Payments,
    /// Settlements to be written down.
    Confirmations,
    /// What waits for a person.
    DeadLetters,
}

impl QueueKind {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Payments, Self::Confirmations, Self::DeadLetters];

    /// Its label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Payments => "payments",
            Self::Confirmations => "confirmations",
            Self::DeadLetters => "dead_letters",
        }
    }
}
