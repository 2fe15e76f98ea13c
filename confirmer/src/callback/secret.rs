//! The secret that callbacks are signed with.

use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a secret (Standard Webhooks, "Signature scheme").
const BYTES: RangeInclusive<usize> = 24..=64;

/// A key; its Debug does not show it.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// What is wrong, in words that do not show the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let encoded = text.strip_prefix("whsec_").ok_or("must start with whsec_")?;
        let key = STANDARD.decode(encoded).map_err(|_| "must be base64 after whsec_")?;
        if BYTES.contains(&key.len()) { Ok(Self(key)) } else { Err("must be 24 to 64 bytes") }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_a_prefix_and_24_to_64_bytes_and_is_not_shown() {
        let text = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for bytes in [24, 64] {
            let secret = Secret::parse(&text(bytes)).unwrap();
            assert_eq!(secret.bytes(), vec![7; bytes]);
            assert_eq!(format!("{secret:?}"), "Secret(***)");
        }
        for bad in [text(23), text(65), text(32).replace("whsec_", ""), "whsec_*".to_owned()] {
            assert!(Secret::parse(&bad).is_err(), "{bad}");
        }
    }
}
