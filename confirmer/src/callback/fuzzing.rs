//! What a fuzz target needs of callbacks (`tests/fuzz`).

use axum::http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use shared::queue::Confirmation;

use super::secret::Secret;
use super::signature::SignatureHeaders;

/// Whether a request with these headers (id, timestamp, signature) and this body is taken for
/// the transaction service's at `now`, in seconds since 1970.
#[must_use]
pub fn is_signed(headers: [&str; 3], now: i64, body: &[u8], secret: &str) -> bool {
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let mut map = HeaderMap::new();
    for (name, value) in names.into_iter().zip(headers) {
        let Ok(value) = HeaderValue::from_str(value) else { return false };
        map.insert(name, value);
    }
    let (Ok(now), Ok(secret)) = (Timestamp::from_second(now), Secret::parse(secret)) else {
        return false;
    };
    SignatureHeaders::read(&map, now).is_ok_and(|headers| headers.verify(body, &[secret]).is_ok())
}

/// What a body says.
///
/// # Errors
/// What is wrong with it.
pub fn read(body: &[u8]) -> Result<Confirmation, String> {
    super::event::read(body, shared::transaction::EchoPolicy::Required)
}
