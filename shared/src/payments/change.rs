//! What can be changed about a payment, each change with what it writes.

use domain::{Event, Failure, Money, Payment, PaymentRef, Settlement};

/// A change of one payment: the event, with what it writes.
#[derive(Debug, Clone)]
pub enum Change<'a> {
    /// SCHEDULED → PENDING for the first time, provided that the table holds the same
    /// instruction as the message: the queue is never the source of truth for money.
    Claim(&'a Payment),
    /// SCHEDULED → PENDING after a replay, with one more attempt than so many.
    ClaimAgain(&'a Payment, u32),
    /// PENDING → PENDING with one more attempt than so many, provided that the table holds the
    /// same instruction and no other worker has taken the payment up since.
    Resume(&'a Payment, u32),
    /// PENDING → PROCESSED.
    Settle(&'a PaymentRef, &'a Settlement),
    /// PENDING → PROCESSED, provided that the table holds what the transaction service says that
    /// it settled.
    SettleOf(&'a PaymentRef, &'a Settlement, Money),
    /// PENDING → FAILED, by the worker that has made the last of so many attempts.
    Fail(&'a PaymentRef, &'a Failure, u32),
    /// PENDING → FAILED, because the transaction service reports by itself that it was refused.
    Refuse(&'a PaymentRef, &'a Failure),
    /// FAILED → SCHEDULED, after so many attempts.
    Replay(&'a PaymentRef, u32, FirstClaim),
    /// SCHEDULED → CANCELLED, provided that it was never attempted: after a replay it is
    /// SCHEDULED again, and may have been settled before.
    Cancel(&'a PaymentRef),
    /// FAILED → CANCELLED after so many attempts, because a person has given it up.
    Discard(&'a PaymentRef, u32),
    /// SCHEDULED → FAILED, provided that it was never attempted: a person has to decide, and until
    /// then it is not paid.
    Withhold(&'a PaymentRef, &'a Failure),
    /// As [`Change::Withhold`], of a payment that a replay left SCHEDULED after so many attempts.
    WithholdReplayed(&'a PaymentRef, &'a Failure, u32),
    /// FAILED → SCHEDULED, because a person has decided what is right.
    Decide(OperatorDecision<'a>),
    /// PENDING → PENDING: the last of so many attempts did nothing, for certain, and with it so
    /// many since the last replay.
    NotDone(&'a PaymentRef, u32, u32),
    /// FAILED → FAILED after so many attempts: its dead letter is written, and with it so many.
    DeadLettered(&'a PaymentRef, u32, u32),
}

/// What a person has decided about a payment that FAILED.
#[derive(Debug, Clone, Copy)]
pub struct OperatorDecision<'a> {
    /// The payment as the table held it when the person decided: it must do so still.
    pub table: &'a Payment,
    /// Attempts so far: the fence. They become one more, so that a payment that a person has
    /// decided about is never taken for a new one, and is asked for first.
    pub attempts: u32,
    /// What becomes of the time of the first claim.
    pub first_claim: FirstClaim,
    /// What is to be paid.
    pub right: RightVersion<'a>,
}

/// Which version of a payment is right.
#[derive(Debug, Clone, Copy)]
pub enum RightVersion<'a> {
    /// The table's.
    Table,
    /// This one, from a message or a dead letter: amount, currency, beneficiary and blob are
    /// written back.
    Message(&'a Payment),
}

impl<'a> OperatorDecision<'a> {
    /// The payment as it will be paid.
    #[must_use]
    pub fn paid(&self) -> &'a Payment {
        match self.right {
            RightVersion::Table => self.table,
            RightVersion::Message(payment) => payment,
        }
    }
}

/// What a replay does with the time of the first claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstClaim {
    /// It stays: something may have been submitted since then.
    Stays,
    /// It is the time of the replay: nothing was settled before, for certain.
    StartsAnew,
}

impl Change<'_> {
    /// The event this change writes down.
    #[must_use]
    pub fn event(&self) -> Event {
        match self {
            Self::Claim(_) | Self::ClaimAgain(..) => Event::Claim,
            Self::Resume(..) => Event::Resume,
            Self::Settle(..) | Self::SettleOf(..) => Event::Settle,
            Self::Fail(..) | Self::Refuse(..) => Event::Fail,
            Self::Replay(..) | Self::Decide(_) => Event::Replay,
            Self::Discard(..) => Event::Discard,
            Self::Cancel(_) => Event::Cancel,
            Self::Withhold(..) | Self::WithholdReplayed(..) => Event::Withhold,
            Self::NotDone(..) => Event::NotDone,
            Self::DeadLettered(..) => Event::DeadLetter,
        }
    }

    /// Which payment it changes.
    #[must_use]
    pub fn reference(&self) -> PaymentRef {
        match self {
            Self::Claim(payment) | Self::ClaimAgain(payment, _) | Self::Resume(payment, _) => {
                payment.reference()
            }
            Self::Settle(reference, _)
            | Self::SettleOf(reference, ..)
            | Self::Fail(reference, ..)
            | Self::Refuse(reference, _)
            | Self::Replay(reference, ..)
            | Self::Discard(reference, _)
            | Self::Cancel(reference)
            | Self::Withhold(reference, _)
            | Self::WithholdReplayed(reference, ..)
            | Self::NotDone(reference, ..)
            | Self::DeadLettered(reference, ..) => (*reference).clone(),
            Self::Decide(decision) => decision.table.reference(),
        }
    }
}
