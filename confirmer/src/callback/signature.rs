//! Checks who sent a callback, and when, by the Standard Webhooks scheme: pure.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use super::secret::Secret;

/// How far the sender's clock may be from ours, either way, in seconds.
const TOLERANCE: i64 = 5 * 60;
/// Longest id (`docs/transaction-service.yaml`).
const MAX_ID_BYTES: usize = 255;

/// Why a request does not count as the transaction service's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error("a header of the signature is missing or unreadable")]
    Header,
    #[error("the timestamp is more than 5 minutes from now")]
    Timestamp,
    #[error("no signature holds")]
    Signature,
}

/// The headers of a request whose time is right.
#[derive(Debug)]
pub(super) struct SignatureHeaders {
    /// The id of the result, the same on each attempt.
    pub(super) id: String,
    timestamp: String,
    signatures: String,
}

impl SignatureHeaders {
    /// Reads the headers.
    pub(super) fn read(headers: &HeaderMap, now: Timestamp) -> Result<Self, SignatureError> {
        let header = |name| {
            let text = headers.get(name).and_then(|value| value.to_str().ok());
            text.filter(|text| !text.is_empty()).map(str::to_owned).ok_or(SignatureError::Header)
        };
        let read = Self {
            id: header("webhook-id")?,
            timestamp: header("webhook-timestamp")?,
            signatures: header("webhook-signature")?,
        };
        let digits =
            read.timestamp.len() <= 12 && read.timestamp.bytes().all(|byte| byte.is_ascii_digit());
        if read.id.len() > MAX_ID_BYTES || !digits {
            return Err(SignatureError::Header);
        }
        let sent: i64 = read.timestamp.parse().map_err(|_| SignatureError::Header)?;
        if (now.as_second() - sent).abs() > TOLERANCE {
            return Err(SignatureError::Timestamp);
        }
        Ok(read)
    }

    /// Whether one of the signatures was made with one of the secrets over these headers and
    /// this body. Takes the same time wherever two signatures differ.
    pub(super) fn verify(&self, body: &[u8], secrets: &[Secret]) -> Result<(), SignatureError> {
        let signatures = self.signatures.split(' ').filter_map(|text| text.strip_prefix("v1,"));
        let signatures: Vec<_> = signatures.filter_map(|text| STANDARD.decode(text).ok()).collect();
        let holds = secrets.iter().any(|secret| {
            let mac = self.mac(body, secret);
            signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
        });
        if holds { Ok(()) } else { Err(SignatureError::Signature) }
    }

    fn mac(&self, body: &[u8], secret: &Secret) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes())
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        for part in [self.id.as_bytes(), b".", self.timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}
