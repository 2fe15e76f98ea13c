//! The moment of a settlement or rejection.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// When a payment was settled: UTC, to the millisecond, written as RFC 3339
/// (`2026-03-01T01:02:03.004Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettledAt(Timestamp);

impl SettledAt {
    pub(crate) fn now() -> Self {
        Self::to_the_millisecond(Timestamp::now())
    }

    /// How much later this is than `earlier`; nothing if it is not.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0.duration_since(earlier.0)).unwrap_or_default()
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn as_millisecond(self) -> i64 {
        self.0.as_millisecond()
    }

    /// What is remembered must equal what is written, digit for digit.
    fn to_the_millisecond(time: Timestamp) -> Self {
        Self(Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time))
    }
}

impl fmt::Display for SettledAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Serialize for SettledAt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SettledAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: Timestamp = text.parse().map_err(D::Error::custom)?;
        Ok(Self::to_the_millisecond(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds_even_when_they_are_zero() {
        for (given, written) in [
            ("2026-03-01T01:02:03Z", "2026-03-01T01:02:03.000Z"),
            ("2026-03-01T02:02:03.0049+01:00", "2026-03-01T01:02:03.004Z"),
        ] {
            let time: SettledAt = serde_json::from_str(&format!("\"{given}\"")).unwrap();
            assert_eq!(serde_json::to_string(&time).unwrap(), format!("\"{written}\""));
        }
    }
}
