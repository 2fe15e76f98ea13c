//! A hash that gives the same number on every machine, in every version of
//! Rust and after every restart, which the standard library's does not promise.

/// FNV-1a over 64 bits, finished by MurmurHash3's `fmix64` so that all bits of
/// the result are good for a draw (FNV alone is weak in its high bits).
#[derive(Clone, Copy, Debug)]
pub(crate) struct StableHash(u64);

impl StableHash {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;

    pub(crate) fn new() -> Self {
        Self(Self::OFFSET_BASIS)
    }

    /// Adds one field. Its length goes in first, so that ("ab", "c") and
    /// ("a", "bc") differ.
    pub(crate) fn field(self, bytes: &[u8]) -> Self {
        self.number(bytes.len() as u64).bytes(bytes)
    }

    /// Adds one number.
    pub(crate) fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    pub(crate) fn finish(self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    }

    /// The hash as a number in 0.0..1.0, with the 53 bits an `f64` can hold.
    pub(crate) fn fraction(self) -> f64 {
        (self.finish() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        Self(
            bytes
                .iter()
                .fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(Self::PRIME)),
        )
    }
}
