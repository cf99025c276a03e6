//! What sets products by tiles in workgroup memory apart (shaders/matmul_tile.wgsl).

use super::{Epilogue, MatMul, TILE};
use crate::act::ActKind;
use crate::shaders::define;

/// Rows of W of a workgroup.
const ROWS: u32 = 64;
/// Groups of threads along the tokens.
const TOKEN_GROUPS: u32 = 8;

impl MatMul {
    pub(super) fn tile_defines(&self) -> [(String, String); 2] {
        let (blocks, copy) = match self.act_in {
            ActKind::Q8 => (2, 3),
            ActKind::F32 => (1, 8),
        };
        // The copies of a step, and afterwards the sums.
        let copies = blocks * copy * (ROWS + self.cols);
        [
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
