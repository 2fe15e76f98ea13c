//! How many dead letters say the same: pure, and bounded however many there are.

use std::collections::HashMap;

use super::dead_letter::{DeadLetterMessage, DeadLetterReason};

/// Most different texts that are told apart; what comes after them is counted together.
const MAX_TEXTS: usize = 10_000;

/// Characters between which a word stands.
const BETWEEN: [char; 10] = [' ', '/', '=', '(', ')', '"', '\'', ',', ';', '|'];

/// Dead letters by code and text.
#[derive(Debug, Default)]
pub(super) struct DeadLetterGroups {
    counts: HashMap<(DeadLetterReason, String), u64>,
    beyond: u64,
}

/// How many dead letters have a code and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeadLetterGroup {
    /// The code.
    pub(super) reason: DeadLetterReason,
    /// What they say, without what differs.
    pub(super) text: String,
    /// How many.
    pub(super) count: u64,
}

impl DeadLetterGroups {
    /// Counts one.
    pub(super) fn count(&mut self, dead_letter: &DeadLetterMessage) {
        let key = (dead_letter.reason(), common_text(dead_letter.explanation()));
        if self.counts.len() >= MAX_TEXTS && !self.counts.contains_key(&key) {
            self.beyond += 1;
        } else {
            *self.counts.entry(key).or_default() += 1;
        }
    }

    /// The groups, the largest first, and how many dead letters are in none.
    pub(super) fn sorted(self) -> (Vec<DeadLetterGroup>, u64) {
        let groups = self.counts.into_iter();
        let groups = groups.map(|((reason, text), count)| DeadLetterGroup { reason, text, count });
        let mut groups: Vec<_> = groups.collect();
        groups.sort_by(|a, b| {
            let name = |group: &DeadLetterGroup| (group.reason.as_str(), group.text.clone());
            b.count.cmp(&a.count).then_with(|| name(a).cmp(&name(b)))
        });
        (groups, self.beyond)
    }
}

/// A text with `#` for each word that has a digit: amounts, ids and times differ from payment to
/// payment. A status of three digits at its beginning stays.
pub(super) fn common_text(text: &str) -> String {
    let mut common = String::with_capacity(text.len());
    for (place, part) in text.split_inclusive(BETWEEN).enumerate() {
        let word = part.trim_end_matches(BETWEEN);
        let core = word.trim_end_matches(['.', ':', '!', '?']);
        let is_status = place == 0 && core.len() == 3 && core.bytes().all(|b| b.is_ascii_digit());
        let differs = !is_status && core.bytes().any(|b| b.is_ascii_digit());
        common.push_str(if differs { "#" } else { core });
        common.push_str(&part[core.len()..]);
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_payment_to_payment_is_left_out_and_the_status_stays() {
        for (text, common) in [
            (
                "422 insufficient_funds: the balance is 3.10 EUR",
                "422 insufficient_funds: the balance is # EUR",
            ),
            ("422 limit: ACC-000017/2026-11-24/019ab1f4-5c1e", "422 limit: #/#/#"),
            ("asked 12 times, (id=T-1)", "asked # times, (id=#)"),
            ("it says é", "it says é"),
            ("", ""),
        ] {
            assert_eq!(common_text(text), common);
        }
    }

    fn dead_letter(code: &str, reason: &str) -> DeadLetterMessage {
        let text = format!(
            r#"{{"code":"{code}","reason":"{reason}","service":"d","at":"2026-11-23T02:00:00Z"}}"#
        );
        DeadLetterMessage::read("m", "ACC", text)
    }

    #[test]
    fn groups_are_by_code_and_text_the_largest_first() {
        let mut groups = DeadLetterGroups::default();
        for (code, reason) in [
            ("unknown", "late"),
            ("rejected", "422 a: 1"),
            ("rejected", "422 a: 2"),
            ("unknown", "422 a: 3"),
        ] {
            groups.count(&dead_letter(code, reason));
        }
        let (groups, beyond) = groups.sorted();
        let shown: Vec<_> =
            groups.iter().map(|g| (g.reason.as_str(), g.text.as_str(), g.count)).collect();
        assert_eq!(
            shown,
            [("rejected", "422 a: #", 2), ("unknown", "422 a: #", 1), ("unknown", "late", 1)]
        );
        assert_eq!(beyond, 0);
    }

    #[test]
    fn so_many_different_texts_that_they_would_fill_the_memory_are_counted_together() {
        let mut groups = DeadLetterGroups::default();
        let letters = ('a'..='z').flat_map(|a| ('a'..='z').map(move |b| format!("{a}{b}")));
        let texts = letters.flat_map(|ab| ('a'..='z').map(move |c| format!("{ab}{c}")));
        for text in texts {
            groups.count(&dead_letter("unknown", &text));
        }
        groups.count(&dead_letter("unknown", "aaa"));
        let (groups, beyond) = groups.sorted();
        assert_eq!((groups.len(), groups[0].count), (MAX_TEXTS, 2));
        assert_eq!(beyond, 26 * 26 * 26 - 10_000);
    }
}
