//! Words and halves: the few bit moves that the formats share.

use half::f16;

/// Low nibble of every byte of a word.
pub(crate) const LOW_NIBBLES: u32 = 0x0f0f_0f0f;

/// Words of a byte array, little endian. The length must be a multiple of 4; a rest would be left out.
pub(crate) fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|w| u32::from_le_bytes(*w))
}

/// One little-endian f16 as f32.
pub(crate) fn half(bytes: [u8; 2]) -> f32 {
    f16::from_le_bytes(bytes).to_f32()
}

/// Two f16 packed in a word: (low half, high half).
pub(crate) fn halves(word: u32) -> (f32, f32) {
    let [a, b, c, d] = word.to_le_bytes();
    (half([a, b]), half([c, d]))
}

/// Two f16 in their two-byte forms packed in a word, the first in the low half.
pub(crate) fn pack_halves(low: [u8; 2], high: [u8; 2]) -> u32 {
    u32::from_le_bytes([low[0], low[1], high[0], high[1]])
}

/// The 32 nibbles of a block's four words: byte i of word j = value 4j+i (low nibble) and value 16+4j+i (high nibble).
pub(crate) fn nibbles(block: [u32; 4]) -> [i8; 32] {
    let mut q = [0; 32];
    let (first, second) = q.split_at_mut(16);
    let pairs = first.iter_mut().zip(second);
    for ((low, high), byte) in pairs.zip(block.into_iter().flat_map(u32::to_le_bytes)) {
        *low = (byte & 15).cast_signed();
        *high = (byte >> 4).cast_signed();
    }
    q
}

/// The f16 scale of block `b` in a row's packed scales (two blocks a word).
pub(crate) fn scale_of_pair(row_scales: &[u32], b: usize) -> f32 {
    let (low, high) = halves(row_scales[b / 2]);
    if b.is_multiple_of(2) { low } else { high }
}

/// Packs one f16 scale per block, two blocks a word; an odd last block leaves the high half zero.
pub(crate) fn pack_scale_pairs(scales: &mut [u32], halves: impl Iterator<Item = [u8; 2]>) {
    let mut halves = halves;
    for word in scales {
        let low = halves.next().unwrap_or_default();
        *word = pack_halves(low, halves.next().unwrap_or_default());
    }
}
