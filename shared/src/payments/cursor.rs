//! Cursors as texts: a program may keep one, hand it back much later, and to another process.
//!
//! A text is opaque and carries a check of its own, so that one that was cut or mistyped is
//! refused and does not silently skip payments. It guards against accidents, not against
//! malice: whoever may read the table may read it from anywhere.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use domain::fnv1a;

/// What separates the parts; no key of a payment holds it.
const SEPARATOR: char = '\n';

/// Why a cursor is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Not a cursor, or not whole.
    #[error("is no cursor, or was changed or cut on its way")]
    Unreadable,
    /// A cursor of another query.
    #[error("belongs to another query: {0}")]
    OtherQuery(String),
}

/// The text of a cursor of the query `kind`, whose parts hold no line break.
pub(super) fn seal(kind: &str, parts: &[&str]) -> String {
    let mut plain = kind.to_owned();
    for part in parts {
        plain.push(SEPARATOR);
        plain.push_str(part);
    }
    let check = fnv1a(plain.as_bytes()).to_be_bytes();
    URL_SAFE_NO_PAD.encode([&check[..], plain.as_bytes()].concat())
}

/// The parts of the cursor of the query `kind` that [`seal`] made.
pub(super) fn open<const PARTS: usize>(
    kind: &str,
    text: &str,
) -> Result<[String; PARTS], CursorError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Unreadable)?;
    let (check, plain) = bytes.split_first_chunk::<8>().ok_or(CursorError::Unreadable)?;
    if fnv1a(plain).to_be_bytes() != *check {
        return Err(CursorError::Unreadable);
    }
    let plain = str::from_utf8(plain).map_err(|_| CursorError::Unreadable)?;
    let mut parts = plain.split(SEPARATOR);
    let made_by = parts.next().unwrap_or_default();
    if made_by != kind {
        return Err(CursorError::OtherQuery(format!("{made_by}, not {kind}")));
    }
    let parts: Vec<String> = parts.map(str::to_owned).collect();
    parts.try_into().map_err(|_| CursorError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_is_safe_in_an_address() {
        let text = seal("due", &["2026-11-24", "ACC-1#x?/ü"]);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_eq!(open("due", &text), Ok(["2026-11-24".to_owned(), "ACC-1#x?/ü".to_owned()]));
    }

    #[test]
    fn a_cursor_that_was_cut_changed_or_made_by_another_query_is_refused() {
        let text = seal("due", &["2026-11-24", "ACC-1#x"]);
        for end in 0..text.len() {
            assert_eq!(open::<2>("due", &text[..end]), Err(CursorError::Unreadable), "{end}");
        }
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open::<2>("due", &changed), Err(CursorError::Unreadable), "{at}");
        }
        assert_eq!(open::<1>("due", &text), Err(CursorError::Unreadable));
        assert!(matches!(open::<2>("upcoming", &text), Err(CursorError::OtherQuery(_))));
    }
}
