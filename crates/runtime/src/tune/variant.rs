//! What there is to choose from.

use crate::options::EngineOptions;
use chord_kernels::gpu::Caps;
use chord_kernels::matmul::Layout;
use chord_kernels::variants::{LAYOUTS, TILE_COLS};
use chord_model::GraphOptions;
use std::fmt;
use std::str::FromStr;

/// Tokens from which a prompt goes by tiles, unmeasured. Below it, workgroups of 4 tokens read the weights at most 6 times, which is less
/// work than a tile's, whose columns are computed whether there are tokens for them or not.
pub(crate) const TILES_FROM: u32 = 24;

/// One of the ways to compute the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// Thread layout of products of a token and of few.
    pub layout: Layout,
    /// Tokens from which a prompt goes by tiles; None: never.
    pub tiles_from: Option<u32>,
    /// Most rows of a batch that share a workgroup of attention.
    pub attention_cols: u32,
}

/// `lanes-subgroup tiles 24 attention 8`; 0 tiles are none.
impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tiles = self.tiles_from.unwrap_or(0);
        let (layout, attention) = (self.layout, self.attention_cols);
        write!(f, "{layout} tiles {tiles} attention {attention}")
    }
}

impl FromStr for Variant {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let &[layout, "tiles", tiles, "attention", attention] = words.as_slice() else {
            return Err(());
        };
        let layout = LAYOUTS.into_iter().find(|l| l.to_string() == layout);
        let tiles: u32 = tiles.parse().map_err(|_| ())?;
        let attention_cols = [1, 2, 4, 8]
            .into_iter()
            .find(|n| n.to_string() == attention);
        Ok(Self {
            layout: layout.ok_or(())?,
            tiles_from: (tiles > 0).then_some(tiles),
            attention_cols: attention_cols.ok_or(())?,
        })
    }
}

impl Variant {
    /// What a plan's options ask for.
    pub(super) fn of(graph: &GraphOptions) -> Self {
        Self {
            layout: graph.layout,
            tiles_from: graph.tile_cols.map(|_| TILES_FROM),
            attention_cols: graph.attention_cols,
        }
    }

    pub(super) fn applied(self, graph: &GraphOptions) -> GraphOptions {
        GraphOptions {
            layout: self.layout,
            tile_cols: self.tiles_from.map(|_| TILE_COLS),
            attention_cols: self.attention_cols,
            ..graph.clone()
        }
    }

    /// The plan is the same: the number of tokens alone is not part of it.
    pub(super) fn same_plan(self, other: Self) -> bool {
        let plan = |v: Self| (v.layout, v.tiles_from.is_some(), v.attention_cols);
        plan(self) == plan(other)
    }

    /// Layouts that the device can run, `suggested` first; only that where it was asked for.
    pub(super) fn layouts(opts: &EngineOptions, caps: &Caps, suggested: Layout) -> Vec<Layout> {
        let runs = |layout: &Layout| match layout {
            Layout::LanesSubgroup { split } => caps.subgroups.is_some_and(|(min, _)| min >= *split),
            // Eight threads a workgroup leave most of a real GPU idle.
            Layout::RowPerThread => caps.software,
            Layout::Lanes => true,
            Layout::Tile => false,
        };
        let others = LAYOUTS
            .into_iter()
            .filter(|l| *l != suggested && runs(l) && opts.layout.is_none());
        std::iter::once(suggested).chain(others).collect()
    }

    /// Rows of attention's workgroups, `suggested` first; only that where it was asked for.
    pub(super) fn attention_cols(opts: &EngineOptions, suggested: u32) -> Vec<u32> {
        let others = [1, 4, 8].into_iter();
        let others = others.filter(|n| *n != suggested && opts.attention_cols.is_none());
        std::iter::once(suggested).chain(others).collect()
    }

    /// Where tiles begin to pay, by what so many rows take by columns, of which 4 share a workgroup, and by tiles; None where they do
    /// not even then.
    pub(super) fn tiles_from(rows: u32, columns: f64, tiles: f64) -> Option<u32> {
        let pays = tiles < super::WORTH * columns;
        pays.then(|| ((f64::from(rows) * tiles / columns) as u32).max(4) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_read_back_and_nothing_else_is() {
        for layout in LAYOUTS {
            for tiles_from in [None, Some(24)] {
                let variant = Variant {
                    layout,
                    tiles_from,
                    attention_cols: 8,
                };
                assert_eq!(variant.to_string().parse(), Ok(variant));
            }
        }
        for wrong in [
            "",
            "lanes",
            "lanes tiles 24 attention 3",
            "lanes tiles -1 attention 8",
            "tile tiles 24 attention 8",
            "lanes tiles 24 attention 8 more",
        ] {
            assert_eq!(wrong.parse::<Variant>(), Err(()), "{wrong:?}");
        }
    }

    #[test]
    fn tiles_begin_where_columns_take_longer() {
        assert_eq!(Variant::tiles_from(64, 16.0, 4.0), Some(17));
        assert_eq!(Variant::tiles_from(64, 1000.0, 1.0), Some(5));
        assert_eq!(Variant::tiles_from(64, 4.0, 4.0), None);
        assert_eq!(Variant::tiles_from(64, 4.0, 9.0), None);
    }
}
