//! What makes a refusal of the transaction service certain: the contract's body. Pure.

use std::collections::BTreeSet;
use std::fmt;

/// Statuses of a refusal that the contract knows; with its body they are certain.
pub const CERTAIN_STATUSES: [u16; 3] = [400, 413, 422];

/// The `code` of a refusal: the transaction service's word for a machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RefusalCode(String);

/// Why a text is no such code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusalCodeError {
    /// Not of the contract's form, and no list says otherwise.
    #[error("is not lower-case words joined by _ (a-z, 0-9), at most 64 bytes")]
    Form,
    /// A list of codes is configured, and this is not on it.
    #[error("is not one of DUEFLOW_TRANSACTION_REFUSAL_CODES")]
    NotListed,
}

impl RefusalCode {
    /// Longest code in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which codes count as the transaction service's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RefusalCodes {
    /// Every one of the contract's form: `^[a-z][a-z0-9_]*$`, at most 64 bytes.
    #[default]
    Form,
    /// These and no other, whatever their form.
    Listed(BTreeSet<String>),
}

impl RefusalCodes {
    /// Reads a list of codes, separated by commas; an empty one means the contract's form.
    ///
    /// # Errors
    /// Which of them cannot be a code.
    pub fn parse(list: &str) -> Result<Self, String> {
        let codes = list.split(',').map(str::trim).filter(|code| !code.is_empty());
        let codes: BTreeSet<String> = codes.map(str::to_owned).collect();
        let possible = |code: &String| {
            code.len() <= RefusalCode::MAX_BYTES && code.bytes().all(|b| b.is_ascii_graphic())
        };
        match codes.iter().find(|code| !possible(code)) {
            Some(wrong) => Err(format!("{wrong:?} is not 1 to 64 visible ASCII characters")),
            None if codes.is_empty() => Ok(Self::Form),
            None => Ok(Self::Listed(codes)),
        }
    }

    /// The code, if it is one of these.
    ///
    /// # Errors
    /// [`RefusalCodeError`] says why it is not.
    pub fn take(&self, text: &str) -> Result<RefusalCode, RefusalCodeError> {
        match self {
            Self::Form if !has_form(text) => Err(RefusalCodeError::Form),
            Self::Listed(codes) if !codes.contains(text) => Err(RefusalCodeError::NotListed),
            Self::Form | Self::Listed(_) => Ok(RefusalCode(text.to_owned())),
        }
    }

    /// Whether the reason of a payment that FAILED `rejected`, as `next_step` writes it,
    /// tells of a certain refusal. What an older version wrote for a gateway's answer does not.
    #[must_use]
    pub fn is_certain(&self, reason: &str) -> bool {
        let read = || {
            let (status, rest) = reason.split_once(' ')?;
            let (code, _) = rest.split_once(": ")?;
            Some((status.parse::<u16>().ok()?, code))
        };
        read().is_some_and(|(status, code)| {
            CERTAIN_STATUSES.contains(&status) && self.take(code).is_ok()
        })
    }
}

fn has_form(code: &str) -> bool {
    code.len() <= RefusalCode::MAX_BYTES
        && code.starts_with(|c: char| c.is_ascii_lowercase())
        && code.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_the_contracts_form_or_is_on_the_list() {
        let form = RefusalCodes::parse("").unwrap();
        for code in ["limit", "rejected_by_bank", "e42"] {
            assert_eq!(form.take(code).unwrap().to_string(), code);
        }
        let long = "a".repeat(65);
        for code in ["", "Limit", "4xx", "_x", "a b", "a-b", "é", "bad request", &long] {
            assert_eq!(form.take(code), Err(RefusalCodeError::Form), "{code}");
        }
        let listed = RefusalCodes::parse("AC04, limit").unwrap();
        assert!(listed.take("AC04").is_ok() && listed.take("limit").is_ok());
        assert_eq!(listed.take("bad_request"), Err(RefusalCodeError::NotListed));
        assert!(RefusalCodes::parse("AC04,A C").is_err());
    }

    #[test]
    fn only_a_refusal_in_the_contracts_words_was_certain() {
        let form = RefusalCodes::Form;
        assert!(form.is_certain("422 limit: daily limit reached"));
        assert!(form.is_certain("400 malformed_body: amount: not a number"));
        for reason in [
            "400 without a readable reason",
            "400 without the contract's body: it is no JSON (line 1, column 1)",
            "410 gone: x",
            "422 Limit: x",
            "422 limit",
            "422",
            "",
            "limit: x",
        ] {
            assert!(!form.is_certain(reason), "{reason}");
        }
        let listed = RefusalCodes::parse("AC04").unwrap();
        assert!(listed.is_certain("422 AC04: closed"));
        assert!(!listed.is_certain("422 limit: daily limit reached"));
    }
}
