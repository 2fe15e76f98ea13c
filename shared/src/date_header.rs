//! The `Date` header of an answer: what time it is where it comes from.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Reads a date of HTTP (RFC 9110, section 5.6.7): whole seconds. `None` for another text.
#[must_use]
pub fn parse_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text.as_bytes()).ok()
}

/// How many seconds the clock that wrote `date` is ahead of `now`; whole seconds, as the header.
#[must_use]
pub fn seconds_ahead(date: Timestamp, now: Timestamp) -> i64 {
    date.as_second() - now.as_second()
}

/// The `Date` header of an answer of AWS, which the SDK keeps to itself: an interceptor of one
/// call. Clones share what they have seen.
#[derive(Debug, Clone, Default)]
pub struct DateHeader(Arc<Mutex<Option<(Timestamp, Timestamp)>>>);

impl DateHeader {
    /// What the header said.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        self.seen().map(|(date, _)| date)
    }

    /// How many seconds the other clock was ahead of this machine's when the answer came.
    #[must_use]
    pub fn seconds_ahead(&self) -> Option<i64> {
        self.seen().map(|(date, now)| seconds_ahead(date, now))
    }

    fn seen(&self) -> Option<(Timestamp, Timestamp)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for DateHeader {
    fn name(&self) -> &'static str {
        "DateHeader"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(parse_date);
        let seen = date.map(|date| (date, Timestamp::now()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_header_tells_how_far_its_clock_is_ahead() {
        let now = "2026-11-24T17:30:43.9Z".parse().unwrap();
        let ahead = |text| parse_date(text).map(|date| seconds_ahead(date, now));
        assert_eq!(ahead("Tue, 24 Nov 2026 17:30:43 GMT"), Some(0));
        assert_eq!(ahead("Tue, 24 Nov 2026 17:31:00 GMT"), Some(17));
        assert_eq!(ahead("Tue, 24 Nov 2026 17:30:00 GMT"), Some(-43));
        assert_eq!(ahead("yesterday"), None);
    }
}
