//! Random blocks whose values have a standard deviation of 1/√k, so that a product of a normed row is about as large as the row:
//! nothing grows from layer to layer, and no f16 scale is subnormal for any width in [`super::shapes`].

use chord_quant::WeightType;
use half::f16;

/// Blocks of a run: prime, so that rows, which are other numbers of blocks long, begin at other places of it.
const BLOCKS: usize = 4093;

/// A run of blocks of matrices of `k` columns; of vectors (`k` 0), ones.
pub(super) fn run(ty: WeightType, k: usize) -> Vec<u8> {
    if k == 0 {
        return 1.0f32.to_le_bytes().repeat(BLOCKS);
    }
    let mut noise = Noise(0x5eed ^ k as u64);
    let mut bytes: Vec<u8> = (0..BLOCKS * ty.block_bytes())
        .map(|_| noise.byte())
        .collect();
    let deviation = 1.0 / (k.max(1) as f32).sqrt();
    for block in bytes.chunks_exact_mut(ty.block_bytes()) {
        scale(ty, deviation, block, &mut noise);
    }
    bytes
}

/// Puts scales into a block of random bytes. The divisors are the standard deviations of the quants, uniform as they are:
/// √((2^bits)² - 1) / √12, times the mean of the inner scale.
fn scale(ty: WeightType, deviation: f32, block: &mut [u8], noise: &mut Noise) {
    let mut put = |at: usize, v: f32| {
        block[at..at + 2].copy_from_slice(&f16::from_f32(v).to_le_bytes());
    };
    match ty {
        // Uniform between ±√3 deviations.
        WeightType::F32 => {
            let uniform = f32::from(noise.byte()) / 127.5 - 1.0;
            let value = 3f32.sqrt() * deviation * uniform;
            block.copy_from_slice(&value.to_le_bytes());
        }
        WeightType::Q4_0 => put(0, deviation / 4.61),
        WeightType::Q5_0 => put(0, deviation / 9.23),
        WeightType::Q8_0 => put(0, deviation / 73.9),
        WeightType::Q4K => {
            // d·s·q - dmin·m with m = s: the minimum takes the quants' mean, 7.5, out. Scales below 16 have no high bits.
            let d = deviation / (11.5 * 4.61);
            put(0, d);
            put(2, 7.5 * d);
            for j in 0..4 {
                let low = 8 + noise.byte() % 8;
                let high = 8 + noise.byte() % 8;
                (block[4 + j], block[8 + j]) = (low, low);
                block[12 + j] = high | high << 4;
            }
        }
        WeightType::Q6K => {
            put(208, deviation / (5.5 * 18.5));
            for s in &mut block[192..208] {
                *s = 4 + noise.byte() % 4;
            }
        }
        // `Spec::ty` gives no other.
        other => unreachable!("no made-up model has {other:?}"),
    }
}

/// xorshift64*.
struct Noise(u64);

impl Noise {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    }
}
