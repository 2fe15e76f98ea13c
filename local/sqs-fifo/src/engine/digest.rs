//! The digests that SQS returns and deduplicates by.

use std::fmt;

use serde::{Deserialize, Serialize};

use md5::Digest as _;
use rustack_sqs_model::types::MessageAttributeValue;

/// An MD5 digest, shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Md5([u8; 16]);

impl Md5 {
    /// Digest of a message's body.
    #[must_use]
    pub fn of_body(body: &str) -> Self {
        Self(md5::Md5::digest(body.as_bytes()).into())
    }

    /// Digest of message attributes given in the order of their names; `None` if there are none.
    ///
    /// Each name, type and value is preceded by its length (4 bytes, big-endian), the value also
    /// by a byte for its transport: 1 for text, 2 for bytes. Source: SQS Developer Guide,
    /// "Calculating the MD5 message digest for message attributes".
    pub fn of_attributes<'a>(
        attributes: impl IntoIterator<Item = (&'a String, &'a MessageAttributeValue)>,
    ) -> Option<Self> {
        let mut hasher = md5::Md5::new();
        let mut field = |transport: Option<u8>, bytes: &[u8]| {
            hasher.update(transport.as_slice());
            hasher.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            hasher.update(bytes);
        };
        let mut any = false;
        for (name, attribute) in attributes {
            any = true;
            field(None, name.as_bytes());
            field(None, attribute.data_type.as_bytes());
            match (&attribute.binary_value, &attribute.string_value) {
                (Some(bytes), _) => field(Some(2), bytes),
                (None, text) => field(Some(1), text.as_deref().unwrap_or_default().as_bytes()),
            }
        }
        any.then(|| Self(hasher.finalize().into()))
    }
}

impl fmt::Display for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The deduplication id of a message on a queue with content-based deduplication.
pub(crate) fn content_id(body: &str) -> String {
    let digest: [u8; 32] = sha2::Sha256::digest(body.as_bytes()).into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
