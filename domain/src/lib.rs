//! The business: payments, their ids, dates, amounts, statuses and outcomes.
//!
//! Pure: nothing here reads a clock, a socket or a file. The crate depends on no crate that
//! does I/O, so Cargo keeps it so. One call is no function of its arguments:
//! [`PaymentId::generate`], for those who make payments.

mod account;
mod attempt;
mod batch_clock;
mod currency;
mod currency_period;
mod data;
mod date;
mod failure;
mod hash;
mod money;
mod outcome;
mod payment;
mod payment_id;
mod reference;
mod refusal;
mod status;
mod timing;

pub use account::{AccountId, BeneficiaryId, IdError};
pub use attempt::{
    Attempt, AttemptLimits, AttemptPlan, GiveUpReason, KeyQuery, KeyStatus, QueryDecision,
    after_query,
};
pub use batch_clock::{
    BatchClock, BatchMeasurement, BatchReading, BatchTerms, FARTHEST_FORECAST, StatusCounts,
};
pub use currency::{Currency, CurrencyError, NotPayable};
pub use data::{BlobDigest, BlobDigestError, Data, DataBlob, DataBlobError, MAX_PAYMENT_BYTES};
pub use date::{DateError, DueDate};
pub use failure::{Failure, FailureCode};
pub use hash::fnv1a;
pub use money::{Amount, AmountError, Money};
pub use outcome::{
    Certainty, NextStep, Outcome, ServiceRefusal, Settlement, UnknownCause, next_step,
    redelivery_pause,
};
pub use payment::{Payment, TraceKey};
pub use payment_id::{PaymentId, PaymentIdError};
pub use reference::{PaymentRef, ReferenceError};
pub use refusal::{CERTAIN_STATUSES, RefusalCode, RefusalCodeError, RefusalCodes};
pub use status::{Event, Status, StatusError, TransitionRefused, transition};
pub use timing::{CLOCK_TOLERANCE, DueTiming};
