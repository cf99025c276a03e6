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

/// Sets bit `place` of value `i` from bit `i` of `bits`.
pub(crate) fn add_bits(mut q: [i8; 32], bits: u32, place: u32) -> [i8; 32] {
    for (i, q) in q.iter_mut().enumerate() {
        *q |= ((bits >> i & 1) << place) as i8;
    }
    q
}

const BIT_PAIRS: u32 = 0x0303_0303;

/// Two words of bit pairs from the pairs at `shift` of 32 bytes: bits 2j of byte i of word h = value 16h + 4j + i.
pub(crate) fn pack_bit_pairs(bytes: &[u8; 32], shift: u32) -> [u32; 2] {
    let mut packed = [0; 2];
    for (to, bytes) in packed.iter_mut().zip(bytes.as_chunks::<16>().0) {
        *to = words(bytes)
            .enumerate()
            .fold(0, |bits, (j, w)| bits | (w >> shift & BIT_PAIRS) << (2 * j));
    }
    packed
}

/// The 32 values of two such words.
pub(crate) fn bit_pairs(packed: [u32; 2]) -> [i8; 32] {
    let mut q = [0; 32];
    for (packed, q) in packed.into_iter().zip(q.as_chunks_mut::<16>().0) {
        for (j, q) in q.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *q = (packed >> (2 * j) & BIT_PAIRS)
                .to_le_bytes()
                .map(u8::cast_signed);
        }
    }
    q
}

/// Bit `place` of each of 32 bytes, byte i's as bit i.
pub(crate) fn gather_bits(bytes: &[u8; 32], place: usize) -> u32 {
    let bits = bytes.iter().enumerate();
    bits.fold(0, |word, (i, byte)| {
        word | u32::from(byte >> place & 1) << i
    })
}

/// Blocks 2c and 2c + 1 share the bytes 32c to 32c + 31, low and high nibbles: gives each its own four words.
pub(crate) fn pack_paired_nibbles(bytes: &[u8], words_of: &mut [u32]) {
    for (to, bytes) in words_of
        .as_chunks_mut::<8>()
        .0
        .iter_mut()
        .zip(bytes.as_chunks::<32>().0)
    {
        let (first, second) = bytes.split_at(16);
        for (j, (a, b)) in words(first).zip(words(second)).enumerate() {
            to[j] = a & LOW_NIBBLES | (b & LOW_NIBBLES) << 4;
            to[4 + j] = (a >> 4) & LOW_NIBBLES | b & !LOW_NIBBLES;
        }
    }
}

/// Two-byte values, two a word in order; zeros behind the last.
pub(crate) fn pack_pairs(bytes: &[u8], to: &mut [u32]) {
    let mut values = bytes.as_chunks::<2>().0.iter().copied();
    for to in to {
        let low = values.next().unwrap_or_default();
        *to = pack_halves(low, values.next().unwrap_or_default());
    }
}
