//! The bank's time zone as it is written: only forms that cannot be read in two ways.
//!
//! POSIX counts to the west: `UTC+14` lies 14 hours behind UTC, and most people read it as ahead.
//! So an offset is taken only where its name repeats it as people write it: `<+14>-14`.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// What is accepted, for messages.
const FORMS: &str = "must be an IANA time zone, such as Europe/Madrid, or an offset with its sign in both \
                     writings, such as <+0530>-5:30 for 5:30 ahead of UTC";

/// A zone and the name by which two of them are compared.
pub(super) fn parse(text: &str) -> Result<(TimeZone, String), String> {
    if is_reversed_name(text) {
        let other = "these names count to the west, the opposite of what most people read";
        return Err(format!("is read as {}: {other}. {FORMS}", offset_of(text)));
    }
    // A TZDIR, or a system, with a few zones only would hide the list that is built in.
    let built_in = |_| TimeZoneDatabase::bundled().get(text);
    if let Ok(zone) = TimeZone::get(text).or_else(built_in) {
        let name = zone.iana_name().unwrap_or(text).to_owned();
        return Ok((zone, name));
    }
    if text.starts_with('<') {
        return of_offsets(text).map(|zone| (zone, text.to_owned()));
    }
    match TimeZone::posix(text) {
        Ok(zone) => {
            let read = offset(&zone);
            Err(format!(
                "is read by POSIX as {read}, the opposite of what most people read. {FORMS}"
            ))
        }
        Err(_) => Err(FORMS.to_owned()),
    }
}

/// The name of a zone that lies so many seconds ahead of UTC for ever.
#[must_use]
pub fn zone_ahead_by(seconds: i64) -> String {
    let (name, posix) = if seconds < 0 { ("-", "") } else { ("+", "-") };
    let all = seconds.unsigned_abs();
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    format!("<{name}{hours:02}{minutes:02}{seconds:02}>{posix}{hours}:{minutes:02}:{seconds:02}")
}

/// `Etc/GMT+5` is five hours behind UTC.
fn is_reversed_name(text: &str) -> bool {
    let name = text.to_ascii_lowercase();
    let number = name.strip_prefix("etc/gmt+").or_else(|| name.strip_prefix("etc/gmt-"));
    number.is_some_and(|number| number != "0")
}

fn offset_of(text: &str) -> String {
    let built_in = |_| TimeZoneDatabase::bundled().get(text);
    TimeZone::get(text)
        .or_else(built_in)
        .map_or_else(|_| "no zone".to_owned(), |zone| offset(&zone))
}

fn offset(zone: &TimeZone) -> String {
    let seconds = zone.to_offset(Timestamp::UNIX_EPOCH).seconds();
    let side = if seconds < 0 { "behind" } else { "ahead of" };
    let all = seconds.unsigned_abs();
    format!("{}:{:02} {side} UTC", all / 3600, all / 60 % 60)
}

/// A POSIX zone each of whose names repeats its offset.
fn of_offsets(text: &str) -> Result<TimeZone, String> {
    let zone = TimeZone::posix(text).map_err(|_| FORMS.to_owned())?;
    let refused = |name: &str| {
        format!(
            "has the name <{name}>, which does not repeat its offset: POSIX counts to the west. {FORMS}"
        )
    };
    let (name, rest) = quoted(text).ok_or_else(|| FORMS.to_owned())?;
    let (standard, rest) = rest.split_at(rest.find(['<', ',']).unwrap_or(rest.len()));
    let ahead = -west(standard).ok_or_else(|| FORMS.to_owned())?;
    if named(name) != Some(ahead) {
        return Err(refused(name));
    }
    if let Some((name, rest)) = quoted(rest) {
        let summer = rest.split(',').next().unwrap_or_default();
        let ahead =
            if summer.is_empty() { Some(ahead + 3600) } else { west(summer).map(|west| -west) };
        if ahead.is_none() || named(name) != ahead {
            return Err(refused(name));
        }
    } else if !rest.is_empty() {
        return Err(FORMS.to_owned());
    }
    Ok(zone)
}

/// `<name>` and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('<')?.split_once('>')
}

/// Seconds ahead of UTC that a name such as `+0530` says.
fn named(name: &str) -> Option<i64> {
    let (sign, digits) = signed(name, None)?;
    let part = |from: usize| match digits.get(from..from + 2) {
        Some(two) => two.parse::<i64>().ok(),
        None => (digits.len() <= from).then_some(0),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || ![2, 4, 6].contains(&digits.len()) {
        return None;
    }
    Some(sign * (part(0)? * 3600 + part(2)? * 60 + part(4)?))
}

/// Seconds to the west that an offset such as `-5:30` says.
fn west(offset: &str) -> Option<i64> {
    let (sign, rest) = signed(offset, Some(1))?;
    let mut seconds = 0;
    let mut unit = 3600;
    for part in rest.split(':') {
        seconds += part.parse::<u32>().ok().map(i64::from)? * unit;
        unit /= 60;
    }
    Some(sign * seconds)
}

fn signed(text: &str, unsigned: Option<i64>) -> Option<(i64, &str)> {
    match text.as_bytes().first()? {
        b'+' => Some((1, &text[1..])),
        b'-' => Some((-1, &text[1..])),
        _ => unsigned.map(|sign| (sign, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(text: &str) -> Result<i32, String> {
        parse(text).map(|(zone, _)| zone.to_offset(Timestamp::UNIX_EPOCH).seconds())
    }

    #[test]
    fn an_offset_says_the_same_in_both_writings() {
        assert_eq!(ahead("<+14>-14"), Ok(14 * 3600));
        assert_eq!(ahead("<-0930>+9:30"), Ok(-(9 * 3600 + 1800)));
        assert_eq!(ahead("<-0930>9:30"), Ok(-(9 * 3600 + 1800)));
        assert_eq!(ahead("<+052310>-5:23:10"), Ok(5 * 3600 + 23 * 60 + 10));
        assert_eq!(ahead("<+01>-1<+02>,M3.5.0,M10.5.0/3"), Ok(3600));
        for wrong in [
            "<+14>14",
            "<+14>+14",
            "<BANK>-5:23:10",
            "<UTC>-1",
            "<+01>-1<+03>,M3.5.0,M10.5.0/3",
            "<+01>-1CEST,M3.5.0,M10.5.0/3",
            "<+1>-1",
        ] {
            assert!(ahead(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn what_posix_reads_as_its_opposite_is_refused_with_what_it_reads() {
        for (text, read) in [
            ("UTC+14", "14:00 behind UTC"),
            ("UTC-14", "14:00 ahead of UTC"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "1:00 ahead of UTC"),
            ("Etc/GMT+5", "5:00 behind UTC"),
            ("etc/gmt-14", "14:00 ahead of UTC"),
        ] {
            let error = ahead(text).unwrap_err();
            assert!(error.contains(read) && error.contains("<+0530>-5:30"), "{text}: {error}");
        }
    }

    #[test]
    fn a_zone_of_the_list_has_one_name_however_it_is_written() {
        for text in ["Europe/Madrid", "europe/madrid"] {
            assert_eq!(parse(text).unwrap().1, "Europe/Madrid");
        }
        assert_eq!(ahead("EST5EDT"), Ok(-5 * 3600), "it is a name of the list");
        for wrong in ["", "Madrid", "Europe/Madrd", "+05:30", "<", "<+05", "<>0"] {
            assert!(ahead(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn a_zone_made_of_an_offset_reads_back() {
        for seconds in [0, 1, 3600, -1, -34_200, 86_399, -86_399] {
            assert_eq!(ahead(&zone_ahead_by(i64::from(seconds))), Ok(seconds));
        }
    }
}
