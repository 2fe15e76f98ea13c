//! Control totals: how many rows a file should hold, and the sums of their amounts.

use std::collections::BTreeMap;
use std::str::FromStr;

use domain::Currency;

/// The control totals that a trailer states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ControlTotals {
    /// Rows, without the trailer and the header.
    pub(crate) count: Option<u64>,
    /// Minor units by currency; empty when it states no sums.
    pub(crate) sums: BTreeMap<&'static str, i128>,
}

/// A sum in minor units, and of which currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedSum {
    /// The sum.
    pub amount: i128,
    /// The currency; `None` for the only one of the file.
    pub currency: Option<Currency>,
}

impl FromStr for ExpectedSum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (amount, currency) = match text.split_once(':') {
            Some((amount, currency)) => (amount, Some(currency)),
            None => (text, None),
        };
        let amount = amount.trim().parse().map_err(|_| {
            format!("{text:?} is not a sum in whole minor units such as 2500 or 2500:EUR")
        })?;
        let currency = currency.map(|code| code.trim().parse::<Currency>()).transpose();
        Ok(Self { amount, currency: currency.map_err(|error| error.to_string())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_minor_units_with_or_without_a_currency() {
        let sum = |text: &str| text.parse::<ExpectedSum>();
        assert_eq!(sum("2500"), Ok(ExpectedSum { amount: 2500, currency: None }));
        let beyond_64_bits = sum("99999999999999999999:EUR").unwrap();
        assert_eq!(beyond_64_bits.currency, Some("EUR".parse().unwrap()));
        for text in ["25.00", "2500:EURO", "2500:", "", ":EUR", "2,500"] {
            assert!(sum(text).is_err(), "{text} was accepted");
        }
    }
}
