//! Account and beneficiary ids: alphanumeric, as banks use them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest account or beneficiary id in characters.
///
/// SQS allows 128 characters in a message group id, which is the account's id; half of it
/// leaves room for a sub-group suffix.
const MAX_LENGTH: usize = 64;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is longer than an id may be.
    #[error("has {length} characters, at most {MAX_LENGTH} are allowed")]
    TooLong {
        /// Characters given.
        length: usize,
    },
    /// The text holds a character that would break a key, a group id or a reference.
    #[error(
        "has {character:?} at position {position}; letters, digits, '-', '_' and '.' are allowed"
    )]
    Character {
        /// The offending character.
        character: char,
        /// Its position, counted from 1.
        position: usize,
    },
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some((at, character)) = text.chars().enumerate().find(|(_, c)| !allowed(*c)) {
        return Err(IdError::Character { character, position: at + 1 });
    }
    if text.len() > MAX_LENGTH {
        return Err(IdError::TooLong { length: text.len() });
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 1 to 64 ASCII letters, digits, `-`, `_` or `.`. `Debug` masks all but the last
        /// four characters, so that logs do not carry account data.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and takes a text.
            ///
            /// # Errors
            /// [`IdError`] says what is wrong with it.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The id as it stands in keys and requests.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let shown = if self.0.len() > 8 { &self.0[self.0.len() - 4..] } else { "" };
                write!(f, "{}(…{shown})", stringify!($name))
            }
        }
    };
}

text_id! {
    /// The account a payment leaves from.
    AccountId
}

text_id! {
    /// Who receives a payment.
    BeneficiaryId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alphanumeric_account_is_accepted() {
        assert_eq!(AccountId::parse("0001.ABC-9_x").unwrap().as_str(), "0001.ABC-9_x");
    }

    #[test]
    fn a_character_that_would_split_a_key_is_refused_with_its_position() {
        assert_eq!(
            AccountId::parse("12#34"),
            Err(IdError::Character { character: '#', position: 3 })
        );
        assert_eq!(
            AccountId::parse("1/2"),
            Err(IdError::Character { character: '/', position: 2 })
        );
    }

    #[test]
    fn empty_and_overlong_ids_are_refused() {
        assert_eq!(AccountId::parse(""), Err(IdError::Empty));
        assert!(AccountId::parse("x".repeat(64)).is_ok());
        assert_eq!(AccountId::parse("x".repeat(65)), Err(IdError::TooLong { length: 65 }));
    }

    #[test]
    fn debug_masks_the_account() {
        let account = AccountId::parse("DE0012345678").unwrap();
        assert_eq!(format!("{account:?}"), "AccountId(…5678)");
        assert!(!format!("{:?}", AccountId::parse("secret").unwrap()).contains("secret"));
    }
}
