//! The first reading: every row is checked and counted, nothing is written.

use domain::DueDate;

use super::bar::Bar;
use super::content::Content;
use super::repeats::Seen;
use super::rows::{Entry, Rows};
use super::rules::Rules;
use super::source::{self, Source};
use super::stop::Stop;
use super::totals::{Stated, Totals};

/// Rows between two looks at the clock.
const SHOWN: u64 = 1024;

/// Days ahead beyond which a payment is pointed out: a wrong century would lie for ever without
/// anybody noticing.
pub(crate) const FAR: u16 = 731;

/// Rows that are due very late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Far {
    pub(crate) rows: u64,
    /// The first of them: its line and day.
    pub(crate) first: (u64, DueDate),
}

/// What the first reading found.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) totals: Totals,
    /// Rows that are refused for themselves; those refused for another row's id come on top.
    pub(crate) refused: u64,
    /// The trailer and its line.
    pub(crate) stated: Option<(u64, Stated)>,
    pub(crate) far: Option<Far>,
    /// Rows without any content, which count for nothing.
    pub(crate) blank: u64,
    /// What another batch name would schedule once more.
    pub(crate) content: Content,
    pub(crate) sha256: String,
}

/// Reads the file once: what it found, and which rows may repeat. [`Stop::Data`] when it is wrong as a whole.
pub(crate) fn survey(
    source: &Source,
    rules: &Rules,
    bar: &mut Bar,
) -> Result<(Survey, Seen), Stop> {
    let mut rows = Rows::open(source.read()?, source.cut)?;
    let mut survey = Survey {
        totals: Totals::default(),
        refused: 0,
        stated: None,
        far: None,
        blank: 0,
        content: Content::default(),
        sha256: String::new(),
    };
    let mut seen = Seen::new();
    let far = rules.today.days_after(FAR);
    while let Some((span, entry)) = rows.next()? {
        let read = match entry {
            Entry::Row(read) => read,
            Entry::Trailer(stated) => {
                survey.stated = Some((span.line, stated));
                continue;
            }
        };
        survey.totals.add(read.as_ref().ok());
        match read.and_then(|row| rules.check(&row, &mut seen, &mut survey.content)) {
            Ok(payment) if payment.due > far => {
                let first = (span.line, payment.due);
                survey.far.get_or_insert(Far { rows: 0, first }).rows += 1;
            }
            Ok(_) => {}
            Err(_) => survey.refused += 1,
        }
        if survey.totals.rows.is_multiple_of(SHOWN) {
            bar.show(survey.totals.rows, rows.offset());
        }
    }
    survey.blank = rows.blank();
    survey.sha256 = source::sha256(rows.into_reader());
    Ok((survey, seen))
}
