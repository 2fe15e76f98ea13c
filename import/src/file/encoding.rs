//! Files that are not written in UTF-8: told by their first bytes, with a mark or without.

use std::fmt;

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf16Le,
    Utf16Be,
    Utf32Le,
    Utf32Be,
}

impl Encoding {
    /// The encoding of a file that begins with `start`; `None` for UTF-8 and what is like it.
    pub(crate) fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0xff, 0xfe, 0, 0, ..] => Some(Self::Utf32Le),
            [0, 0, 0xfe, 0xff, ..] => Some(Self::Utf32Be),
            [0xff, 0xfe, ..] => Some(Self::Utf16Le),
            [0xfe, 0xff, ..] => Some(Self::Utf16Be),
            // Without a mark: the first letters are ASCII, so the other bytes are 0.
            [one, two, three, four, ..] => match [*one, *two, *three, *four].map(|b| b == 0) {
                [false, true, true, true] => Some(Self::Utf32Le),
                [true, true, true, false] => Some(Self::Utf32Be),
                [false, true, false, true] => Some(Self::Utf16Le),
                [true, false, true, false] => Some(Self::Utf16Be),
                _ => None,
            },
            _ => None,
        }
    }

    /// Its name at `iconv`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Utf32Le => "UTF-32LE",
            Self::Utf32Be => "UTF-32BE",
        }
    }
}

/// What it is, and what to do.
impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        write!(
            f,
            "the file is written in {name}, not in UTF-8; save it as UTF-8, or convert it: \
             iconv -f {name} -t UTF-8 FILE > NEWFILE"
        )
    }
}
