//! Random block data for the tests: a fixed-seed generator, so that a failure repeats.

use chord_quant::WeightType;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// Byte offsets of the f16 fields of a block, (offset, how many).
pub fn half_fields(ty: WeightType) -> (usize, usize) {
    match ty {
        WeightType::F32 => (0, 0),
        WeightType::F16 | WeightType::Q4_0 | WeightType::Q5_0 | WeightType::Q8_0 => (0, 1),
        WeightType::Q4_1 | WeightType::Q4K => (0, 2),
        WeightType::Q6K => (208, 1),
    }
}

/// Random blocks whose f16 fields are finite (subnormals and both zeros included).
pub fn finite_blocks(ty: WeightType, rng: &mut Rng, bytes: usize) -> Vec<u8> {
    let mut data = rng.bytes(bytes);
    let (offset, count) = half_fields(ty);
    for block in data.chunks_exact_mut(ty.block_bytes()) {
        for field in block[offset..offset + 2 * count].chunks_exact_mut(2) {
            if field[1] & 0x7c == 0x7c {
                field[1] &= !0x40;
            }
        }
        if ty == WeightType::F32 && f32::from_le_bytes(block.try_into().unwrap()).is_nan() {
            block[3] = 0;
        }
    }
    data
}

/// Bit equality, any NaN equal to any NaN (payloads are the machine's business).
pub fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}
