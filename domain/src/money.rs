//! Money: whole minor units of an ISO 4217 currency, never a fraction.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Currency;

/// Why a number is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a whole number.
    #[error("{text:?} is not a whole number of minor units (write 12.50 as 1250)")]
    NotWhole {
        /// What was given.
        text: String,
    },
    /// Zero or below.
    #[error("{value} is not above zero")]
    NotPositive {
        /// What was given.
        value: i64,
    },
    /// More than a payment may carry.
    #[error("{text} is above the largest amount, {}", Amount::MAX)]
    TooLarge {
        /// What was given.
        text: String,
    },
}

/// An amount above zero in minor units (cents for EUR, yen for JPY).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Amount(i64);

impl Amount {
    /// The largest amount of one payment: 2^53 - 1, the largest integer that every JSON
    /// reader keeps exactly (RFC 8259, section 6).
    pub const MAX: i64 = (1 << 53) - 1;

    /// Takes a number of minor units.
    ///
    /// # Errors
    /// [`AmountError`] for zero, negative and too large numbers.
    pub fn from_minor_units(value: i64) -> Result<Self, AmountError> {
        match value {
            ..=0 => Err(AmountError::NotPositive { value }),
            1..=Self::MAX => Ok(Self(value)),
            _ => Err(AmountError::TooLarge { text: value.to_string() }),
        }
    }

    /// The number of minor units.
    #[must_use]
    pub fn minor_units(self) -> i64 {
        self.0
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AmountError::NotWhole { text: text.to_owned() });
        }
        // All digits, so the only way to fail is to be out of range.
        let value = text.parse().map_err(|_| AmountError::TooLarge { text: text.to_owned() })?;
        Self::from_minor_units(value)
    }
}

impl TryFrom<i64> for Amount {
    type Error = AmountError;

    fn try_from(value: i64) -> Result<Self, AmountError> {
        Self::from_minor_units(value)
    }
}

impl From<Amount> for i64 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An amount as people read it: `12.50 EUR`, `1250 JPY`, `1.250 KWD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Minor units.
    pub amount: Amount,
    /// Of which currency.
    pub currency: Currency,
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let behind = self.currency.minor_digits();
        // One digit at least stands before the point.
        let digits = format!("{:0width$}", self.amount.minor_units(), width = behind + 1);
        let (major, minor) = digits.split_at(digits.len() - behind);
        let point = if behind == 0 { "" } else { "." };
        f.pad(&format!("{major}{point}{minor} {}", self.currency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_minor_units_above_zero() {
        assert_eq!("1250".parse::<Amount>().unwrap().minor_units(), 1250);
        assert!(matches!("0".parse::<Amount>(), Err(AmountError::NotPositive { value: 0 })));
        assert!(matches!("-5".parse::<Amount>(), Err(AmountError::NotPositive { value: -5 })));
        for text in ["12.50", "1e3", "+5", "", "-", " 5", "١"] {
            assert!(matches!(text.parse::<Amount>(), Err(AmountError::NotWhole { .. })), "{text}");
        }
    }

    #[test]
    fn an_amount_that_json_readers_would_round_is_refused() {
        assert!("9007199254740991".parse::<Amount>().is_ok());
        for text in ["9007199254740992", "99999999999999999999999"] {
            assert!(matches!(text.parse::<Amount>(), Err(AmountError::TooLarge { .. })), "{text}");
        }
    }

    #[test]
    fn money_is_shown_with_as_many_digits_as_its_currency_has() {
        let shown = |amount, currency: &str| {
            let amount = Amount::from_minor_units(amount).unwrap();
            Money { amount, currency: currency.parse().unwrap() }.to_string()
        };
        assert_eq!(Amount::from_minor_units(1_250).unwrap().to_string(), "1250");
        assert_eq!(shown(1_250, "EUR"), "12.50 EUR");
        assert_eq!(shown(5, "EUR"), "0.05 EUR");
        assert_eq!(shown(1_250, "JPY"), "1250 JPY");
        assert_eq!(shown(1_250, "KWD"), "1.250 KWD");
        assert_eq!(shown(7, "CLF"), "0.0007 CLF");
        assert_eq!(shown(7, "XAU"), "7 XAU");
        assert_eq!(shown(Amount::MAX, "EUR"), "90071992547409.91 EUR");
        let money = Money {
            amount: Amount::from_minor_units(5).unwrap(),
            currency: "EUR".parse().unwrap(),
        };
        assert_eq!(format!("{money:>12}"), "    0.05 EUR");
    }
}
