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

/// Random blocks whose f16 fields are finite (subnormals and both zeros included).
pub fn finite_blocks(ty: WeightType, rng: &mut Rng, bytes: usize) -> Vec<u8> {
    let mut data = rng.bytes(bytes);
    for block in data.chunks_exact_mut(ty.block_bytes()) {
        for at in ty.half_fields() {
            if block[at + 1] & 0x7c == 0x7c {
                block[at + 1] &= !0x40;
            }
        }
        match ty {
            WeightType::F32 if f32::from_le_bytes(block.try_into().unwrap()).is_nan() => {
                block[3] = 0;
            }
            WeightType::BF16 => block[1] &= !0x40,
            // Twelve times the largest power is more than f32 has.
            WeightType::Mxfp4 => block[0] &= 0x7f,
            _ => {}
        }
    }
    data
}

/// Bit equality, any NaN equal to any NaN (payloads are the machine's business).
pub fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}
