//! What each answer repeats of the payment that it speaks of, so that the client can tell that
//! it speaks of this one.

use serde::{Serialize, Serializer};

/// The members of a payment that an answer repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Echo {
    pub(crate) payment_id: Box<str>,
    pub(crate) amount: i64,
    pub(crate) currency: CurrencyCode,
}

/// Three capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CurrencyCode([u8; 3]);

impl CurrencyCode {
    pub(crate) fn of(currency: &str) -> Self {
        let mut letters = [b'X'; 3];
        letters.iter_mut().zip(currency.bytes()).for_each(|(letter, byte)| *letter = byte);
        Self(letters)
    }
}

impl Serialize for CurrencyCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&String::from_utf8_lossy(&self.0))
    }
}

/// The same, as it is remembered of a million payments: without the id when that is the key.
#[derive(Clone, Debug)]
pub(crate) struct StoredEcho {
    payment_id: Option<Box<str>>,
    amount: i64,
    currency: CurrencyCode,
}

impl StoredEcho {
    pub(crate) fn new(payment_id: Option<Box<str>>, amount: i64, currency: &str) -> Self {
        Self { payment_id, amount, currency: CurrencyCode::of(currency) }
    }

    pub(crate) fn echo(&self, key: &str) -> Echo {
        let payment_id = self.payment_id.clone().unwrap_or_else(|| key.into());
        Echo { payment_id, amount: self.amount, currency: self.currency }
    }
}
