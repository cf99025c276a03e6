//! A hash that tells texts apart. The build script uses it too.

/// FNV-1a: it finds damage, and tells texts apart; it keeps no secrets.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}
