//! The payments of the golden file, and what became of them.

use std::time::Duration;

use domain::{
    AccountId, Amount, BeneficiaryId, BlobDigest, Data, DataBlob, Failure, FailureCode, Money,
    Payment, PaymentRef, Settlement, TraceKey,
};
use jiff::Timestamp;
use shared::dispatch_stop::{DispatchStop, StopCause};
use shared::queue::{Confirmation, ReportedResult};

/// So many seconds after the payments were inserted.
pub(crate) fn at(seconds: u64) -> Timestamp {
    "2026-11-23T01:00:00.123Z".parse::<Timestamp>().unwrap() + Duration::from_secs(seconds)
}

fn payment(number: u32, data: Option<Data>) -> Payment {
    Payment {
        id: format!("019ab1f4-5c1e-7d3a-8b2f-{number:012}").parse().unwrap(),
        account: AccountId::parse("ACC-000017").unwrap(),
        due: "2026-11-23".parse().unwrap(),
        amount: Amount::from_minor_units(1250).unwrap(),
        currency: "EUR".parse().unwrap(),
        beneficiary: BeneficiaryId::parse("BEN-9").unwrap(),
        data,
        trace_key: TraceKey::parse("019ab1f4-0000-7000-8000-000000000001").unwrap(),
        created_at: at(0),
    }
}

fn small_blob() -> Data {
    Data::Whole(DataBlob::new("{\"note\":\"Miete März\"}").unwrap())
}

pub(crate) fn scheduled() -> Payment {
    payment(1, None)
}

pub(crate) fn claimed() -> Payment {
    payment(2, Some(small_blob()))
}

pub(crate) fn settled() -> Payment {
    payment(3, None)
}

pub(crate) fn failed() -> Payment {
    payment(4, None)
}

pub(crate) fn replayed() -> Payment {
    payment(5, None)
}

pub(crate) fn cancelled() -> Payment {
    payment(6, None)
}

pub(crate) fn withheld() -> Payment {
    payment(7, None)
}

/// Its blob lies in an item of its own.
pub(crate) fn large() -> Payment {
    payment(8, large_blob().map(Data::Whole))
}

pub(crate) fn archived() -> Payment {
    payment(9, Some(small_blob()))
}

pub(crate) fn large_blob() -> Option<DataBlob> {
    DataBlob::new("0123456789".repeat(300)).ok()
}

pub(crate) fn blob_of_large() -> (PaymentRef, BlobDigest) {
    (large().reference(), BlobDigest::of(&large_blob().unwrap()))
}

pub(crate) fn all() -> Vec<Payment> {
    vec![
        scheduled(),
        claimed(),
        settled(),
        failed(),
        replayed(),
        cancelled(),
        withheld(),
        large(),
        archived(),
    ]
}

pub(crate) fn settlement() -> Settlement {
    Settlement { transaction_id: "T-4711".to_owned(), settled_at: at(20) }
}

pub(crate) fn rejection() -> Failure {
    Failure::new(FailureCode::Rejected, "insufficient_funds: the balance is 3.10 EUR")
}

/// What the messages of `payments.fifo` hold, in the order of their deduplication ids.
pub(crate) fn queued() -> Vec<Payment> {
    let (_, digest) = blob_of_large();
    vec![scheduled(), claimed(), claimed(), Payment { data: Some(Data::Beside(digest)), ..large() }]
}

pub(crate) fn confirmations() -> Vec<Confirmation> {
    let confirmation = |result, money, trace_key| Confirmation {
        payment: settled().reference(),
        result,
        money,
        trace_key,
    };
    let money = Money { amount: settled().amount, currency: settled().currency };
    let refused = Failure::new(FailureCode::Refused, "account_closed: closed on Friday");
    vec![
        confirmation(ReportedResult::Settled(settlement()), Some(money), Some(settled().trace_key)),
        confirmation(ReportedResult::Settled(settlement()), None, None),
        confirmation(ReportedResult::Rejected(refused), None, None),
    ]
}

pub(crate) fn stop() -> DispatchStop {
    DispatchStop {
        id: "019ab1f4-0000-7000-8000-000000000002".parse().unwrap(),
        cause: StopCause::Rejected,
        reason: "rejected payments of 20 accounts".to_owned(),
        by: "dispatcher host-1".to_owned(),
        at: at(60),
        count: 20,
    }
}
