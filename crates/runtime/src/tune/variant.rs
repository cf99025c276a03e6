//! What there is to choose from.

use crate::options::EngineOptions;
use chord_kernels::gpu::Caps;
use chord_kernels::matmul::Layout;
use chord_kernels::variants::{LAYOUTS, TILE_COLS};
use chord_model::{GraphOptions, Tiles};
use std::fmt;

/// Rows of a batch that may share a workgroup of attention.
const ATTENTION_COLS: [u32; 3] = [1, 4, 8];

/// Tokens from which a prompt goes by tiles, unmeasured. Below it, workgroups of 4 tokens read the weights at most 6 times, which is less
/// work than a tile's, whose columns are computed whether there are tokens for them or not.
pub(crate) const TILES_FROM: u32 = 24;

/// One of the ways to compute the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// Thread layout of products of a token and of few.
    pub layout: Layout,
    /// How prompts go by tiles; None: never.
    pub tiles: Option<Tiled>,
    /// Most rows of a batch that share a workgroup of attention.
    pub attention_cols: u32,
}

/// Prompts by tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiled {
    /// Tokens from which they do.
    pub from: u32,
    /// Layout of products with int8 activations.
    pub int8: Layout,
}

/// `lanes-subgroup tile 24 attention 8`, or `columns 0` where nothing goes by tiles.
impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (layout, attention) = (self.layout, self.attention_cols);
        match self.tiles {
            Some(Tiled { from, int8 }) => write!(f, "{layout} {int8} {from} attention {attention}"),
            None => write!(f, "{layout} {COLUMNS} 0 attention {attention}"),
        }
    }
}

/// In the place of a layout of tiles.
const COLUMNS: &str = "columns";

impl Variant {
    /// What [`Variant::to_string`] made on a device of these capabilities; None for anything else.
    pub(super) fn parse(text: &str, caps: &Caps) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let &[layout, int8, from, "attention", attention] = words.as_slice() else {
            return None;
        };
        let is = |layout: &Layout, name: &str| layout.to_string() == name;
        let tiles = match int8 {
            COLUMNS => None,
            name => Some(Tiled {
                from: from.parse().ok()?,
                int8: Self::tilings(caps).into_iter().find(|l| is(l, name))?,
            }),
        };
        let mut cols = ATTENTION_COLS.into_iter();
        Some(Self {
            layout: LAYOUTS.into_iter().find(|l| is(l, layout))?,
            tiles,
            attention_cols: cols.find(|n| n.to_string() == attention)?,
        })
    }

    /// Layouts of tiles, the one that runs anywhere first.
    pub(super) fn tilings(caps: &Caps) -> Vec<Layout> {
        let cooperative = caps.cooperative.map(Layout::Cooperative);
        std::iter::once(Layout::Tile).chain(cooperative).collect()
    }

    /// What a plan's options ask for.
    pub(super) fn of(graph: &GraphOptions) -> Self {
        Self {
            layout: graph.layout,
            tiles: graph.tiles.map(|tiles| Tiled {
                from: TILES_FROM,
                int8: tiles.int8,
            }),
            attention_cols: graph.attention_cols,
        }
    }

    pub(super) fn applied(self, graph: &GraphOptions) -> GraphOptions {
        GraphOptions {
            layout: self.layout,
            tiles: self.tiles.map(|tiles| Tiles {
                cols: TILE_COLS,
                int8: tiles.int8,
            }),
            attention_cols: self.attention_cols,
            ..graph.clone()
        }
    }

    /// The plan is the same: the number of tokens alone is not part of it.
    pub(super) fn same_plan(self, other: Self) -> bool {
        let plan = |v: Self| (v.layout, v.tiles.map(|t| t.int8), v.attention_cols);
        plan(self) == plan(other)
    }

    /// Layouts that the device can run, `suggested` first; only that where it was asked for.
    pub(super) fn layouts(opts: &EngineOptions, caps: &Caps, suggested: Layout) -> Vec<Layout> {
        let runs = |layout: &Layout| match layout {
            Layout::LanesSubgroup { split } => caps.subgroups.is_some_and(|(min, _)| min >= *split),
            // Eight threads a workgroup leave most of a real GPU idle.
            Layout::RowPerThread | Layout::RowPerThread4 => caps.software,
            Layout::Lanes => true,
            Layout::Tile | Layout::Cooperative(_) => false,
        };
        let others = LAYOUTS
            .into_iter()
            .filter(|l| *l != suggested && runs(l) && opts.layout.is_none());
        std::iter::once(suggested).chain(others).collect()
    }

    /// Rows of attention's workgroups, `suggested` first; only that where it was asked for.
    pub(super) fn attention_cols(opts: &EngineOptions, suggested: u32) -> Vec<u32> {
        let others = ATTENTION_COLS.into_iter();
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
    use chord_kernels::matmul::Cooperative;

    fn caps(cooperative: Option<Cooperative>) -> Caps {
        Caps {
            subgroups: Some((32, 32)),
            cooperative,
            software: false,
            max_binding: 0,
            max_buffer: 0,
            workgroup_bytes: 0,
            invocations: 0,
            storage_buffers: 0,
            timestamps: false,
        }
    }

    #[test]
    fn a_variant_is_read_back_and_nothing_else_is() {
        let with = caps(Cooperative::new(16, 32));
        for layout in LAYOUTS {
            let tilings = Variant::tilings(&with).into_iter();
            let tilings = tilings.map(|int8| Some(Tiled { from: 24, int8 }));
            for tiles in tilings.chain([None]) {
                let variant = Variant {
                    layout,
                    tiles,
                    attention_cols: 8,
                };
                assert_eq!(Variant::parse(&variant.to_string(), &with), Some(variant));
            }
        }
        for wrong in [
            "",
            "lanes",
            "lanes tile 24 attention 3",
            "lanes tile -1 attention 8",
            "tile tile 24 attention 8",
            "lanes lanes 24 attention 8",
            "lanes cooperative 24 attention 8",
            "lanes tile 24 attention 8 more",
        ] {
            assert_eq!(Variant::parse(wrong, &caps(None)), None, "{wrong:?}");
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
