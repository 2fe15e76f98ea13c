//! The body of a submission.

use serde::Serialize;

use domain::{Data, Payment};

/// The body of a submission.
#[derive(Debug, Serialize)]
pub(super) struct SubmissionBody<'a> {
    payment_id: String,
    account_id: &'a str,
    beneficiary_id: &'a str,
    amount: i64,
    currency: &'a str,
    scheduled_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
}

impl<'a> SubmissionBody<'a> {
    /// Equal on every attempt, because everything in it is the payment's own. `None` when
    /// only the digest of its blob is at hand: it is not submitted without it.
    pub(super) fn of(payment: &'a Payment) -> Option<Self> {
        let data = match &payment.data {
            None => None,
            Some(Data::Whole(blob)) => Some(blob.as_str()),
            Some(Data::Beside(_)) => return None,
        };
        Some(Self {
            payment_id: payment.id.to_string(),
            account_id: payment.account.as_str(),
            beneficiary_id: payment.beneficiary.as_str(),
            amount: payment.amount.minor_units(),
            currency: payment.currency.code(),
            scheduled_date: payment.due.to_string(),
            data,
        })
    }
}
