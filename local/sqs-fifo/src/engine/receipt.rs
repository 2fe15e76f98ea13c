//! Receipt handles: one receive of one message.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::SqsError;
use super::groups::GroupKey;
use super::ids::SequenceNumber;

/// What a receipt handle says. Its text is 48 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The queue, by its creation.
    pub(crate) queue: u32,
    /// Where the message's group was kept when the message was received.
    pub(crate) group: GroupKey,
    /// The message.
    pub(crate) sequence: SequenceNumber,
    /// The receive.
    pub(crate) receive: u64,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:08x}{:08x}{:016x}{:016x}",
            self.queue,
            self.group.0,
            self.sequence.to_bits(),
            self.receive
        )
    }
}

impl FromStr for Receipt {
    type Err = SqsError;

    fn from_str(handle: &str) -> Result<Self, SqsError> {
        let refused = || SqsError::ReceiptHandleIsInvalid(handle.to_owned());
        if handle.len() != 48 || !handle.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        let number = |digits| u64::from_str_radix(&handle[digits], 16).map_err(|_| refused());
        let small = |digits| u32::try_from(number(digits)?).map_err(|_| refused());
        Ok(Self {
            queue: small(0..8)?,
            group: GroupKey(small(8..16)?),
            sequence: SequenceNumber::from_bits(number(16..32)?),
            receive: number(32..48)?,
        })
    }
}
