//! In which currencies a payment can be made, and from when until when.
//!
//! ISO 4217 also has codes that nobody can be paid in: fund codes and units of account, metals,
//! codes for tests and for "no currency", and currencies that were withdrawn. A stored payment in
//! one of them stays readable; a new one is refused.
//!
//! Source: ISO 4217, List One (current currencies and funds), List Three (historic ones) and the
//! amendments 161 to 178, by the maintenance agency (SIX); BGN ended with Bulgaria's entry into
//! the euro area on 2026-01-01. Where accounts were converted on one day and cash was good for
//! longer, the day of the conversion counts: a payment is no cash.

use super::DueDate;

/// When a currency is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CurrencyPeriod {
    /// Before any payment of this program and until further notice.
    Always,
    /// From this day on.
    From(DueDate),
    /// Up to and including this day; what came instead.
    Until(DueDate, &'static str),
    /// Never; what the code stands for.
    Never(&'static str),
}

const FUND: &str = "a fund code or unit of account";
const METAL: &str = "a precious metal";
const MARKET: &str = "a unit of the European bond market";

/// When the currency `code` is in use.
pub(super) fn period(code: &str) -> CurrencyPeriod {
    let on = DueDate::on;
    match code {
        // Withdrawn.
        "ANG" => CurrencyPeriod::Until(on(2025, 3, 30), "XCG"),
        "BGN" => CurrencyPeriod::Until(on(2025, 12, 31), "EUR"),
        "CUC" => CurrencyPeriod::Until(on(2021, 6, 30), "CUP"),
        "HRK" => CurrencyPeriod::Until(on(2022, 12, 31), "EUR"),
        "SLL" => CurrencyPeriod::Until(on(2023, 12, 31), "SLE"),
        "ZWL" => CurrencyPeriod::Until(on(2024, 8, 31), "ZWG"),
        // New.
        "BYN" => CurrencyPeriod::From(on(2016, 7, 1)),
        "MRU" | "STN" => CurrencyPeriod::From(on(2018, 1, 1)),
        "VES" => CurrencyPeriod::From(on(2018, 8, 20)),
        "VED" => CurrencyPeriod::From(on(2021, 10, 1)),
        "SLE" => CurrencyPeriod::From(on(2022, 7, 1)),
        "ZWG" => CurrencyPeriod::From(on(2024, 6, 25)),
        "XCG" => CurrencyPeriod::From(on(2025, 3, 31)),
        // Nothing to pay in.
        "BOV" | "CHE" | "CHW" | "CLF" | "COU" | "MXV" | "USN" | "UYI" | "UYW" | "XAD" | "XDR"
        | "XSU" | "XUA" => CurrencyPeriod::Never(FUND),
        "XAG" | "XAU" | "XPD" | "XPT" => CurrencyPeriod::Never(METAL),
        "XBA" | "XBB" | "XBC" | "XBD" => CurrencyPeriod::Never(MARKET),
        "XTS" => CurrencyPeriod::Never("a code for tests"),
        "XXX" => CurrencyPeriod::Never("the code for no currency"),
        _ => CurrencyPeriod::Always,
    }
}
