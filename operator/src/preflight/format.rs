//! How numbers are written.

use std::time::Duration;

use indicatif::HumanCount;

/// `1 message`, `2 messages`.
pub(super) fn several(number: u64, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {what}{ending}", HumanCount(number))
}

/// A short time in milliseconds, a longer one in seconds, a long one in minutes.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..1.0 => format!("{:.1} ms", seconds * 1e3),
        1.0..120.0 => format!("{seconds:.1} s"),
        _ => format!("{:.1} min", seconds / 60.0),
    }
}

/// The outermost and the innermost cause of an error, on one line: those between rarely say
/// more.
pub(super) fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let innermost = std::iter::successors(Some(error), |error| error.source()).last();
    let (outer, inner) =
        (error.to_string(), innermost.map_or_else(String::new, ToString::to_string));
    let whole = if inner.is_empty() || outer.contains(&inner) {
        outer
    } else {
        format!("{outer}: {inner}")
    };
    whole.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!(several(1, "dead letter"), "1 dead letter");
        assert_eq!(several(1_200, "dead letter"), "1,200 dead letters");
    }

    #[test]
    fn a_time_has_the_unit_that_fits_it() {
        for (millis, text) in
            [(4, "4.0 ms"), (1_500, "1.5 s"), (119_000, "119.0 s"), (90_000_000, "1500.0 min")]
        {
            assert_eq!(time(Duration::from_millis(millis)), text);
        }
    }
}
