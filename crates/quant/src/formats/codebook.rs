//! Types whose quants are places in a table of 16 values.

/// Of IQ4_NL and IQ4_XS: ggml's `kvalues_iq4nl`.
pub const IQ4: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

/// Of MXFP4: the values of E2M1, doubled.
pub const E2M1: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// What the nibbles of a block stand for.
pub(super) fn look_up(table: &[i8; 16], nibbles: [i8; 32]) -> [i8; 32] {
    nibbles.map(|n| table[usize::from(n.cast_unsigned() & 15)])
}

/// The 32 values of 16 bytes: low nibbles first.
pub(super) fn of_bytes(table: &[i8; 16], bytes: &[u8]) -> [i8; 32] {
    std::array::from_fn(|i| table[usize::from(bytes[i % 16] >> (4 * (i / 16)) & 15)])
}
