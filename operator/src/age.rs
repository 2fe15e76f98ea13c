//! Ages as people read them: pure.

use jiff::{SignedDuration, Timestamp};

/// How long ago `then` was, in its two largest units: `45s`, `12m 5s`, `3h 5m`, `4d 2h`. A time in
/// the future is `0s` ago.
pub(crate) fn since(then: Timestamp, now: Timestamp) -> String {
    length(now.duration_since(then))
}

/// A length of time in its two largest units.
pub(crate) fn length(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// Reads a length of time with a unit: `90s`, `30m`, `2h`, `16d`.
///
/// # Errors
/// What it should be.
pub(crate) fn parse(text: &str) -> Result<SignedDuration, String> {
    let hours = |days: i64| days.checked_mul(24).and_then(SignedDuration::try_from_hours);
    let parsed = match text.strip_suffix('d') {
        Some(days) => days.parse().ok().and_then(hours),
        // A bare number has no unit and would be a guess.
        None if text.ends_with(|c: char| c.is_ascii_digit()) => None,
        None => text.parse().ok(),
    };
    parsed
        .filter(|length| !length.is_negative())
        .ok_or_else(|| "it is no length of time with a unit, such as 30m, 2h or 16d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_read_with_its_unit_only() {
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("2h", 7_200), ("16d", 1_382_400)] {
            assert_eq!(parse(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "2", "d", "-2h", "-1d", "soon", "99999999999999999d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_age_shows_its_two_largest_units() {
        for (seconds, shown) in [
            (-5, "0s"),
            (59, "59s"),
            (61, "1m 1s"),
            (3_600, "1h 0m"),
            (86_399, "23h 59m"),
            (90_000, "1d 1h"),
            (17 * 86_400, "17d 0h"),
        ] {
            assert_eq!(length(SignedDuration::from_secs(seconds)), shown);
        }
        let then: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        assert_eq!(since(then, then + SignedDuration::from_secs(7_260)), "2h 1m");
    }
}
