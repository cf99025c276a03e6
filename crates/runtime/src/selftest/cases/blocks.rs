//! GGUF blocks with weights of ordinary sizes.

use super::Rng;
use chord_quant::{Error, WeightType};

/// Exponent field of a block's halves that makes weights of about 0.1, and whether about half of the halves are subnormal instead. In
/// files of types whose scales have a scale they are, in Q6_K nearly all, and on a device that takes them for zeros so are their
/// weights. Q2_K's normal weights are about 0.02: beside larger ones those of subnormal halves would not count.
fn halves(ty: WeightType) -> (u16, bool) {
    match ty {
        WeightType::Q4_0 | WeightType::Q4_1 => (9, false),
        WeightType::Q5_0 | WeightType::Q5_1 => (8, false),
        WeightType::Q8_0 | WeightType::Iq4Nl => (5, false),
        WeightType::Q2K => (5, true),
        WeightType::Q3K | WeightType::Q4K | WeightType::Q5K => (3, true),
        WeightType::Q6K | WeightType::Iq4Xs => (1, true),
        WeightType::F16 => (11, false),
        WeightType::F32 | WeightType::BF16 | WeightType::Mxfp4 => (0, false),
    }
}

/// The bits of a half of either sign: of this exponent field, 2^(exponent - 15) to twice that, or with `subnormal` at times between 0
/// and 2^-14.
fn half(rng: &mut Rng, (exponent, subnormal): (u16, bool)) -> u16 {
    let bits = rng.next();
    if subnormal && bits >> 16 & 1 == 1 {
        bits as u16 & 0x83ff | 1
    } else {
        bits as u16 & 0x83ff | exponent << 10
    }
}

/// So many rows of `k` weights.
pub(super) fn blocks(
    rng: &mut Rng,
    ty: WeightType,
    rows: usize,
    k: usize,
) -> Result<Vec<u8>, Error> {
    let bytes = rows * ty.row_bytes(k)?;
    let mut blocks: Vec<u8> = (0..bytes).map(|_| rng.next() as u8).collect();
    for block in blocks.chunks_exact_mut(ty.block_bytes()) {
        let float = (rng.float() * 0.2).to_le_bytes();
        match ty {
            WeightType::F32 => block.copy_from_slice(&float),
            WeightType::BF16 => block.copy_from_slice(&float[2..]),
            // 2^-5 times at most 12.
            WeightType::Mxfp4 => block[0] = 123,
            _ => {}
        }
        for at in ty.half_fields() {
            let half = half(rng, halves(ty));
            block[*at..at + 2].copy_from_slice(&half.to_le_bytes());
        }
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::super::{K, ROWS};
    use super::*;
    use crate::selftest::{F32_BUDGET, nmse};

    /// Subnormal halves of the blocks become zeros of their sign; how many of how many.
    fn flush(ty: WeightType, blocks: &mut [u8]) -> (usize, usize) {
        let (mut flushed, mut all) = (0, 0);
        for block in blocks.chunks_exact_mut(ty.block_bytes()) {
            for at in ty.half_fields() {
                let half = u16::from_le_bytes([block[*at], block[at + 1]]);
                all += 1;
                if half & 0x7c00 == 0 {
                    flushed += 1;
                    block[*at..at + 2].copy_from_slice(&(half & 0x8000).to_le_bytes());
                }
            }
        }
        (flushed, all)
    }

    /// The product with `x`, added to `residual`.
    fn product(ty: WeightType, blocks: &[u8], x: &[f32], residual: &[f32]) -> Vec<f32> {
        let rows = blocks.chunks_exact(ty.row_bytes(K).unwrap());
        let row = |(row, r): (&[u8], &f32)| {
            let mut weights = vec![0.0; K];
            chord_quant::decode(ty, row, &mut weights).unwrap();
            r + weights.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()
        };
        rows.zip(residual).map(row).collect()
    }

    #[test]
    fn a_device_that_takes_subnormal_scales_for_zeros_is_wrong() {
        let mut rng = Rng(1);
        for ty in [
            WeightType::Q2K,
            WeightType::Q3K,
            WeightType::Q4K,
            WeightType::Q5K,
            WeightType::Q6K,
            WeightType::Iq4Xs,
        ] {
            let rows = ROWS as usize;
            let x: Vec<f32> = (0..K).map(|_| rng.float()).collect();
            let residual: Vec<f32> = (0..rows).map(|_| rng.float()).collect();
            let right = blocks(&mut rng, ty, rows, K).unwrap();
            let mut flushed = right.clone();
            let (subnormal, all) = flush(ty, &mut flushed);
            assert!(4 * subnormal > all && 4 * subnormal < 3 * all, "{ty:?}");
            let want = product(ty, &right, &x, &residual);
            let error = nmse(&product(ty, &flushed, &x, &residual), &want);
            assert!(error > 10.0 * F32_BUDGET, "{ty:?}: {error:.0e}");
        }
    }
}
