//! ISO 4217 currencies, and on which days a payment can be made in them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::DueDate;
use super::currency_period::{CurrencyPeriod, period};

/// Why a text is not a currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct CurrencyError {
    text: String,
}

impl fmt::Display for CurrencyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text } = self;
        match period(text) {
            CurrencyPeriod::Until(last, instead) => {
                write!(f, "{text} was withdrawn after {last}; {instead} came instead")
            }
            CurrencyPeriod::Always | CurrencyPeriod::From(_) | CurrencyPeriod::Never(_) => {
                write!(f, "{text:?} is not an ISO 4217 currency code such as EUR")
            }
        }
    }
}

/// An ISO 4217 currency. Stored payments need every code read back; in which of them a payment
/// can be made, and when, says [`Currency::check_payable_on`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three capital letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many digits of an amount lie behind the point: the exponent of ISO 4217, and 0 for
    /// what has none (metals, test codes).
    #[must_use]
    pub fn minor_digits(self) -> usize {
        self.0.exponent().unwrap_or_default().into()
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        iso_currency::Currency::from_code(text)
            .map(Self)
            .ok_or_else(|| CurrencyError { text: text.to_owned() })
    }
}

impl TryFrom<String> for Currency {
    type Error = CurrencyError;

    fn try_from(text: String) -> Result<Self, CurrencyError> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why no payment can be made in a currency on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct NotPayable {
    currency: Currency,
    reason: NotPayableReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotPayableReason {
    /// Never: what the code stands for.
    Never(&'static str),
    /// It comes into use on a later day.
    NotYet(DueDate),
    /// It was withdrawn after this day, and what came instead.
    NoLonger(DueDate, &'static str),
}

impl fmt::Display for NotPayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { currency, reason } = self;
        match reason {
            NotPayableReason::Never(what) => {
                write!(f, "{currency} is {what}, no currency to pay in")
            }
            NotPayableReason::NotYet(from) => write!(f, "{currency} is in use from {from} on"),
            NotPayableReason::NoLonger(until, instead) => {
                write!(f, "{currency} was withdrawn after {until}; {instead} came instead")
            }
        }
    }
}

impl Currency {
    /// Whether a payment that is due on `day` can be made in this currency.
    #[must_use]
    pub fn is_payable_on(self, day: DueDate) -> bool {
        self.check_payable_on(day).is_ok()
    }

    /// The same, with the reason.
    ///
    /// # Errors
    /// [`NotPayable`] says what the code stands for, or since or until when it is in use.
    pub fn check_payable_on(self, day: DueDate) -> Result<(), NotPayable> {
        let refused = |reason| Err(NotPayable { currency: self, reason });
        match period(self.code()) {
            CurrencyPeriod::Never(what) => refused(NotPayableReason::Never(what)),
            CurrencyPeriod::From(from) if day < from => refused(NotPayableReason::NotYet(from)),
            CurrencyPeriod::Until(until, instead) if day > until => {
                refused(NotPayableReason::NoLonger(until, instead))
            }
            CurrencyPeriod::Always | CurrencyPeriod::From(_) | CurrencyPeriod::Until(..) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> DueDate {
        text.parse().unwrap()
    }

    /// Every code of three letters that is taken as a currency.
    fn known() -> Vec<Currency> {
        let letters = || b'A'..=b'Z';
        let mut known = Vec::new();
        for first in letters() {
            for second in letters() {
                for third in letters() {
                    let code = [first, second, third].map(char::from);
                    known.extend(String::from_iter(code).parse::<Currency>());
                }
            }
        }
        known
    }

    /// A code that a new version of the list brings must be decided by a person, or it would be
    /// paid in because nobody has heard of it.
    #[test]
    fn every_code_is_decided_and_those_payable_today_are_exactly_these() {
        let payable: Vec<_> = known()
            .into_iter()
            .filter(|currency| currency.is_payable_on(day("2026-12-15")))
            .map(Currency::code)
            .collect();
        let expected = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL \
            BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN \
            ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR \
            ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL \
            MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN \
            PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP \
            STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND \
            VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG";
        assert_eq!(payable, expected.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn a_withdrawn_currency_is_payable_up_to_its_last_day_and_stays_readable() {
        for (code, last, first_without) in [
            ("BGN", "2025-12-31", "2026-01-01"),
            ("HRK", "2022-12-31", "2023-01-01"),
            ("SLL", "2023-12-31", "2024-01-01"),
            ("ZWL", "2024-08-31", "2024-09-01"),
            ("CUC", "2021-06-30", "2021-07-01"),
        ] {
            let currency: Currency = code.parse().unwrap();
            assert!(currency.is_payable_on(day(last)), "{code} on {last}");
            let error = currency.check_payable_on(day(first_without)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{code} was withdrawn after {last}")), "{error}");
        }
    }

    #[test]
    fn a_new_currency_is_payable_from_its_first_day_on() {
        for (code, before, first) in [
            ("BYN", "2016-06-30", "2016-07-01"),
            ("MRU", "2017-12-31", "2018-01-01"),
            ("SLE", "2022-06-30", "2022-07-01"),
            ("STN", "2017-12-31", "2018-01-01"),
            ("VED", "2021-09-30", "2021-10-01"),
            ("VES", "2018-08-19", "2018-08-20"),
            ("XCG", "2025-03-30", "2025-03-31"),
            ("ZWG", "2024-06-24", "2024-06-25"),
        ] {
            let currency: Currency = code.parse().unwrap();
            assert!(currency.is_payable_on(day(first)), "{code} on {first}");
            let error = currency.check_payable_on(day(before)).unwrap_err().to_string();
            assert_eq!(error, format!("{code} is in use from {first} on"));
        }
    }

    #[test]
    fn a_withdrawn_code_that_the_list_has_dropped_is_refused_with_what_came_instead() {
        let error = "ANG".parse::<Currency>().unwrap_err().to_string();
        assert_eq!(error, "ANG was withdrawn after 2025-03-30; XCG came instead");
    }

    #[test]
    fn what_is_no_money_is_never_payable() {
        for code in "XXX XTS XAU XAG XPT XPD XDR XSU XUA XBA XBB XBC XBD XAD BOV CHE CHW CLF COU \
            MXV USN UYI UYW"
            .split_whitespace()
        {
            let currency: Currency = code.parse().unwrap();
            let error = currency.check_payable_on(day("2026-12-15")).unwrap_err().to_string();
            assert!(error.ends_with("no currency to pay in"), "{error}");
        }
    }

    #[test]
    fn currencies_are_those_of_iso_4217_in_capitals() {
        assert_eq!("EUR".parse::<Currency>().unwrap().code(), "EUR");
        for text in ["eur", "ABC", "EURO", ""] {
            assert!(text.parse::<Currency>().is_err(), "{text} was accepted");
        }
    }
}
