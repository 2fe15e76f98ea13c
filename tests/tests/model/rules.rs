//! The rules that can be broken one at a time, and the bounds of a check.

/// A rule of the protocol that the model breaks on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// INV-1: the idempotency key holds the number of the attempt.
    AttemptNumberInKey,
    /// INV-2: the claim is written whatever the status is.
    ClaimWithoutCondition,
    /// INV-3: the message is deleted when its payment is claimed.
    AcknowledgedBeforeSettled,
    /// INV-3: the message of a failed payment is deleted before its letter is written.
    DeletedBeforeBuried,
    /// INV-3: the relay's position is written before the message is sent.
    CheckpointBeforeSent,
    /// INV-3: the confirmation is deleted before PROCESSED is written.
    ConfirmationDeletedFirst,
    /// INV-4: the key is the message's, as if deduplication made one message per payment.
    DeduplicationAsGuard,
    /// INV-5: each payment is a group of its own.
    GroupPerPayment,
    /// INV-6: the rest of a group goes on while its first waits.
    RestGoesOn,
    /// INV-6: the unfinished rest comes back in another order.
    RestOutOfOrder,
    /// INV-7: the replay's message has the first one's deduplication id.
    ReplayWithOldDeduplicationId,
    /// INV-8: a malformed message is deleted without a letter.
    MalformedDeleted,
    /// A request whose answer was lost is taken for settled.
    LostAnswerTakenForSettled,
    /// A request whose answer was lost is taken for rejected.
    LostAnswerTakenForRejected,
    /// A payment whose attempts are used up is delivered again and again.
    AttemptsUnbounded,
    /// The age of the claim is not looked at: a forgotten key is posted again.
    PostedAfterRetention,
    /// A worker posts, fails and dead-letters without its heartbeat.
    HeartbeatIgnored,
    /// A lost heartbeat withdraws the right to one message, and the rest goes on.
    RestGoesOnAfterLostHeartbeat,
    /// FAILED is written without comparing the attempts.
    FailWithoutFence,
    /// Attempts grow without comparing them to those seen.
    ResumeWithoutFence,
    /// The age of the claim starts anew with a replay.
    ReplayRestartsAge,
    /// Any rejection is taken for certain, though an earlier attempt may be under way.
    RejectionTakenForCertain,
    /// The operator replays an unknown outcome without asking.
    ReplayWithoutAsking,
    /// A replay sets the attempts to zero.
    ReplayResetsAttempts,
    /// A payment is cancelled though it was claimed in an earlier life.
    CancelAfterReplay,
    /// The deduplication id of a confirmation is the same in each life of a payment.
    ConfirmationIdOfThePayment,
    /// A letter is taken up again only while its payment is still SCHEDULED.
    ReplayNotTakenUp,
    /// The letter is deleted before the replay's message is sent.
    DeadLetterDeletedBeforeReplay,
    /// INV-14: the date of a payment is not looked at.
    DateIgnored,
    /// INV-16: a message that contradicts the table is dead-lettered, and the payment left
    /// SCHEDULED.
    MismatchNotWithheld,
    /// INV-16: a PENDING payment whose message contradicts the table is submitted as the table
    /// has it.
    PendingMismatchSubmitted,
    /// INV-16: a payment is replayed as the table has it though its dead letter has another
    /// version, and nobody has said which is right.
    ReplayedUndecided,
}

/// How long a worker may stand still between its last check and its request's arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pauses {
    /// Shorter than the margin that is kept from the key's retention.
    WithinMargin,
    /// As long as it likes.
    Unbounded,
}

/// Whether time passes that claims grow old in and keys are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retention {
    Runs(Pauses),
    LongerThanTheCheck,
}

/// Whether the day of the payments has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Day {
    Begun,
    Ahead,
}

/// What a check covers.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// The account of each payment, in the order of the stream.
    pub(crate) accounts: Vec<u8>,
    /// The payment whose message cannot be read.
    pub(crate) malformed: Option<usize>,
    pub(crate) faults: u8,
    pub(crate) rejections: u8,
    pub(crate) replays: u8,
    pub(crate) cancels: u8,
    /// Questions of the confirmer's sweep, each at any time.
    pub(crate) sweeps: u8,
    /// Changes by another program, of one payment each.
    pub(crate) changes: u8,
    /// Scans for lost messages, each of one payment.
    pub(crate) scans: u8,
    /// Whether the payments' day lies ahead at first.
    pub(crate) day: Day,
    /// Attempts that are posted before a payment is given up.
    pub(crate) attempts: u8,
    pub(crate) retention: Retention,
    pub(crate) way_to_rest: WayToRest,
}

/// Whether each state is followed to its end, which takes most of the time of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WayToRest {
    Followed,
    NotFollowed,
}

impl Scenario {
    /// One payment of one account and `faults` faults.
    pub(crate) fn one_payment(faults: u8) -> Self {
        Self {
            accounts: vec![0],
            malformed: None,
            faults,
            rejections: 0,
            replays: 0,
            cancels: 0,
            sweeps: 0,
            changes: 0,
            scans: 0,
            day: Day::Begun,
            attempts: 2,
            retention: Retention::LongerThanTheCheck,
            way_to_rest: WayToRest::NotFollowed,
        }
    }

    /// Two payments of one account.
    pub(crate) fn two_in_order(faults: u8) -> Self {
        Self { accounts: vec![0, 0], ..Self::one_payment(faults) }
    }

    /// A payment of each of two accounts.
    pub(crate) fn two_accounts(faults: u8) -> Self {
        Self { accounts: vec![0, 1], ..Self::one_payment(faults) }
    }

    pub(crate) fn with_rejections(self, rejections: u8) -> Self {
        Self { rejections, ..self }
    }

    pub(crate) fn with_replays(self, replays: u8) -> Self {
        Self { replays, ..self }
    }

    pub(crate) fn with_cancels(self, cancels: u8) -> Self {
        Self { cancels, ..self }
    }

    /// Follows each state to its end.
    pub(crate) fn followed_to_rest(self) -> Self {
        Self { way_to_rest: WayToRest::Followed, ..self }
    }

    pub(crate) fn with_sweeps(self, sweeps: u8) -> Self {
        Self { sweeps, ..self }
    }

    pub(crate) fn with_changes(self, changes: u8) -> Self {
        Self { changes, ..self }
    }

    pub(crate) fn with_scans(self, scans: u8) -> Self {
        Self { scans, ..self }
    }

    /// The payments are queued before their day begins.
    pub(crate) fn of_a_day_ahead(self) -> Self {
        Self { day: Day::Ahead, ..self }
    }

    pub(crate) fn with_malformed(self, place: usize) -> Self {
        Self { malformed: Some(place), ..self }
    }

    pub(crate) fn with_retention(self, pauses: Pauses) -> Self {
        Self { retention: Retention::Runs(pauses), ..self }
    }
}
