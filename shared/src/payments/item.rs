//! A DynamoDB item: its attributes read by name, and what can be wrong with one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

/// A DynamoDB item, from whichever of the SDK's crates it comes.
pub trait ItemAttributes {
    /// The text of a string attribute; `None` when it is absent or of another type.
    fn text(&self, name: &str) -> Option<&str>;
    /// The digits of a number attribute; `None` when it is absent or of another type.
    fn digits(&self, name: &str) -> Option<&str>;
    /// Whether there is such an attribute, of whatever type.
    fn has(&self, name: &str) -> bool;
}

impl ItemAttributes for HashMap<String, AttributeValue> {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_s().ok().map(String::as_str)
    }

    fn digits(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_n().ok().map(String::as_str)
    }

    fn has(&self, name: &str) -> bool {
        self.contains_key(name)
    }
}

/// An item that is no payment, with the attribute that shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// An attribute is absent or of another type.
    #[error("{attribute} is missing or not of the right type")]
    Missing {
        /// Its name.
        attribute: &'static str,
    },
    /// An attribute does not parse.
    #[error("{attribute} {reason}")]
    Invalid {
        /// Its name.
        attribute: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl ItemError {
    /// The attribute that is wrong: what a log may say.
    #[must_use]
    pub const fn attribute(&self) -> &'static str {
        match self {
            Self::Missing { attribute } | Self::Invalid { attribute, .. } => attribute,
        }
    }
}

pub(super) fn text<'a>(
    item: &'a impl ItemAttributes,
    attribute: &'static str,
) -> Result<&'a str, ItemError> {
    item.text(attribute).ok_or(ItemError::Missing { attribute })
}

pub(super) fn digits<'a>(
    item: &'a impl ItemAttributes,
    attribute: &'static str,
) -> Result<&'a str, ItemError> {
    item.digits(attribute).ok_or(ItemError::Missing { attribute })
}

pub(super) fn parsed<T, E: std::fmt::Display>(
    attribute: &'static str,
    result: Result<T, E>,
) -> Result<T, ItemError> {
    result.map_err(|error| ItemError::Invalid { attribute, reason: error.to_string() })
}

/// A count that is 0 while it is absent.
pub(super) fn count(item: &impl ItemAttributes, attribute: &'static str) -> Result<u32, ItemError> {
    item.digits(attribute).map_or(Ok(0), |count| parsed(attribute, count.parse()))
}

/// A time that may be absent.
pub(super) fn time(
    item: &impl ItemAttributes,
    attribute: &'static str,
) -> Result<Option<Timestamp>, ItemError> {
    item.text(attribute).map(|at| parsed(attribute, at.parse())).transpose()
}
