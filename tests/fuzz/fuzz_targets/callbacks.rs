//! Callbacks: what is signed with the secret is taken and nothing else is; what a body says is
//! bounded.

#![no_main]

use arbitrary::Arbitrary;
use confirmer::fuzzing::{is_signed, read};
use libfuzzer_sys::fuzz_target;
use domain::Settlement;
use shared::queue::ReportedResult;
use standardwebhooks::Webhook;

const SECRET: &str = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const NOW: i64 = 1_795_395_605;

#[derive(Debug, Arbitrary)]
struct Callback<'a> {
    id: &'a str,
    /// Seconds from now.
    sent: i16,
    /// As it comes, instead of the right one.
    signature: Option<&'a str>,
    /// Which byte of the body is changed after it was signed.
    spoilt: Option<u16>,
    body: &'a [u8],
}

fuzz_target!(|callback: Callback<'_>| {
    let Callback { id, sent, signature, spoilt, body } = callback;
    let at = NOW + i64::from(sent);
    let webhook = Webhook::new(SECRET).unwrap();
    let Ok(right) = webhook.sign(id, at, body) else { return };
    let mut arrives = body.to_vec();
    let spoilt = spoilt.filter(|_| !body.is_empty()).map(|place| {
        let place = usize::from(place) % body.len();
        arrives[place] ^= 1;
    });
    let headers = [id, &at.to_string(), signature.unwrap_or(&right)];
    let taken = is_signed(headers, NOW, &arrives, SECRET);
    // A header is text that can be seen, with spaces and tabs (RFC 9110, 5.5), and an id has at
    // most 255 bytes.
    let of_header = |byte: u8| byte == b'\t' || (32..127).contains(&byte);
    let usable = !id.is_empty() && id.len() <= 255 && id.bytes().all(of_header);
    let forged = signature.is_some_and(|text| !text.contains(&right));
    if forged || spoilt.is_some() || sent.unsigned_abs() > 300 || !usable {
        assert!(!taken, "{headers:?} was taken");
    } else if signature.is_none() {
        assert!(taken, "{headers:?} was refused");
    }
    if let Ok(confirmation) = read(&arrives) {
        if let ReportedResult::Settled(settlement) = &confirmation.result {
            let length = settlement.transaction_id.len();
            assert!((1..=Settlement::MAX_TRANSACTION_ID_BYTES).contains(&length), "{length}");
        }
        let written = serde_json::to_string(&confirmation).unwrap();
        assert_eq!(serde_json::from_str::<shared::queue::Confirmation>(&written).unwrap(), confirmation);
    }
});
