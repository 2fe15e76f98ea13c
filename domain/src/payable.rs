//! In which currencies a payment can be made, and from when until when: pure.
//!
//! ISO 4217 also has codes that nobody can be paid in: fund codes and units of account, metals,
//! codes for tests and for "no currency", and currencies that were withdrawn. A stored payment in
//! one of them stays readable; a new one is refused.
//!
//! Source: ISO 4217, List One (current currencies and funds), List Three (historic ones) and the
//! amendments 161 to 178, by the maintenance agency (SIX); BGN ended with Bulgaria's entry into
//! the euro area on 2026-01-01. Where accounts were converted on one day and cash was good for
//! longer, the day of the conversion counts: a payment is no cash.

use std::fmt;

use super::date::DueDate;
use super::money::Currency;

/// Why no payment can be made in a currency on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct NotPayable {
    currency: Currency,
    reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
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
            Reason::Never(what) => write!(f, "{currency} is {what}, no currency to pay in"),
            Reason::NotYet(from) => write!(f, "{currency} is in use from {from} on"),
            Reason::NoLonger(until, instead) => {
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
            Period::Never(what) => refused(Reason::Never(what)),
            Period::From(from) if day < from => refused(Reason::NotYet(from)),
            Period::Until(until, instead) if day > until => {
                refused(Reason::NoLonger(until, instead))
            }
            Period::Always | Period::From(_) | Period::Until(..) => Ok(()),
        }
    }
}

/// When a currency is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    /// Before any payment of this program and until further notice.
    Always,
    /// From this day on.
    From(DueDate),
    /// Up to and including this day; what came instead.
    Until(DueDate, &'static str),
    /// Never; what the code stands for.
    Never(&'static str),
}

/// What came instead of a code that is withdrawn, and its last day.
pub(super) fn withdrawn(code: &str) -> Option<(DueDate, &'static str)> {
    match period(code) {
        Period::Until(last, instead) => Some((last, instead)),
        Period::Always | Period::From(_) | Period::Never(_) => None,
    }
}

const FUND: &str = "a fund code or unit of account";
const METAL: &str = "a precious metal";
const MARKET: &str = "a unit of the European bond market";

fn period(code: &str) -> Period {
    let on = DueDate::on;
    match code {
        // Withdrawn.
        "ANG" => Period::Until(on(2025, 3, 30), "XCG"),
        "BGN" => Period::Until(on(2025, 12, 31), "EUR"),
        "CUC" => Period::Until(on(2021, 6, 30), "CUP"),
        "HRK" => Period::Until(on(2022, 12, 31), "EUR"),
        "SLL" => Period::Until(on(2023, 12, 31), "SLE"),
        "ZWL" => Period::Until(on(2024, 8, 31), "ZWG"),
        // New.
        "BYN" => Period::From(on(2016, 7, 1)),
        "MRU" | "STN" => Period::From(on(2018, 1, 1)),
        "VES" => Period::From(on(2018, 8, 20)),
        "VED" => Period::From(on(2021, 10, 1)),
        "SLE" => Period::From(on(2022, 7, 1)),
        "ZWG" => Period::From(on(2024, 6, 25)),
        "XCG" => Period::From(on(2025, 3, 31)),
        // Nothing to pay in.
        "BOV" | "CHE" | "CHW" | "CLF" | "COU" | "MXV" | "USN" | "UYI" | "UYW" | "XAD" | "XDR"
        | "XSU" | "XUA" => Period::Never(FUND),
        "XAG" | "XAU" | "XPD" | "XPT" => Period::Never(METAL),
        "XBA" | "XBB" | "XBC" | "XBD" => Period::Never(MARKET),
        "XTS" => Period::Never("a code for tests"),
        "XXX" => Period::Never("the code for no currency"),
        _ => Period::Always,
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
        for (code, before, first) in
            [("XCG", "2025-03-30", "2025-03-31"), ("ZWG", "2024-06-24", "2024-06-25")]
        {
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
}
