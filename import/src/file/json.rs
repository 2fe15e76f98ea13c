//! Rows of JSON lines.

use std::collections::BTreeMap;

use domain::Currency;
use serde::Deserialize;

use super::row::Row;
use super::trailer::ControlTotals;

/// The row, or what is wrong with it.
pub(crate) fn row(raw: &[u8]) -> Result<Row, String> {
    let text = std::str::from_utf8(raw)
        .map_err(|error| format!("is not UTF-8 from its byte {} on", error.valid_up_to() + 1))?;
    Row::from_json(text).map_err(|error| without_line(&error))
}

/// Each row is a document of its own, so the parser's line is always 1.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line 1 column ") {
        Some((reason, column)) => format!("{reason}, at character {column}"),
        None => text,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    #[serde(rename = "Trailer")]
    trailer: TrailerFields,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrailerFields {
    #[serde(rename = "Count")]
    count: Option<u64>,
    #[serde(rename = "Sums", default)]
    sums: UniqueSums,
}

/// The control totals, if the row states them.
pub(crate) fn trailer(raw: &[u8]) -> Option<Result<ControlTotals, String>> {
    let inside = raw.trim_ascii_start().strip_prefix(b"{")?;
    inside.trim_ascii_start().strip_prefix(b"\"Trailer\"")?;
    let stated = serde_json::from_slice(raw).map_err(|error| without_line(&error));
    Some(stated.and_then(|Trailer { trailer }| {
        let mut sums = BTreeMap::new();
        for (code, sum) in trailer.sums.0 {
            let currency: Currency = code.parse().map_err(|error| format!("{error}"))?;
            sums.insert(currency.code(), sum);
        }
        Ok(ControlTotals { count: trailer.count, sums })
    }))
}

/// Sums by currency code. A code that comes twice is an error: a map would keep one of the sums.
#[derive(Default)]
struct UniqueSums(BTreeMap<String, i128>);

impl<'de> Deserialize<'de> for UniqueSums {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sums;
        impl<'de> serde::de::Visitor<'de> for Sums {
            type Value = UniqueSums;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of sums by currency")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<UniqueSums, A::Error> {
                let mut sums = BTreeMap::new();
                while let Some((code, sum)) = map.next_entry::<String, i128>()? {
                    if sums.insert(code.clone(), sum).is_some() {
                        return Err(serde::de::Error::custom(format!("{code} is there twice")));
                    }
                }
                Ok(UniqueSums(sums))
            }
        }
        deserializer.deserialize_map(Sums)
    }
}
