//! Which dead letters a command is about: one set of filters for all of them. Pure.

use std::fmt;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use domain::{AccountId, DueDate};
use jiff::{SignedDuration, Timestamp};

use super::dead_letter::{DeadLetterBody, DeadLetterMessage, DeadLetterReason};
use crate::age;

/// What a dead letter must be. Those that are given must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct DlqFilter {
    /// Only dead letters with this code, or `moved` for messages that SQS moved by itself.
    #[arg(long, value_name = "CODE")]
    pub reason: Option<DeadLetterReason>,
    /// Only dead letters of this account.
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub account: Option<AccountId>,
    /// Only dead letters of payments that are due on this date.
    #[arg(long, value_name = "DATE")]
    pub due: Option<DueDate>,
    /// Only dead letters that have been in the queue for at least so long, such as 30m, 2h or 3d.
    #[arg(long, value_name = "AGE", value_parser = age::parse)]
    pub older_than: Option<SignedDuration>,
    /// Only dead letters that have been in the queue for at most so long.
    #[arg(long, value_name = "AGE", value_parser = age::parse)]
    pub newer_than: Option<SignedDuration>,
    /// Only dead letters of payments with so many attempts: 3, 2..5, 3.. or ..5. Reads each
    /// payment from the table.
    #[arg(long, value_name = "N")]
    pub attempts: Option<AttemptsRange>,
    /// Only dead letters with this text in their payment, in what was found instead, or in why.
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// Only dead letters that come from there.
    #[arg(long, value_name = "WHERE")]
    pub source: Option<DlqSource>,
}

/// The names of the filters, of which a command may demand one.
pub(super) const FILTERS: [&str; 8] =
    ["reason", "account", "due", "older_than", "newer_than", "attempts", "text", "source"];

/// Where a dead letter comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DlqSource {
    /// A message of `payments.fifo`: a dispatcher gave it up, or SQS moved it.
    Payments,
    /// A message of `confirmations.fifo`, or a callback: a confirmer gave it up, or SQS moved it.
    Confirmations,
    /// A record of the payments table's stream: a relay gave it up.
    Relay,
    /// An item of the payments table: `dueflow payments audit --withhold` gave it up.
    Audit,
}

impl DlqSource {
    /// Where a dead letter comes from, if it says so.
    pub(super) fn of(dead_letter: &DeadLetterMessage) -> Option<Self> {
        match &dead_letter.body {
            DeadLetterBody::Written(written) => match written.service.as_str() {
                "dispatcher" => Some(Self::Payments),
                "confirmer" => Some(Self::Confirmations),
                "stream-relay" => Some(Self::Relay),
                "audit" => Some(Self::Audit),
                _ => None,
            },
            DeadLetterBody::Payment(_) => Some(Self::Payments),
            DeadLetterBody::Confirmation(_) => Some(Self::Confirmations),
            DeadLetterBody::Unreadable(_) => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Payments => "payments",
            Self::Confirmations => "confirmations",
            Self::Relay => "relay",
            Self::Audit => "audit",
        }
    }
}

/// From how many to how many attempts, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptsRange {
    least: u32,
    most: u32,
}

impl AttemptsRange {
    /// Whether so many attempts are meant.
    pub(super) fn contains(self, attempts: u32) -> bool {
        (self.least..=self.most).contains(&attempts)
    }
}

impl FromStr for AttemptsRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |text: &str, open| if text.is_empty() { Some(open) } else { text.parse().ok() };
        let range = match text.split_once("..") {
            _ if matches!(text, "" | "..") => None,
            None => text.parse().ok().map(|exactly| (exactly, exactly)),
            Some((least, most)) => number(least, 0).zip(number(most, u32::MAX)),
        };
        match range {
            Some((least, most)) if least <= most => Ok(Self { least, most }),
            Some(_) | None => {
                Err("it is no number of attempts, such as 3, 2..5, 3.. or ..5".to_owned())
            }
        }
    }
}

impl fmt::Display for AttemptsRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (least, most) if least == most => write!(f, "{least}"),
            (least, u32::MAX) => write!(f, "{least}.."),
            (0, most) => write!(f, "..{most}"),
            (least, most) => write!(f, "{least}..{most}"),
        }
    }
}

impl DlqFilter {
    /// Whether a dead letter is meant, as far as it tells by itself: how often its payment was
    /// attempted, only the table says.
    pub(super) fn takes(&self, dead_letter: &DeadLetterMessage, now: Timestamp) -> bool {
        let age = || dead_letter.since().map(|since| now.duration_since(since));
        let due = |due| dead_letter.reference().is_some_and(|reference| reference.due == due);
        self.reason.is_none_or(|reason| dead_letter.reason() == reason)
            && self.account.as_ref().is_none_or(|account| dead_letter.is_of(account))
            && self.due.is_none_or(due)
            && self.older_than.is_none_or(|least| age().is_some_and(|age| age >= least))
            && self.newer_than.is_none_or(|most| age().is_some_and(|age| age <= most))
            && self.source.is_none_or(|source| DlqSource::of(dead_letter) == Some(source))
            && self.text.as_deref().is_none_or(|text| dead_letter.contains(text))
    }
}

/// As it was typed.
impl fmt::Display for DlqFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = |age: SignedDuration| format!("{}s", age.as_secs());
        let given = [
            self.reason.map(|reason| format!("--reason {reason}")),
            self.account.as_ref().map(|account| format!("--account {account}")),
            self.due.map(|due| format!("--due {due}")),
            self.older_than.map(|least| format!("--older-than {}", age(least))),
            self.newer_than.map(|most| format!("--newer-than {}", age(most))),
            self.attempts.map(|attempts| format!("--attempts {attempts}")),
            self.text.as_ref().map(|text| format!("--text {text:?}")),
            self.source.map(|source| format!("--source {}", source.as_str())),
        ];
        f.write_str(&given.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }
}

pub(super) fn account(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYMENT: &str = r#"{"PaymentID":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab","AccountID":"ACC-1","ScheduledDate":"2026-11-23","Amount":1,"Currency":"EUR","BeneficiaryID":"BEN-9","TraceKey":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab","CreatedAt":"2026-11-23T01:00:00Z"}"#;

    fn written(service: &str, payment: bool) -> DeadLetterMessage {
        let (payment, raw) = if payment {
            (format!(r#","payment":{PAYMENT}"#), String::new())
        } else {
            (String::new(), r#","raw":"odd \"words\"""#.to_owned())
        };
        let text = format!(
            r#"{{"code":"rejected","reason":"422 limit: 3.10 EUR","service":"{service}","at":"2026-11-23T02:00:00Z"{payment}{raw}}}"#
        );
        DeadLetterMessage::read("m-1", "ACC-1", text)
    }

    /// Two hours after the dead letters were written.
    fn now() -> Timestamp {
        "2026-11-23T04:00:00Z".parse().unwrap()
    }

    fn hours(count: i64) -> Option<SignedDuration> {
        Some(SignedDuration::from_hours(count))
    }

    #[test]
    fn every_filter_is_among_those_of_which_one_is_demanded() {
        let command = DlqFilter::augment_args(clap::Command::new("dlq"));
        let names: Vec<_> =
            command.get_arguments().map(|argument| argument.get_id().as_str()).collect();
        assert_eq!(names, FILTERS);
    }

    #[test]
    fn each_filter_takes_what_it_names_and_nothing_else() {
        let paid = written("dispatcher", true);
        let none = DlqFilter::default;
        let text = |text: &str| DlqFilter { text: Some(text.to_owned()), ..none() };
        let source = |source| DlqFilter { source: Some(source), ..none() };
        let due = |date: &str| DlqFilter { due: Some(date.parse().unwrap()), ..none() };
        let reason = |reason: &str| DlqFilter { reason: Some(reason.parse().unwrap()), ..none() };
        let of = |id| DlqFilter { account: Some(AccountId::parse(id).unwrap()), ..none() };
        for (filter, takes) in [
            (none(), true),
            (reason("rejected"), true),
            (reason("moved"), false),
            (of("ACC-1"), true),
            (of("ACC-2"), false),
            (due("2026-11-23"), true),
            (due("2026-11-24"), false),
            (DlqFilter { older_than: hours(2), ..none() }, true),
            (DlqFilter { older_than: hours(3), ..none() }, false),
            (DlqFilter { newer_than: hours(2), ..none() }, true),
            (DlqFilter { newer_than: hours(1), ..none() }, false),
            (text("limit: 3"), true),
            (text("BEN-9"), true),
            (text("BEN-8"), false),
            (source(DlqSource::Payments), true),
            (source(DlqSource::Relay), false),
            (DlqFilter { newer_than: hours(1), ..reason("rejected") }, false),
        ] {
            assert_eq!(filter.takes(&paid, now()), takes, "{filter}");
        }
    }

    #[test]
    fn a_dead_letter_that_does_not_tell_is_not_taken_by_what_asks_for_it() {
        let unreadable = DeadLetterMessage::read("m", "unreadable", "{nonsense".to_owned());
        let none = DlqFilter::default;
        for filter in [
            DlqFilter { older_than: hours(0), ..none() },
            DlqFilter { newer_than: hours(9), ..none() },
            DlqFilter { due: Some("2026-11-23".parse().unwrap()), ..none() },
            DlqFilter { source: Some(DlqSource::Payments), ..none() },
        ] {
            assert!(!filter.takes(&unreadable, now()), "{filter}");
        }
        assert!(
            DlqFilter { text: Some("nonsense".to_owned()), ..none() }.takes(&unreadable, now())
        );
    }

    #[test]
    fn text_is_searched_as_it_was_found_and_not_as_it_is_escaped() {
        let found = written("stream-relay", false);
        let filter = |text: &str| DlqFilter { text: Some(text.to_owned()), ..DlqFilter::default() };
        assert!(filter(r#"odd "words""#).takes(&found, now()));
        assert!(!filter(r#"odd \"words"#).takes(&found, now()));
    }

    #[test]
    fn a_dead_letter_comes_from_the_queue_or_service_that_gave_it_up() {
        let of =
            |text: &str| DlqSource::of(&DeadLetterMessage::read("m", "ACC-1", text.to_owned()));
        assert_eq!(of(PAYMENT), Some(DlqSource::Payments));
        for (service, source) in [
            ("dispatcher", Some(DlqSource::Payments)),
            ("confirmer", Some(DlqSource::Confirmations)),
            ("stream-relay", Some(DlqSource::Relay)),
            ("audit", Some(DlqSource::Audit)),
            ("other", None),
        ] {
            assert_eq!(DlqSource::of(&written(service, true)), source, "{service}");
        }
        assert_eq!(of("{"), None);
    }

    #[test]
    fn attempts_are_a_number_or_a_range_with_both_ends() {
        let range = |text: &str| text.parse::<AttemptsRange>();
        for (text, inside, outside) in [
            ("3", vec![3], vec![2, 4]),
            ("2..3", vec![2, 3], vec![1, 4]),
            ("..1", vec![0, 1], vec![2]),
        ] {
            let range = range(text).unwrap();
            assert!(inside.iter().all(|attempts| range.contains(*attempts)), "{text}");
            assert!(!outside.iter().any(|attempts| range.contains(*attempts)), "{text}");
            assert_eq!(range.to_string(), text);
        }
        assert!(range("3..").unwrap().contains(u32::MAX));
        for bad in ["", "..", "5..2", "-1", "many", "1..x"] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_filter_is_shown_as_it_was_typed() {
        let filter = DlqFilter {
            reason: Some("rejected".parse().unwrap()),
            older_than: hours(2),
            attempts: Some("3..".parse().unwrap()),
            text: Some("a b".to_owned()),
            source: Some(DlqSource::Relay),
            ..DlqFilter::default()
        };
        let shown =
            r#"--reason rejected --older-than 7200s --attempts 3.. --text "a b" --source relay"#;
        assert_eq!(filter.to_string(), shown);
    }
}
