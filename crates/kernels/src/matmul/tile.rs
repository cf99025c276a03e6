//! What sets products by tiles in workgroup memory apart (shaders/matmul_tile.wgsl).

use super::{Cooperative, Epilogue, MatMul, TILE};
use crate::act::ActKind;
use crate::shaders::define;

/// Rows of W of a workgroup.
const ROWS: u32 = 64;
/// Groups of threads along the tokens.
const TOKEN_GROUPS: u32 = 8;

impl MatMul {
    pub(super) fn tile_defines(&self) -> Vec<(String, String)> {
        let (blocks, copy) = match self.act_in {
            ActKind::Q8 => (2, 3),
            ActKind::F32 => (1, 8),
        };
        // The copies of a step, and afterwards the sums.
        let copies = blocks * copy * (ROWS + self.cols);
        vec![
            define("COLS_T", &(self.cols / TOKEN_GROUPS)),
            define("SHARED", &copies.max(self.cols * ROWS / 4)),
        ]
    }

    /// Workgroups per group of tokens: two tiles each, of one matrix or one of both.
    pub(super) fn tile_groups(&self) -> u32 {
        match self.epilogue {
            Epilogue::Glu => self.tiles_a(),
            _ => self.tiles_a().div_ceil(2) + self.rows_b.div_ceil(TILE).div_ceil(2),
        }
    }
}

impl Cooperative {
    /// Workgroup memory that the kernel takes, in bytes: more than WebGPU's default.
    pub const WORKGROUP_BYTES: u32 = 2 * 2 * 2560 + 4 * 4096 + 2 * 4 * 64;
    /// Sizes there are kernels for, the one to be preferred first.
    pub const SIZES: [u32; 2] = [16, 8];

    /// For subgroups of so many threads; None where the matrices cannot be dealt out to them evenly.
    #[must_use]
    pub fn new(size: u32, subgroup: u32) -> Option<Self> {
        let subgroups = 128u32.checked_div(subgroup)?;
        let fits = Self::SIZES.contains(&size) && [4, 16].contains(&subgroups);
        fits.then_some(Self { size, subgroups })
    }

    pub(super) fn defines(self) -> Vec<(String, String)> {
        let side = self.subgroups.isqrt();
        vec![
            define("SIZE", &self.size),
            define("GROUPS", &side),
            define("PART", &(ROWS / self.size / side)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subgroups_share_a_workgroup_evenly() {
        let shape = |size, subgroup| Cooperative::new(size, subgroup).map(Cooperative::defines);
        let of = |part: u32, groups: u32, size: u32| {
            Some(vec![
                define("SIZE", &size),
                define("GROUPS", &groups),
                define("PART", &part),
            ])
        };
        assert_eq!(shape(16, 32), of(2, 2, 16));
        assert_eq!(shape(8, 32), of(4, 2, 8));
        assert_eq!(shape(8, 8), of(2, 4, 8));
        assert_eq!(shape(16, 8), of(1, 4, 16));
        for (size, subgroup) in [(16, 64), (16, 0), (4, 32), (16, 16)] {
            assert_eq!(shape(size, subgroup), None, "{size} {subgroup}");
        }
    }
}
