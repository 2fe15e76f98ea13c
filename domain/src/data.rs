//! What the bank attaches to a payment.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Largest payment in bytes, attribute names and values together (the mission's limit).
pub const MAX_PAYMENT_BYTES: usize = 8 * 1024;

/// A blob that alone is larger than a payment may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the DataBlob has {bytes} bytes, and a payment with all else at most {MAX_PAYMENT_BYTES}")]
pub struct DataBlobError {
    bytes: usize,
}

/// What the bank attaches to a payment; dueflow passes it on unread.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataBlob(String);

impl DataBlob {
    /// Takes a blob. Whether the payment as a whole is small enough is judged when it is
    /// complete (`payments::check_size`).
    ///
    /// # Errors
    /// [`DataBlobError`] when the blob alone exceeds [`MAX_PAYMENT_BYTES`].
    pub fn new(text: impl Into<String>) -> Result<Self, DataBlobError> {
        let text = text.into();
        let bytes = text.len();
        if bytes > MAX_PAYMENT_BYTES { Err(DataBlobError { bytes }) } else { Ok(Self(text)) }
    }

    /// The blob's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DataBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataBlob({} bytes)", self.0.len())
    }
}

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a SHA-256 of 64 lowercase hexadecimal digits")]
pub struct BlobDigestError;

/// The SHA-256 of a blob, written as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobDigest([u8; 32]);

impl BlobDigest {
    /// The digest of `blob`.
    #[must_use]
    pub fn of(blob: &DataBlob) -> Self {
        Self(Sha256::digest(blob.0.as_bytes()).into())
    }
}

impl FromStr for BlobDigest {
    type Err = BlobDigestError;

    fn from_str(text: &str) -> Result<Self, BlobDigestError> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(BlobDigestError),
        };
        let mut digest = [0; 32];
        if text.len() != 2 * digest.len() {
            return Err(BlobDigestError);
        }
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(digest))
    }
}

impl TryFrom<String> for BlobDigest {
    type Error = BlobDigestError;

    fn try_from(text: String) -> Result<Self, BlobDigestError> {
        text.parse()
    }
}

impl From<BlobDigest> for String {
    fn from(digest: BlobDigest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobDigest({self})")
    }
}

/// What is attached to a payment, or what stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Data {
    /// The blob itself.
    #[serde(rename = "DataBlob")]
    Whole(DataBlob),
    /// The blob lies in an item of its own (ADR-12), and this is its digest.
    #[serde(rename = "BlobDigest")]
    Beside(BlobDigest),
}

impl Data {
    /// The digest of the blob, wherever it lies.
    #[must_use]
    pub fn digest(&self) -> BlobDigest {
        match self {
            Self::Whole(blob) => BlobDigest::of(blob),
            Self::Beside(digest) => *digest,
        }
    }

    /// Whether both stand for the same blob.
    #[must_use]
    pub fn same_blob(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => one == other,
            (Self::Beside(_), _) | (_, Self::Beside(_)) => self.digest() == other.digest(),
        }
    }
}

impl From<DataBlob> for Data {
    fn from(blob: DataBlob) -> Self {
        Self::Whole(blob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_published_one_and_reads_back() {
        // FIPS 180-2, example B.1.
        let digest = BlobDigest::of(&DataBlob::new("abc").unwrap());
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse(), Ok(digest));
        for bad in [&text[1..], &text.to_uppercase(), &text.replace('b', "g"), ""] {
            assert_eq!(bad.parse::<BlobDigest>(), Err(BlobDigestError), "{bad}");
        }
        assert!("é".repeat(32).parse::<BlobDigest>().is_err());
    }

    #[test]
    fn a_blob_and_its_digest_stand_for_the_same() {
        let whole = |text: &str| Data::Whole(DataBlob::new(text).unwrap());
        let beside = |text: &str| Data::Beside(whole(text).digest());
        for (one, other) in [(whole("a"), beside("a")), (beside("a"), beside("a"))] {
            assert!(one.same_blob(&other) && other.same_blob(&one));
        }
        for (one, other) in [(whole("a"), beside("b")), (whole("a"), whole("b"))] {
            assert!(!one.same_blob(&other) && !other.same_blob(&one));
        }
    }

    #[test]
    fn a_log_shows_how_large_a_blob_is_and_nothing_of_it() {
        assert_eq!(format!("{:?}", DataBlob::new("secret").unwrap()), "DataBlob(6 bytes)");
    }

    #[test]
    fn a_blob_larger_than_any_payment_is_refused() {
        let largest = "x".repeat(MAX_PAYMENT_BYTES);
        assert_eq!(DataBlob::new(largest.clone()).unwrap().as_str(), largest);
        let error = DataBlob::new("x".repeat(MAX_PAYMENT_BYTES + 1)).unwrap_err();
        assert!(error.to_string().contains("8193 bytes"), "{error}");
    }
}
