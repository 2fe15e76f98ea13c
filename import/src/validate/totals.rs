//! Counting and adding up a file, and comparing with what it should hold.

use std::collections::BTreeMap;

use crate::file::{ControlTotals, ExpectedSum, Row};

/// What a file holds. Every row counts, also one that is rejected: the totals show whether the file
/// came as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileTotals {
    pub(crate) rows: u64,
    /// Minor units by currency. An amount has 64 bits and so does the number of rows: the sum
    /// cannot overflow.
    pub(crate) sums: BTreeMap<&'static str, i128>,
    /// Rows in no sum, because their amount or currency cannot be read.
    pub(crate) unsummed: u64,
}

impl FileTotals {
    /// Adds a row, or one that cannot be read.
    pub(crate) fn add(&mut self, row: Option<&Row>) {
        self.rows += 1;
        match row.and_then(Row::stated) {
            Some((currency, amount)) => {
                *self.sums.entry(currency).or_default() += i128::from(amount);
            }
            None => self.unsummed += 1,
        }
    }

    /// All that differs from what a trailer states.
    pub(crate) fn compare_with_trailer(&self, stated: &ControlTotals) -> Vec<String> {
        let mut wrong = self.compare_count(stated.count);
        if !stated.sums.is_empty() {
            wrong.extend(self.compare_sums(&stated.sums));
        }
        wrong
    }

    /// All that differs from what the options expect.
    pub(crate) fn compare_with_options(
        &self,
        count: Option<u64>,
        sums: &[ExpectedSum],
    ) -> Vec<String> {
        let mut wrong = self.compare_count(count);
        let mut expected = BTreeMap::new();
        for sum in sums {
            let code = match (sum.currency, self.only_currency()) {
                (Some(currency), _) => currency.code(),
                (None, Some(only)) => only,
                (None, None) => {
                    let found: Vec<_> = self.sums.keys().copied().collect();
                    wrong.push(format!(
                        "a sum of {} was expected without a currency, but the file has the currencies [{}]",
                        sum.amount,
                        found.join(", ")
                    ));
                    continue;
                }
            };
            if expected.insert(code, sum.amount).is_some_and(|other| other != sum.amount) {
                wrong.push(format!("two different sums of {code} were expected"));
            }
        }
        if !expected.is_empty() {
            wrong.extend(self.compare_sums(&expected));
        }
        wrong
    }

    fn only_currency(&self) -> Option<&'static str> {
        let mut codes = self.sums.keys();
        codes.next().copied().filter(|_| codes.next().is_none())
    }

    fn compare_count(&self, expected: Option<u64>) -> Vec<String> {
        expected
            .filter(|expected| *expected != self.rows)
            .map(|expected| format!("{expected} rows were expected, {} found", self.rows))
            .into_iter()
            .collect()
    }

    /// A currency for which no sum was given is wrong too: it is money that nobody announced.
    fn compare_sums(&self, expected: &BTreeMap<&'static str, i128>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (code, expected) in expected {
            let found = self.sums.get(code).copied().unwrap_or_default();
            if found != *expected {
                wrong.push(format!("a sum of {expected} {code} was expected, {found} found"));
            }
        }
        for (code, found) in self.sums.iter().filter(|(code, _)| !expected.contains_key(*code)) {
            wrong.push(format!("no sum of {code} was expected, {found} found"));
        }
        if self.unsummed > 0 {
            let rows = if self.unsummed == 1 { "row is" } else { "rows are" };
            wrong.push(format!(
                "{} {rows} in no sum, because the amount or currency cannot be read",
                self.unsummed
            ));
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals() -> FileTotals {
        let sums = BTreeMap::from([("EUR", 2500), ("JPY", 7)]);
        FileTotals { rows: 3, sums, unsummed: 0 }
    }

    #[test]
    fn totals_that_are_right_are_not_complained_of() {
        let stated = ControlTotals { count: Some(3), sums: totals().sums };
        assert_eq!(totals().compare_with_trailer(&stated), Vec::<String>::new());
        let sums = ["2500:EUR", "7:JPY"].map(|sum| sum.parse().unwrap());
        assert_eq!(totals().compare_with_options(Some(3), &sums), Vec::<String>::new());
        assert_eq!(totals().compare_with_options(None, &[]), Vec::<String>::new());
    }

    #[test]
    fn a_wrong_total_is_said_with_what_was_expected_and_found() {
        let wrong = |count, sums: &[&str]| {
            let sums: Vec<_> = sums.iter().map(|sum| sum.parse().unwrap()).collect();
            totals().compare_with_options(count, &sums).join("; ")
        };
        assert_eq!(wrong(Some(4), &[]), "4 rows were expected, 3 found");
        assert_eq!(
            wrong(None, &["2501:EUR", "7:JPY"]),
            "a sum of 2501 EUR was expected, 2500 found"
        );
        assert_eq!(wrong(None, &["2500:EUR"]), "no sum of JPY was expected, 7 found");
        assert!(wrong(None, &["2500"]).contains("[EUR, JPY]"));
        assert!(
            wrong(None, &["2500:EUR", "7:JPY", "1:USD"]).contains("1 USD was expected, 0 found")
        );
    }

    #[test]
    fn rows_in_no_sum_make_the_sums_wrong() {
        let totals = FileTotals { unsummed: 2, ..totals() };
        let stated = ControlTotals { count: Some(3), sums: totals.sums.clone() };
        assert!(
            totals.compare_with_trailer(&stated).join("; ").starts_with("2 rows are in no sum")
        );
    }

    #[test]
    fn sums_go_beyond_64_bits_and_refused_amounts_count() {
        let text = r#"{"AccountID":"A","ScheduledDate":"D","Amount":-9223372036854775808,"Currency":"EUR","BeneficiaryID":"B"}"#;
        let row = Row::from_json(text).unwrap();
        let mut totals = FileTotals::default();
        for row in [Some(&row), Some(&row), None] {
            totals.add(row);
        }
        assert_eq!((totals.rows, totals.unsummed), (3, 1));
        assert_eq!(totals.sums["EUR"], 2 * i128::from(i64::MIN));
    }
}
